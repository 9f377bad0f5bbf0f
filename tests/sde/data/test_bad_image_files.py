"""Files that are no images, hostile zips and full disks are refused with one line."""

import errno
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repro.errors import InputError
from sde.data import cache
from tests.sde.data.image_folders import load, photo, pixels, zipped


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


def test_a_shortage_of_the_machine_is_no_fault_of_a_file(classes, monkeypatch):
    """With skip_bad the file would be left out of the cache, although it is whole."""

    def short(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", short)
    with pytest.raises((InputError, OSError), match="Too many open files") as caught:
        load(classes[0], skip_bad=True)
    assert "skip_bad" not in str(caught.value)
    monkeypatch.undo()
    assert load(classes[0], skip_bad=True).skipped in ((), [])
