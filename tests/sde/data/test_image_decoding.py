"""Images are decoded as Pillow decodes them, once, and resized as documented."""

import json
import multiprocessing
import os
import signal
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sde.data import cache
from sde.data.cache import Decoding
from tests.helpers.waiting import wait_for
from tests.sde.data.image_folders import cache_of, load, photo


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
