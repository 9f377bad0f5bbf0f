"""What the machine cannot do: one line that names the file, and nothing left of a new folder."""

import errno
import os
import sys

import pytest

from cizsl.cli.parser import main
from cizsl.prepare import toy_birds
from repro.cli import parser
from repro.files import atomic
from tests.cizsl.cli.test_cli import CONFIGS, TINY
from tests.helpers.run_folders import write_run

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full(*_):
    raise FULL


@pytest.fixture
def refused(capsys):
    """A function that runs a command and returns its one line."""

    def run(*arguments):
        assert main([*map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


@pytest.mark.parametrize("form", ["html", "csv", "latex"])
def test_a_table_that_cannot_be_written_is_said_once(form, refused, tmp_path, monkeypatch):
    run, file = write_run(tmp_path / "run"), tmp_path / "table"
    monkeypatch.setattr(atomic.os, "fsync", full)
    line = refused("table", run, f"--{form}", file)
    assert line == f"cizsl: error: {file}: cannot be written: {FULL.strerror}"
    assert not file.exists()


def test_toy_data_name_their_folder(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(toy_birds, "tfidf", full)  # the writers of files have no name to give
    line = refused("data", "toy", tmp_path / "toy")
    assert line == f"cizsl: error: {tmp_path / 'toy'}: cannot be written: {FULL.strerror}"
    assert list((tmp_path / "toy").iterdir()) == []


def test_a_logger_that_is_missing_leaves_no_folder(refused, toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    command = ["train", CONFIGS / "toy" / "toy_cub_easy.yaml", f"data.root={toy}", *TINY]
    line = refused(*command, "compute.logger=tensorboard", "--out", tmp_path / "run")
    assert "TensorBoard is not installed" in line and not (tmp_path / "run").exists()


def test_versions_are_looked_up_only_where_they_are_asked_for(refused, tmp_path, monkeypatch):
    """With too many open files, their look-up failed before a command could say so."""
    monkeypatch.setattr(parser.metadata, "version", full)
    assert "holds no finished run" in refused("evaluate", tmp_path)
