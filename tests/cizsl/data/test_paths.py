"""Paths that no file can have, and files without an end: one line, and nothing written."""

import os

import numpy as np
import pytest

from cizsl import data
from cizsl.cli.parser import main
from cizsl.data import birds_layout, convert, matfile
from repro.errors import InputError
from repro.files.safe_npz import read_arrays

LONG, FOREIGN = "x" * 300, os.fsdecode(b"caf\xe9")
PATHS = {
    "too long": LONG,
    "too long within": f"sub/{LONG}",
    "NUL": "a\0b",
    "no such user": "~nosuchuser",
    "not UTF-8": FOREIGN,
    "a device": "/dev/zero",
    "a pipe": "pipe",
    "nothing": "",
}
READING = ("verify {}", "inspect {}", "text {} --out o", "splits {} --families last-word")
READING += ("convert {} new.npz", "splits o --classes classes.txt --families {}")
READING += ("splits o --classes classes.txt --from {}", "images {} --out o --backbone a:b")
READING += ("text articles --out o --classes {}", "text articles --out o --vocabulary {}")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a pipe to which nobody writes."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    (tmp_path / "classes.txt").write_text("wren\n")
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "wren.txt").write_text("A small bird.")
    return tmp_path


def run(*words):
    try:
        return main(["data", *words])
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("command", READING)
def test_a_command_says_so_in_one_line(folder, capfd, command, path):
    before = sorted(os.listdir())
    assert run(*(PATHS[path] if word == "{}" else word for word in command.split())) == 2
    out, err = capfd.readouterr()
    assert len(err.splitlines()) + sum(line.startswith("error") for line in out.splitlines()) == 1
    assert "Traceback" not in err and sorted(os.listdir()) == before


@pytest.mark.parametrize("path", ["too long", "too long within", "NUL", "no such user", "nothing"])
@pytest.mark.parametrize("command", ["toy {}", "text articles --out {}", "convert articles {}"])
def test_nothing_is_left_where_nothing_can_be_written(folder, capfd, command, path):
    before = sorted(os.listdir())
    assert run(*(PATHS[path] if word == "{}" else word for word in command.split())) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1 and sorted(os.listdir()) == before


@pytest.mark.parametrize("root", [LONG, f"sub/{LONG}", "a\0b", FOREIGN, "~nosuchuser", "pipe"])
def test_loading_says_so_too(folder, root):
    for layout, split in (("published", "easy"), ("npz", "easy"), ("gbu", "PS")):
        with pytest.raises(InputError) as caught:
            data.load(root, "CUB", split, layout)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        convert.read_folder(root)


def test_a_folder_without_permission(folder, monkeypatch):
    (folder / "CUB2011").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: "CUB2011" not in str(path))  # also of root
    with pytest.raises(InputError, match=r"CUB2011: cannot be read: Permission denied"):
        data.load_birds(folder)


READERS = {
    "labels": birds_layout.read_labels,
    "lines": birds_layout.read_lines,
    "MAT": lambda path: list(matfile.mat_variables(path)),
    "npz": lambda path: read_arrays(path, lambda name: True),
}


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_waits_for_a_file_without_an_end(folder, reader):
    for path in (folder / "pipe", "/dev/zero"):
        with pytest.raises(InputError, match="not a regular file"):
            READERS[reader](path)


def test_unknown_arrays_are_not_read(folder):
    """A file of 300 kB whose arrays take 300 MB, of which nobody asks for one."""
    np.savez_compressed("a.npz", large=np.zeros(300_000_000, np.int8), small=np.arange(3))
    with pytest.raises(InputError, match="bytes would unpack to 3000"):
        read_arrays("a.npz", {"small"}.__contains__)
    np.savez("a.npz", large=np.zeros(1000), small=np.arange(3))
    arrays, headers = read_arrays("a.npz", {"small"}.__contains__)
    assert list(arrays) == ["small"] and headers["large"].shape == (1000,)


def test_a_compressed_matrix_of_a_size_that_no_file_has(folder):
    """300 MB of zeros in a variable of 300 kB."""
    matrix = np.zeros((300, 1_000_000), np.int8)
    from scipy.io import savemat

    savemat("a.mat", {"pfc_feat": matrix}, do_compression=True)
    with pytest.raises(InputError, match="bytes would unpack to 3000"):
        next(matfile.mat_variables(folder / "a.mat"))
