"""Paths that cannot be used are one line, and nothing is left behind."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from repro.errors import InputError
from sde.data import registry
from sde.data.paths import printable, user_path

BAD = {
    "a\0b": "holds no NUL character",
    "x" * 300: "a name of 300 bytes",
    "~nosuchuser/photos": "no such user",
}


@pytest.mark.parametrize("path", BAD, ids=["NUL", "300 characters", "no such user"])
@pytest.mark.parametrize("key", ["path", "heldout_path", "root"])
def test_paths_that_no_file_can_have(tmp_path, monkeypatch, path, key):
    monkeypatch.chdir(tmp_path)
    os.mkdir("photos")
    places = dict(path="photos", root="root") | {key: path}
    with pytest.raises(InputError, match=f"data.{key}: .*{BAD[path]}") as caught:
        registry.load("folder", **places)
    assert "\n" not in str(caught.value) and "\0" not in str(caught.value)
    assert os.listdir() == ["photos"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    """As the system answers a user who is not root."""
    closed, scandir = tmp_path / "photos" / "closed", os.scandir
    closed.mkdir(parents=True)

    def refuse(path):
        if str(path) == str(closed):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="closed: cannot be read: Permission denied"):
        registry.load("folder", path=str(tmp_path / "photos"), root=str(tmp_path / "root"))
    assert not (tmp_path / "root").exists()


def test_names_that_are_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path / "photos") + b"\xff"
    for name in (b"a\xfe", b"b"):
        os.makedirs(folder + b"/" + name)
        for i in range(3):
            pixels = np.full((4, 4, 3), i, np.uint8)
            Image.fromarray(pixels).save(os.fsdecode(folder + b"/" + name + b"/%d\xfd.png" % i))
    loaded = registry.load("folder", path=os.fsdecode(folder), root=str(tmp_path), heldout=2)
    assert loaded.spec.name == "photos\\udcff, images cut into 4 + 2"
    assert loaded.spec.classes == ("a\\udcfe", "b")
    assert loaded.in_words().encode("utf-8")


def test_a_path_that_does_not_exist_is_returned(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/none", "data.path") == tmp_path / "none"
    assert printable("photos") == "photos"
