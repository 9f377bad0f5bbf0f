"""Looking at data writes nothing: no download, no cache."""

import os

import numpy as np
import pytest
from PIL import Image

from repro.errors import InputError
from sde.data import image_datasets, registry
from sde.data.catalogue import MIRRORS


@pytest.fixture
def photos(tmp_path):
    for i in range(6):
        place = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 40 * i, np.uint8)).save(place)
    return dict(path=str(tmp_path / "photos"), root=str(tmp_path / "root"), heldout=2)


def test_images_are_decoded_without_a_cache_and_are_the_same(photos, tmp_path):
    looked = registry.load("folder", **photos, read_only=True)
    assert os.listdir(tmp_path) == ["photos"]
    assert looked.checksums == registry.load("folder", **photos).checksums
    (cached,) = (tmp_path / "root" / ".cache").glob("*.npy")
    before = cached.stat().st_mtime_ns
    assert registry.load("folder", **photos, read_only=True).checksums == looked.checksums
    assert cached.stat().st_mtime_ns == before


def test_a_damaged_cache_is_one_line(photos, tmp_path):
    registry.load("folder", **photos)
    (cached,) = (tmp_path / "root" / ".cache").glob("*.npy")
    for file in (cached, cached.with_suffix(".json")):
        content = file.read_bytes()
        for damaged in (b"", b"[]", b"\xff" * 40, content[:1]):
            file.write_bytes(damaged)
            with pytest.raises(InputError, match=r"damaged .*; remove it") as caught:
                registry.load("folder", **photos)
            assert "\n" not in str(caught.value)
        file.write_bytes(content)
    assert len(registry.load("folder", **photos).train) == 4


@pytest.mark.parametrize(("name", "count"), [("mnist", 4), ("fashion_mnist", 4), ("cifar10", 1)])
def test_missing_files_are_named_with_the_command_that_fetches_them(
    tmp_path, monkeypatch, name, count
):
    monkeypatch.setattr(image_datasets, "fetch", lambda *_: pytest.fail("fetched"))
    with pytest.raises(InputError, match="nothing was downloaded") as caught:
        registry.load(name, root=str(tmp_path / "data"), read_only=True)
    said = str(caught.value)
    assert said.count(".gz") == count and MIRRORS[name][0] in said
    assert f"sde data download {name} --root {tmp_path / 'data'}" in said
    assert not os.listdir(tmp_path)


def test_download_fetches_what_is_missing_alone(tmp_path, monkeypatch):
    asked = []

    def fetch(name, file, folder):
        asked.append(file)
        return folder / file

    monkeypatch.setattr(image_datasets, "fetch", fetch)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(b"there")
    paths = image_datasets.download("mnist", tmp_path)
    assert [path.name for path in paths] == ["train-images-idx3-ubyte", *asked]
    assert len(asked) == 3
