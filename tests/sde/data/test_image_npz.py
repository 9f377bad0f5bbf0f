"""Images in an npz file: read as they are said to be, refused where they are not."""

import os
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.errors import InputError
from sde.data import registry
from sde.data.npz import read_npz
from tests.sde.data.test_image_datasets import pixels


def save_npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


def test_npz_grey_and_colour_with_and_without_labels_and_test_images(tmp_path):
    grey, colour = pixels(30, 6, 5), pixels(30, 6, 5, 3)
    loaded = registry.load("npz", path=save_npz(tmp_path / "grey.npz", images=grey), heldout=10)
    assert loaded.spec.shape == (1, 6, 5)
    assert loaded.spec.name == "grey.npz, images cut into 20 + 10"
    both = torch.cat([loaded.train.values, loaded.heldout.values])
    assert sorted(both.numpy().tobytes()) == sorted(grey.tobytes()) and loaded.train.labels is None

    labels = np.arange(30) % 4
    arrays = dict(images=colour, labels=labels, test_images=colour[:7], test_labels=labels[:7])
    path = save_npz(tmp_path / "colour.npz", **arrays)
    loaded = registry.load("npz", path=path)
    assert loaded.spec.name == "colour.npz" and loaded.spec.classes == tuple("0123")
    assert np.array_equal(loaded.train.values[:, 2], colour[..., 2])
    assert np.array_equal(loaded.train.labels, labels) and len(loaded.heldout) == 7
    cut = registry.load("npz", path=path, split="test", heldout=3)
    assert (len(cut.train), len(cut.heldout)) == (4, 3) and "test images" in cut.spec.name
    cut = registry.load("npz", path=path, split="train", heldout=3)
    assert (len(cut.train), len(cut.heldout)) == (27, 3)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x": pixels(3, 4, 4)}, "no array 'images'; it holds x"),
        ({"images": np.zeros((3, 4, 4))}, "3 x 4 x 4 of float64, expected uint8"),
        ({"images": pixels(3, 4)}, "3 x 4 of uint8, expected uint8"),
        ({"images": pixels(0, 4, 4)}, "0 x 4 x 4 of uint8"),
        ({"images": pixels(3, 4, 4), "labels": np.zeros(2, int)}, "labels is 2 of int64"),
        ({"images": pixels(3, 4, 4, 2)}, "images has 2 channels, expected 1 or 3"),
        ({"images": pixels(3, 4, 4), "labels": np.array([0, 1, -1])}, "whole numbers from 0"),
        ({"images": pixels(3, 4, 4), "labels": np.zeros(3)}, "labels is 3 of float64"),
        (
            {"images": pixels(3, 4, 4), "labels": np.array([0, 1, 2**64 - 1], np.uint64)},
            "a label is 18446744073709551615, expected below 100000",
        ),
        ({"images": np.array([None] * 3)}, "Python objects, which are pickles, are refused"),
        ({"images": pixels(3, 4, 4), "test_images": pixels(3, 4, 5)}, r"shape \(1, 4, 4\)"),
    ],
)  # fmt: skip
def test_bad_npz_files_are_named(tmp_path, arrays, expected):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=f"a.npz.*{expected}") as caught:
        registry.load("npz", path=str(path), heldout=1)
    assert "\n" not in str(caught.value)


def test_an_npz_that_declares_an_absurd_size_is_not_read(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"")
        archive.filelist[0].file_size = 2**50
        archive.filelist[0].extra = b""
    with pytest.raises(InputError, match=r"bomb.npz: .* would unpack to 1125899906842624"):
        registry.load("npz", path=str(path))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (dict(heldout=30), "data.heldout=30 of 30 images leaves none to train on"),
        (dict(heldout=4000), "give a smaller count, or a share such as 0.1"),
        (dict(split="test"), "no array 'test_images', which data.split=test asks for"),
        (dict(path="none.npz"), "none.npz: cannot be read: No such file or directory"),
        (dict(path=None), "data.path: npz needs one"),
    ],
)
def test_bad_requests_are_refused(tmp_path, request_, expected):
    how = dict(path=save_npz(tmp_path / "a.npz", images=pixels(30, 4, 4))) | request_
    with pytest.raises(InputError, match=expected):
        registry.load("npz", **how)


@given(at=st.integers(0, 10**6), byte=st.integers(1, 255), cut=st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_damage_to_an_npz_is_one_line_or_harmless(tmp_path_factory, at, byte, cut):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, images=pixels(3, 4, 4), labels=np.arange(3))
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at] ^= byte
    path.write_bytes(content[:at] if cut else content)
    try:
        loaded, _ = read_npz(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert np.array_equal(loaded.values[:, 0], pixels(3, 4, 4))


def test_unknown_arrays_are_never_read(tmp_path):
    """Half of the bytes of another array are damaged: nobody looks at them."""
    path, other = tmp_path / "a.npz", np.full(1000, 7, np.int64)
    np.savez(path, images=pixels(30, 4, 4), other=other)
    content = path.read_bytes()
    at = content.index(other.tobytes())
    path.write_bytes(content[:at] + bytes(4000) + content[at + 4000 :])
    with pytest.raises(zipfile.BadZipFile, match="CRC"), np.load(path) as file:
        file["other"]
    assert len(read_npz(path)[0]) == 30


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in ("/dev/zero", str(tmp_path / "pipe.npz")):
        for name in ("npz", "folder"):
            with pytest.raises(InputError, match=f"{path}.*not a regular file"):
                registry.load(name, path=path, root=str(tmp_path / "root"))
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("count, heldout", [(40, 4), (5, 1), (60_000, 4000)])
def test_a_tenth_at_most_4000_is_held_out_by_default(tmp_path, count, heldout):
    images = np.zeros((count, 2, 2), dtype=np.uint8)
    loaded = registry.load("npz", path=save_npz(tmp_path / "grey.npz", images=images))
    assert (len(loaded.heldout), len(loaded.train)) == (heldout, count - heldout)
