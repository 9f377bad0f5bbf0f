"""The run folder: everything that is needed to trust, repeat and go on with a run.

    config.yaml        the resolved configuration
    environment.json   versions, git commit, device, checksums of the data files
    metrics.jsonl      one line per record, written as it happens
    results.json       the end result; it exists only when the run is complete
    *.png              figures
    checkpoints/       the newest two

One process at a time owns a folder (an advisory lock), and a folder that holds a run is refused
unless the run is to be resumed. A record counts as written once it is on the disk, so that a power
cut takes no line of a run that goes on.
"""

import contextlib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from repro import config as configuration
from repro.environment import Environment
from repro.errors import InputError
from repro.files import json_file
from repro.files.atomic import flush_folder, write_atomically
from repro.files.file_lock import NAME as LOCK
from repro.files.file_lock import lock
from repro.files.paths import expanded
from repro.wording import shown

Config = TypeVar("Config", bound=configuration.Settings)


class RunFolder(Generic[Config]):
    """A run folder that this process owns; use it as a context manager.

    Args:
        path: the folder, which is made where it is missing.
        settings: the resolved configuration.
        resume: whether an existing run may be continued. Its configuration must then be the same.
        free: keys and sections that may differ nevertheless; their new values are written down.
            The place of the data is one: the checksums of the files are compared.
        accept_data: whether a resumed run may go on with other data files than it began with.

    Raises :class:`InputError` on entry if the folder is in use, holds another run, or cannot be
    written; no folder is then left that was not there.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Config,
        resume: bool = False,
        free: Collection[str] = ("data.root",),
        accept_data: bool = False,
    ):
        self.path = expanded(path)
        self.settings, self.resume, self.free = settings, resume, free
        self.accept_data = accept_data

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def started(self) -> bool:
        """Whether a run began here. A run that could not start leaves none of these files."""
        return (
            self.complete
            or (self.path / "environment.json").exists()
            or any(self.checkpoints.rglob("*.pt"))
        )

    @property
    def complete(self) -> bool:
        return (self.path / "results.json").exists()

    def __enter__(self) -> "RunFolder[Config]":
        self._made: list[Path] = []
        try:
            self._made = [place for place in (self.path, *self.path.parents) if not place.exists()]
            self._lock = lock(self.path)
        except BlockingIOError:
            raise InputError(f"{self.path}: another process is writing this run") from None
        except OSError as error:
            self._remove_folders()
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None
        try:
            self._claim()
            for leftover in self.path.glob(".*.part"):  # of a process that was killed while writing
                leftover.unlink()
        except BaseException:
            self._vacate()
            os.close(self._lock)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if kind is not None and issubclass(kind, InputError):
            self._vacate()
        os.close(self._lock)

    def _vacate(self) -> None:
        """Remove the folder of a run that could not start, for want of data for instance."""
        try:
            names = {file.name for file in self.path.iterdir()}
        except OSError:
            return
        if not self._made or not names <= {LOCK, "config.yaml"}:
            return
        (self.path / "config.yaml").unlink(missing_ok=True)
        (self.path / LOCK).unlink(missing_ok=True)
        self._remove_folders()

    def _remove_folders(self) -> None:
        """Remove the folders that this process made, but for those in which another run began."""
        for place in self._made:
            with contextlib.suppress(OSError):
                place.rmdir()

    def _claim(self) -> None:
        """Write the configuration into a new folder, or compare it with the one there."""
        if not self.started:
            self.write("config.yaml", configuration.dump(self.settings))
        elif not self.resume:
            raise InputError(
                f"{self.path}: holds a run already; add --resume to go on with it, or give another "
                "folder with --out"
            )
        else:
            self.compare()
            if not self.complete:
                self.write("config.yaml", configuration.dump(self.settings))

    def compare(self) -> None:
        """Raise :class:`InputError` if the run in the folder has another configuration.

        Values are compared: a setting that is newer than the run has its default there."""
        file = self.path / "config.yaml"
        began = configuration.leaves(configuration.load(file, type(self.settings)).model_dump())
        given = configuration.leaves(self.settings.model_dump())
        keys = began.keys() | given.keys()
        fixed = [key for key in keys if not {key, key.split(".")[0]} & {*self.free}]
        differing = [key for key in fixed if began.get(key) != given.get(key)]
        if differing:
            words = [
                f"{key} {shown(began.get(key))} here, {shown(given.get(key))} given"
                for key in differing
            ]
            raise InputError(
                f"{file}: differs from the configuration given; cannot resume: "
                f"{'; '.join(sorted(words))}"
            )

    def record_environment(self, found: dict) -> None:
        """Write ``environment.json``, or compare it with what a resumed run finds.

        Args:
            found: what :func:`repro.environment.environment` returns.

        Raises :class:`InputError` where a resumed run has lost its record or began on another kind
        of device, and where data files changed; ``accept_data`` allows the first and the last.
        """
        began = self._began()
        if began is None:
            self.write("environment.json", found)
            return
        now = Environment.model_validate(found)
        if began.device_type != now.device_type:
            raise InputError(
                f"{self.path}: the run began on {began.device_type}; resume it with --device "
                f"{began.device_type}"
            )
        changed = sorted(set(began.data_files.items()) ^ set(now.data_files.items()))
        if not changed:
            return
        names = ", ".join(dict.fromkeys(name for name, _ in changed))
        said = f"{self.path}: data files changed since the run began: {names}"
        if not self.accept_data:
            raise InputError(f"{said}; --accept-data goes on with them")
        print(f"warning: {said}", file=sys.stderr)
        self.write("environment.json", found | {"data_files_before": began.data_files})

    def _began(self) -> Environment | None:
        """The record of a resumed run; None for a new run, and where a lost record is accepted."""
        file = self.path / "environment.json"
        if not file.exists() and not self.started:
            return None
        try:
            return json_file.read_model(file, Environment)
        except InputError as error:
            if self.accept_data:
                print(f"warning: {error}", file=sys.stderr)
                return None
            raise InputError(
                f"{error}; without this record it is not known whether the data are those that the "
                "run began with; --accept-data goes on"
            ) from None

    def write(self, name: str, content: str | dict) -> Path:
        """Write a text file, or a dict as JSON, whole or not at all."""
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        write_atomically(self.path / name, lambda file: file.write(text), mode="w")
        return self.path / name

    def log(self, name: str, record: Mapping[str, Any]) -> None:
        """Append one JSON line to ``<name>.jsonl`` and flush it to the disk."""
        file = self.path / f"{name}.jsonl"
        new = not file.exists()
        try:
            with open(file, "a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
                log.flush()
                os.fsync(log.fileno())
            if new:
                flush_folder(self.path)
        except OSError as error:
            raise InputError(f"{file}: cannot be written: {error.strerror}") from None

    def read_log(self, name: str) -> list[dict]:
        """Return the records of ``<name>.jsonl``; a line cut off by a crash is left out.

        Raises :class:`InputError` where another line is damaged.
        """
        return json_file.read_lines(self.path / f"{name}.jsonl")

    def write_log(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Replace ``<name>.jsonl``: a resumed run writes what came after its checkpoint again."""
        self.write(f"{name}.jsonl", "".join(json.dumps(record) + "\n" for record in records))
