"""Folders and zips of images: decoded as Pillow does, once, and every file that is none named."""

import json
import multiprocessing
import os
import signal
import time
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from repro.errors import InputError
from sde.data import cache, registry
from sde.data.cache import Decoding, read_folder
from tests.helpers.waiting import wait_for


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def photo(seed, size=(8, 8), mode="RGB"):
    channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    return Image.fromarray(pixels(size[1], size[0], *channels, seed=seed))


@pytest.fixture
def classes(tmp_path):
    """12 images of 8 x 8 in two classes, and their pixels by name."""
    stored = {}
    for i in range(12):
        name = f"{'ab'[i % 2]}/{i:02}.png"
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        photo(i).save(tmp_path / "photos" / name)
        stored[name] = pixels(8, 8, 3, seed=i).transpose(2, 0, 1)
    return tmp_path / "photos", stored


def load(path, **how):
    defaults = dict(path=str(path), root=str(path.parent / "root"), heldout=3)
    return registry.load("folder", **(defaults | how))


def zipped(folder, prefix=""):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def cache_of(path):
    return sorted((path.parent / "root" / ".cache").glob("*.npy"))


@pytest.mark.parametrize("form", ["folder", "zip", "zip below folders"])
def test_images_labels_and_the_cut(classes, form):
    path, stored = classes
    if form != "folder":
        path = zipped(path, "x/train/" if "below" in form else "")
    loaded = load(path)
    assert loaded.spec.shape == (3, 8, 8) and loaded.spec.classes == ("a", "b")
    assert loaded.spec.name == f"{path.name}, images cut into 9 + 3"
    halves = (loaded.train, loaded.heldout)
    found = {
        (image.tobytes(), "ab"[label])
        for half in halves
        for image, label in zip(half.values.numpy(), half.labels, strict=True)
    }
    assert found == {(image.tobytes(), name[0]) for name, image in stored.items()}
    assert [len(half) for half in halves] == [9, 3]
    assert load(path).checksums == loaded.checksums
    assert load(path, seed=1).checksums != loaded.checksums
    share = load(path, heldout=0.5)  # more held out of the same order: no second decoding
    assert torch.equal(share.heldout.values[:3], loaded.heldout.values)
    assert len(cache_of(path)) == 2


def test_a_second_folder_is_held_out(classes, tmp_path):
    path, _ = classes
    other = tmp_path / "others"
    for name in "ab":
        (other / name).mkdir(parents=True)
        photo(99).save(other / name / "1.png")
    loaded = load(path, heldout_path=str(other))
    assert loaded.spec.name == "photos, held out: others"
    assert (len(loaded.train), len(loaded.heldout)) == (12, 2)
    (other / "b" / "1.png").unlink()
    with pytest.raises(InputError, match=r"classes \('a', 'b'\) in training, \(\) in the held-out"):
        load(path, heldout_path=str(other))


@pytest.mark.parametrize(
    ("layout", "classes"),
    [
        (["1.png", "2.png"], ()),
        (["only/1.png", "only/2.png"], ()),
        (["a/1.png", "a/b/2.png"], ()),
        (["1.png", "b/2.png"], ()),
        (["x/b/1.png", "x/a/2.png"], ("a", "b")),
        (["x/1/1.png", "y/2.png"], ("x/1", "y")),
        (["a/1.png", "b/2.png", ".hidden/3.png", "__MACOSX/b/4.png", "a/Thumbs.db"], ("a", "b")),
    ],
)
def test_which_folders_are_classes(tmp_path, layout, classes):
    for name in layout:
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        photo(len(name)).save(tmp_path / "p" / name, format="PNG")
    images, _ = read_folder(tmp_path / "p", Decoding(), seed=0, cache=tmp_path / "c")
    assert images.classes == classes and len(images) == 2


def test_images_are_decoded_once(classes, monkeypatch):
    path, _ = classes
    first = load(path)
    (cached,) = cache_of(path)
    assert np.load(cached).shape == (12, 3, 8, 8)
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    assert load(path).checksums == first.checksums
    monkeypatch.undo()
    photo(77).save(path / "a" / "00.png")  # a changed file is another data set
    os.utime(path / "a" / "00.png", (1, 1))
    assert load(path).checksums != first.checksums and len(cache_of(path)) == 2


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tiff"])
def test_lossless_formats_in_grey_and_colour(tmp_path, mode, channels, suffix):
    image, file = photo(1, mode=mode), tmp_path / f"1.{suffix}"
    image.save(file, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    found = cache.decode(file.read_bytes(), Decoding(channels))
    colour = np.asarray(image).reshape(8, 8, -1)[..., :3].astype(float)
    if channels == 3:
        assert np.array_equal(found.transpose(1, 2, 0), np.broadcast_to(colour, (8, 8, 3)))
    else:  # ITU-R 601-2: 0.299 red + 0.587 green + 0.114 blue
        grey = colour @ [0.299, 0.587, 0.114] if mode != "L" else colour[..., 0]
        assert np.abs(found[0] - grey).max() <= 1


def test_the_square_is_cut_from_the_middle_and_turned_upright(tmp_path):
    """Left red, middle green, right blue, three times as wide as high; then on its side."""
    stripes = np.zeros((10, 30, 3), np.uint8)
    for i in range(3):
        stripes[:, 10 * i : 10 * i + 10, i] = 200
    file = tmp_path / "1.png"
    Image.fromarray(stripes).save(file)
    found = cache.decode(file.read_bytes(), Decoding(3, 10))
    assert np.array_equal(found.transpose(1, 2, 0), stripes[:, 10:20])
    small = cache.decode(file.read_bytes(), Decoding(3, 4))
    assert small.shape == (3, 4, 4) and small[1].mean() > 190  # green, but for the borders
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise by 90 degrees
    Image.fromarray(stripes).save(file, exif=exif)
    upright = cache.decode(file.read_bytes(), Decoding())
    assert np.array_equal(upright.transpose(1, 2, 0), np.rot90(stripes, -1))


def test_resizing_averages(tmp_path):
    """A fine checkerboard becomes grey, not stripes."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "1.png")
    found = cache.decode((tmp_path / "1.png").read_bytes(), Decoding(1, 8))
    assert np.abs(found.astype(float) - 127.5).max() < 3


def spoil(path):
    """Twelve images and eight files that are none; the reasons by name."""
    good = (path / "a" / "00.png").read_bytes()
    files = {
        "a/cut.png": (good[: len(good) // 2], "truncated"),
        "a/empty.png": (b"", "empty"),
        "b/notes.txt": (b"hello", "no image"),
        "b/page.png": (b"<html>404</html>", "no image"),
    }
    reasons = {}
    for name, (content, reason) in files.items():
        (path / name).write_bytes(content)
        reasons[name] = reason
    photo(1, size=(9, 8)).save(path / "b" / "wide.png")
    Image.fromarray(pixels(8, 8).astype(np.uint16)).save(path / "b" / "deep.png")
    Image.new("1", (2**14, 2**13)).save(path / "b" / "huge.png")
    photo(2).save(path / "b" / "drawing.eps")
    reasons |= {
        "b/wide.png": "9 x 8 pixels, most are 8 x 8",
        "b/deep.png": "of mode I;16",
        "b/huge.png": "declares 16384 x 8192 pixels",
        "b/drawing.eps": "no image",
    }
    return reasons


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_bad_files_are_named_or_skipped_and_listed(classes, form, capsys):
    path, stored = classes
    reasons = spoil(path)
    path = path if form == "folder" else zipped(path)
    with pytest.raises(InputError) as caught:
        load(path)
    said = str(caught.value)
    assert "8 of 20 files cannot be used" in said and "and 3 more" in said and "\n" not in said
    assert sum(name in said for name in reasons) == 5 and "data.skip_bad=true" in said
    capsys.readouterr()
    loaded = load(path, skip_bad=True)
    assert f"{path}: 8 files skipped" in capsys.readouterr().err
    assert len(loaded.skipped) == 8 and "skipped   b/wide.png: 9 x 8" in loaded.in_words()
    for line in loaded.skipped:
        name, reason = line.split(": ", 1)
        assert reasons[name] in reason
    images = torch.cat([loaded.train.values, loaded.heldout.values]).numpy()
    assert {image.tobytes() for image in images} == {image.tobytes() for image in stored.values()}


def test_a_tilde_is_the_home_folder(classes, monkeypatch):
    path, _ = classes
    monkeypatch.setenv("HOME", str(path.parent))
    places = dict(path="~/photos", heldout_path="~/photos", root="~/cache")
    loaded = registry.load("folder", **places)
    assert len(loaded.heldout) == 12 and (path.parent / "cache" / ".cache").is_dir()


def test_a_folder_without_images(tmp_path):
    path = tmp_path / "photos"
    with pytest.raises(InputError, match=r"photos: no such folder or zip \(data\.path\)"):
        load(path)
    path.mkdir()
    with pytest.raises(InputError, match="photos: holds no images"):
        load(path)
    for i in range(9):
        (path / f"{i}.txt").write_text("hello")
    with pytest.raises(InputError, match=r"none of 9 files is an image: .*\(no image\) and 4 more"):
        load(path, skip_bad=True)


def archive(path, names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"x")


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/x.png", "a\\..\\x.png"])
def test_zips_that_lead_out_of_themselves_are_refused(tmp_path, name):
    archive(tmp_path / "a.zip", ["ok.png", name])
    with pytest.raises(InputError, match=r"refused: the name .* leads out of the archive"):
        load(tmp_path / "a.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_bad_zips(tmp_path, classes):
    path = tmp_path / "a.zip"
    archive(path, ["1.png", "1.png"])
    with pytest.raises(InputError, match="refused: two files in it have one name"):
        load(path)
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"a\.zip: neither a folder nor a whole zip"):
        load(path)
    content = zipped(classes[0]).read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(InputError, match=r"a\.zip: neither a folder nor a whole zip"):
        load(path)
    at = content.index(b"IDAT") + 20
    path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    with pytest.raises(InputError, match=r"1 of 12 files cannot be used: a/00\.png \(Bad CRC-32"):
        load(path)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [(10**12, "declares 1000000000000 bytes, more than any"), (10, "Bad CRC-32")],
)
def test_a_bomb_in_a_zip_is_not_unpacked(classes, declared, reason):
    """A member that declares 1 TB is left alone; one that declares 10 bytes is cut after them."""
    path = zipped(classes[0])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/bomb.png", bytes(10**6))
        file.filelist[-1].file_size = declared
    with pytest.raises(InputError, match=rf"a/bomb\.png \({reason}"):
        load(path)


def test_what_does_not_fit_on_the_disk_is_not_begun(classes, monkeypatch):
    path, _ = classes
    usage = type("Usage", (), {"free": 12 * 192 - 1})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"the decoded images take 0\.0 GB, 0\.0 GB are free"):
        load(path)
    usage.free += 1
    assert len(load(path).train) == 9


def test_a_cache_that_cannot_be_written_is_one_line(classes, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/\.cache: cannot be written: Not a directory"):
        load(classes[0], root=str(tmp_path / "file"))


def test_killed_while_decoding_then_two_at_once(classes, monkeypatch):
    """No half file is ever taken for a whole one; what two processes need, one decodes."""
    path, _ = classes
    expected = load(path, root=str(path.parent / "other")).checksums
    context, plain = multiprocessing.get_context("fork"), cache.decode
    place = path.parent / "root" / ".cache"
    decoded, hold = path.parent / "decoded", path.parent / "hold"
    hold.touch()

    def held(content, how):
        """Decode, but wait for the kill once the file is begun."""
        while hold.exists() and list(place.glob(".*.part")):
            time.sleep(0.01)
        with decoded.open("a") as file:
            file.write("x")
        return plain(content, how)

    monkeypatch.setattr(cache, "decode", held)
    process = context.Process(target=load, args=(path,))
    process.start()
    wait_for(lambda: list(place.glob(".*.part")))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not cache_of(path)
    decoded.unlink()
    hold.unlink()
    pair = [context.Process(target=load, args=(path,)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join()
        assert process.exitcode == 0
    assert len(decoded.read_text()) == 24  # each of the 12 once to learn their size, once to keep
    assert load(path).checksums == expected
    assert len(cache_of(path)) == 1 and not list(place.glob(".*.part"))


@given(
    at=st.integers(0, 10**6), byte=st.integers(1, 255), cut=st.booleans(), kind=st.integers(0, 2)
)
@settings(deadline=None, max_examples=150)
def test_any_damage_to_an_image_has_a_reason_or_gives_an_image(
    tmp_path_factory, at, byte, cut, kind
):
    file = tmp_path_factory.mktemp("one") / f"1.{('png', 'jpg', 'webp')[kind]}"
    photo(3).save(file)
    content = bytearray(file.read_bytes())
    at %= len(content)
    content[at] ^= byte
    try:
        found = cache.decode(bytes(content[:at] if cut else content), Decoding())
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert found.dtype == np.uint8 and found.ndim == 3


def test_real_photographs(shared, tmp_path):
    """The CIFAR-10 test images as JPEG: all of them, and three as Pillow decodes them."""
    path = shared / "data/cifar10_jpeg_test.zip"
    loaded = load(path, root=str(tmp_path), heldout=0.1)
    assert loaded.spec.shape == (3, 32, 32) and loaded.spec.classes[3] == "cat"
    halves = (loaded.train, loaded.heldout)
    assert sum(half.labels.bincount() for half in halves).tolist() == [1000] * 10
    stored = {image.tobytes() for half in halves for image in half.values.numpy()}
    with zipfile.ZipFile(path) as file:
        for name in ("test/airplane/0000.jpg", "test/cat/0500.jpg", "test/truck/0999.jpg"):
            with Image.open(file.open(name)) as image:
                assert np.asarray(image).transpose(2, 0, 1).tobytes() in stored
    (bad,) = (tmp_path / ".cache").glob("*.json")
    assert json.loads(bad.read_text()) == {}
