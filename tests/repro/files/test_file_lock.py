"""Locks: one owner of a folder, also while others remove it."""

import contextlib
import os
import threading
from pathlib import Path

import pytest

from repro.config import Settings
from repro.errors import InputError
from repro.files.file_lock import alone_in, lock
from repro.run import RunFolder


def test_a_lock_on_a_removed_file_is_taken_again(tmp_path, monkeypatch):
    """Between opening and locking, a run that could not start removes its folder."""
    folder, taken, flock = tmp_path / "run", [], __import__("fcntl").flock

    def slow(descriptor, how):
        if not taken:
            (folder / ".lock").unlink()
            folder.rmdir()
        taken.append(descriptor)
        flock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", slow)
    descriptor = lock(folder)
    assert len(taken) == 2 and os.path.samestat(os.fstat(descriptor), os.stat(folder / ".lock"))
    with pytest.raises(BlockingIOError):
        lock(folder)
    os.close(descriptor)
    os.close(lock(folder))


def test_two_runs_never_own_one_folder(tmp_path):
    """Threads that start a run in one folder: each fails, or owns it alone, and some fail late."""
    inside, most, errors, wins = 0, 0, [], 0
    counting = threading.Lock()

    def start(late):
        nonlocal inside, most, wins
        for _ in range(150):
            try:
                with RunFolder(tmp_path / "runs" / "one", Settings()):
                    with counting:
                        inside += 1
                        wins += 1
                        most = max(most, inside)
                    with counting:
                        inside -= 1
                    raise InputError(late)
            except InputError as error:
                if str(error) != late and "another process" not in str(error):
                    errors.append(str(error))

    threads = [threading.Thread(target=start, args=("no data",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and wins > 6 and not errors


def test_a_lock_that_is_a_link_leads_nowhere(tmp_path):
    """The lock of a folder from elsewhere may not empty a file of the user's."""
    (tmp_path / "mine").write_text("text")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match="run: cannot be written"):
        RunFolder(tmp_path / "run", Settings()).__enter__()
    assert (tmp_path / "mine").read_text() == "text"


def test_a_place_without_folders_is_not_called_in_use(monkeypatch, tmp_path):
    """No folder can be made below /proc; making one fails as if another process removed it."""

    def missing(*_, **__):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "mkdir", missing)
    with pytest.raises(InputError, match="run: cannot be written: No such file"):
        RunFolder(tmp_path / "run", Settings()).__enter__()


def test_others_wait_for_who_is_alone_in_a_folder(tmp_path, capsys):
    order, entered = [], threading.Event()

    def second():
        entered.wait()
        with alone_in(tmp_path / "cache", "download"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with alone_in(tmp_path / "cache", "download"):
        entered.set()
        with contextlib.suppress(TimeoutError):
            thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "waiting for the download of another process" in capsys.readouterr().err
