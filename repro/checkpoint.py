"""Checkpoints that survive a crash at any moment.

A checkpoint is written to a temporary file, flushed to the disk and renamed into place; only then
is the one before the previous removed. So at every instant at least one whole checkpoint exists,
and a truncated newest one falls back to its predecessor. Files hold tensors and plain Python
values only and load with ``weights_only=True``: reading one never runs code.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from repro.errors import InputError

KEEP = 2


def write_atomically(path: Path, write: Callable[[Any], None], mode: str = "wb") -> None:
    """Call ``write(file)`` on a temporary file beside ``path`` and rename it into place. Text is
    UTF-8. Raises :class:`InputError` where it cannot be written, on a full disk for instance."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
        _flush_folder(path.parent)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        raise


def save(folder: Path, step: int, state: dict) -> Path:
    """Write ``state`` as ``folder/step_<step>.pt`` and keep the newest two."""
    path = folder / f"step_{step:08d}.pt"
    write_atomically(path, partial(_save, state))
    prune(folder, KEEP)
    for leftover in folder.glob(".*.part"):  # of a process that was killed while writing
        leftover.unlink()
    return path


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
    """The newest whole checkpoint of ``folder``, or None where there is none at all.

    A file that cannot be read is named on stderr and the one before is taken. Raises
    :class:`InputError` when checkpoints exist and none is whole.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return load(path, device)
        except InputError as error:
            print(f"warning: {error}; trying the one before it", file=sys.stderr)
    if paths:
        raise InputError(f"{folder}: none of its {len(paths)} checkpoints is whole")
    return None


def load(path: Path, device: str | torch.device = "cpu") -> dict:
    """One checkpoint file. Raises :class:`InputError` if it is missing, truncated or not ours."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch raises half a dozen types for a damaged file
        # not torch's advice, which is to run whatever the file says
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
        reason = reason.partition(". ")[0]
        raise InputError(f"{path}: not a whole checkpoint of torch.save ({reason})") from None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"), reverse=True)


def _flush_folder(path: Path) -> None:
    """Make the renaming itself survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
