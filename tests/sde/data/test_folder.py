"""Folders and zips of images: their classes, labels and held-out images."""

import pytest
import torch

from repro.errors import InputError
from sde.data import registry
from sde.data.cache import Decoding, read_folder
from tests.sde.data.image_folders import cache_of, load, photo, zipped


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
