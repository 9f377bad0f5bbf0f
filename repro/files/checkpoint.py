"""Checkpoints that survive a crash at any moment, and a flipped bit on the disk.

A checkpoint is written to a temporary file, flushed to the disk and renamed into place; only then
is the one before the previous removed. At every moment at least one whole checkpoint exists. A
newest file that is cut short, or whose checksums are wrong, is skipped for the one before it. Files
hold tensors and plain Python values only and load with ``weights_only=True``: reading one never
runs code.
"""

import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.files.regular_file import open_regular

KEEP = 2


def save(folder: Path, step: int, state: dict) -> Path:
    """Write ``state`` as ``folder/step_<step>.pt``, keep the newest two, and return the path."""
    path = folder / f"step_{step:08d}.pt"
    write(path, state)
    prune(folder, KEEP)
    for leftover in folder.glob(".*.part"):  # of a process that was killed while writing
        leftover.unlink()
    return path


def write(path: Path, state: dict) -> None:
    """Write ``state`` to ``path`` atomically. Raises :class:`InputError` as on a full disk."""
    write_atomically(path, partial(_save, state))


def _save(state: dict, file: Any) -> None:
    try:
        torch.save(state, file)
    except RuntimeError as error:  # torch's archive hides the operating system's error in its own
        raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints."""
    for old in _newest_first(folder)[keep:]:
        old.unlink()


def load_newest(folder: Path, device: str | torch.device = "cpu") -> dict | None:
    """Return the newest whole checkpoint of ``folder``, or None where there is no checkpoint.

    A file that is damaged is named on stderr and the one before it is taken. Raises
    :class:`InputError` when checkpoints exist and none is whole.
    """
    paths = _newest_first(folder)
    for number, path in enumerate(paths, 1):
        try:
            return load(path, device)
        except InputError as error:
            after = "trying the one before it" if number < len(paths) else "there is none before it"
            print(f"warning: {error}; {after}", file=sys.stderr)
    if paths:
        raise InputError(f"{folder}: none of its {len(paths)} checkpoints is whole")
    return None


def load(path: Path, device: str | torch.device = "cpu") -> dict:
    """Return the content of one checkpoint file, whose checksums are compared first.

    Raises :class:`InputError` if the file is missing, is no checkpoint, or was changed since it was
    written.
    """
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint")
    try:
        with open_regular(path) as file:
            _check(file)
            file.seek(0)
            return torch.load(file, map_location=device, weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a damaged file
        # the last line of torch's advice is left out: it is to run whatever the file says
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
        reason = reason.partition(". ")[0][:200]
        raise InputError(f"{path}: not a whole checkpoint of torch.save ({reason})") from None


def _check(file: BinaryIO) -> None:
    """Compare the checksum of every part of a checkpoint, which ``torch.load`` does not.

    Raises ValueError where one is wrong. Files of torch before 1.6 are no archives and have none.
    """
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("compressed, which torch.save never does")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"), reverse=True)
