"""Images as the input of a network: pixels by hand, resizing against Pillow's, faults."""

import errno

import numpy as np
import pytest
import torch
from PIL import Image

from cizsl.prepare.images import Preprocessing, find_images, read_image
from repro.errors import InputError, InputErrors
from tests.helpers.rounding import float32_bound

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def ramp(width, height):
    """Every pixel tells its column (red) and row (green)."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([columns, rows, np.full_like(rows, 7)], -1).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "crop", "left", "top"),
    [((6, 4), 2, 2, 1), ((4, 7), 4, 0, 2), ((5, 5), 4, 0, 0), ((9, 4), 3, 3, 0)],
)
def test_the_square_in_the_middle(size, crop, left, top):
    """Half a pixel is rounded to the even number, as torchvision's centre crop does."""
    image = Image.fromarray(ramp(*size))
    pixels = Preprocessing(resize=min(size), crop=crop, **PLAIN)(image)
    expected = ramp(*size)[top : top + crop, left : left + crop]
    np.testing.assert_array_equal(pixels.permute(1, 2, 0) * 255, expected)
    assert pixels.dtype == torch.float32 and pixels.is_contiguous()


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "nearest", "lanczos"])
@pytest.mark.parametrize(("size", "resized"), [((100, 30), (80, 24)), ((31, 90), (24, 69))])
def test_the_shorter_side_is_resized_and_channels_are_normalised(size, resized, name):
    """80 = int(24 * 100 / 30), 69 = int(24 * 90 / 31) = int(69.7)."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8))
    small = np.array(image.resize(resized, getattr(Image.Resampling, name.upper()))) / 255
    left, top = (resized[0] - 20) // 2, (resized[1] - 20) / 2
    part = small[round(top) : round(top) + 20, left : left + 20]
    mean, std = (0.1, 0.2, 0.3), (0.5, 2.0, 4.0)
    pixels = Preprocessing(24, 20, name, mean, std)(image)
    np.testing.assert_allclose(
        pixels.permute(1, 2, 0), (part - mean) / std, atol=float32_bound(3, 2)
    )


def test_the_default_is_that_of_imagenet():
    grey = Preprocessing()(Image.new("RGB", (300, 400), (128, 0, 255)))
    assert grey.shape == (3, 224, 224)
    expected = [(128 / 255 - 0.485) / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(grey[:, 5, 9], expected, rtol=float32_bound(3, 2))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_mode_becomes_three_channels(mode):
    image = Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode)
    np.testing.assert_array_equal(Preprocessing(4, 4, **PLAIN)(image), np.ones((3, 4, 4)))


def test_a_photograph_is_turned_as_its_exif_data_say(tmp_path):
    image, exif = Image.fromarray(ramp(8, 4)), Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    image.save(tmp_path / "a.png", exif=exif)
    pixels = read_image(tmp_path / "a.png", Preprocessing(4, 4, **PLAIN)) * 255
    expected = np.rot90(ramp(8, 4), -1)[2:6]
    np.testing.assert_array_equal(pixels.permute(1, 2, 0), expected)


def test_images_that_cannot_be_read_say_why(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[:-1000])
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    reasons = {
        "text.jpg": "cannot identify image file",
        "empty.png": "cannot identify image file",
        "half.jpg": "truncated",
        "deep.png": "at most 8 bits a channel",
        "none.jpg": "No such file",
    }
    for name, reason in reasons.items():
        found = read_image(tmp_path / name, Preprocessing(4, 4))
        assert isinstance(found, str) and reason in found and "\n" not in found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 300}, "crop 300: expected 1 to 256"),
        ({"crop": 0}, "crop 0"),
        ({"interpolation": "cubic"}, "'cubic': expected nearest, bilinear, bicubic, lanczos"),
        ({"std": (1, 0, 1)}, "those of std positive"),
        ({"mean": (1, 0)}, "three numbers each"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        Preprocessing(**settings)


def test_images_are_found_by_class(tmp_path):
    for name in ("2.B b/z.JPG", "2.B b/a/b.png", "1.a/x.webp", "1.a/notes.txt", "1.a/.x.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "loose.png").touch()
    paths, labels = find_images(tmp_path, ["B_B", "c", "A"])
    names = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert names == ["2.B b/a/b.png", "2.B b/z.JPG", "1.a/x.webp"]
    assert labels.tolist() == [0, 0, 2] and labels.dtype == np.int64


def test_folders_of_no_class_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match="no such folder; expected one folder of images"):
        find_images(tmp_path / "nowhere", ["a"])
    for name in ("a", "1.A", "b", "c"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputErrors) as caught:
        find_images(tmp_path, ["a", "d"])
    assert caught.value.problems == [
        f"{tmp_path / 'a'}: 1.A is of the same class",
        f"{tmp_path / 'b'}: no class of this name among the 2",
        f"{tmp_path / 'c'}: no class of this name among the 2",
    ]
    with pytest.raises(InputError, match="no image in the folder of any class"):
        find_images(tmp_path / "a", ["a"])


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_a_shortage_of_the_machine_is_no_fault_of_an_image(tmp_path, monkeypatch, error):
    """It would be written down as one, and the image left out with --skip-bad for ever."""

    def short(*_):
        raise error

    Image.new("RGB", (8, 8)).save(tmp_path / "wren.png")
    monkeypatch.setattr(Image, "open", short)
    with pytest.raises(type(error)):
        read_image(tmp_path / "wren.png", Preprocessing())
