"""The run folder: everything that is needed to trust, repeat and go on with a run.

    config.yaml        the resolved configuration
    environment.json   versions, git commit, device, checksums of the data files
    metrics.jsonl      one line per record, written as it happens
    results.json       the end result; it exists only when the run is complete
    *.png              figures
    checkpoints/       the newest two

One process at a time owns a folder (an advisory lock), and a folder that holds a run is refused
unless the run is to be resumed.
"""

import contextlib
import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Collection
from importlib import metadata
from pathlib import Path

import torch

from repro import config as configuration
from repro.checkpoint import write_atomically
from repro.errors import InputError

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pydantic")


class RunFolder:
    """A run folder that this process owns; use as a context manager.

    Args: ``path``; ``settings``, the resolved configuration; ``resume``, whether an existing run
    may be continued (its configuration must then be the same, but for ``free`` keys and sections,
    whose new values are written down).
    Raises :class:`InputError` if the folder is in use, holds another run, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: configuration.Settings,
        resume: bool = False,
        free: Collection[str] = ("data.root",),  # data may move: their checksums are compared
        accept_data: bool = False,
    ):
        self.path = Path(path)
        self.settings, self.resume, self.free = settings, resume, free
        self.accept_data = accept_data

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def started(self) -> bool:
        """Whether a run began here; one that could not start leaves none of these."""
        return (
            self.complete
            or (self.path / "environment.json").exists()
            or any(self.checkpoints.rglob("*.pt"))
        )

    @property
    def complete(self) -> bool:
        return (self.path / "results.json").exists()

    def __enter__(self) -> "RunFolder":
        self._made = [place for place in (self.path, *self.path.parents) if not place.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "w")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InputError(f"{self.path}: another process is writing this run") from None
        try:
            self._claim()
        except InputError:
            self._lock.close()
            raise
        for leftover in self.path.glob(".*.part"):  # of a process that was killed while writing
            leftover.unlink()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if kind is not None and issubclass(kind, InputError):
            self._vacate()
        self._lock.close()

    def _vacate(self) -> None:
        """A run that could not start, for want of data, leaves no folder that was not there."""
        ours = {file.name for file in self.path.iterdir()} <= {".lock", "config.yaml"}
        if not self._made or not ours:
            return
        (self.path / "config.yaml").unlink(missing_ok=True)
        (self.path / ".lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a folder above in which another run began meanwhile
            for place in self._made:
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
            words = [f"{key} {began.get(key)} here, {given.get(key)} given" for key in differing]
            raise InputError(
                f"{file}: differs from the configuration given; cannot resume: "
                f"{'; '.join(sorted(words))}"
            )

    def record_environment(self, found: dict) -> None:
        """Write ``environment.json``; in a resumed run, compare data files and device with it."""
        file = self.path / "environment.json"
        if not file.exists():
            self.write(file.name, found)
            return
        try:
            began = json.loads(file.read_text(encoding="utf-8"))
            changed = sorted(set(began["data_files"].items()) ^ set(found["data_files"].items()))
            before = began["device"].split(":")[0]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{file}: not the record of a run; without it, what the data were is not known"
            ) from None
        if changed:
            names = ", ".join(dict.fromkeys(name for name, _ in changed))
            raise InputError(f"{self.path}: data files changed since the run began: {names}")
        if before != found["device"].split(":")[0]:
            raise InputError(
                f"{self.path}: the run began on {before}; resume it with --device {before}"
            )

    def write(self, name: str, content: str | dict) -> Path:
        """Write a text file, or a dict as JSON, whole or not at all."""
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        write_atomically(self.path / name, lambda file: file.write(text), mode="w")
        return self.path / name

    def log(self, name: str, record: dict) -> None:
        """Append one JSON line to ``<name>.jsonl``."""
        file = self.path / f"{name}.jsonl"
        try:
            with open(file, "a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
        except OSError as error:
            raise InputError(f"{file}: cannot be written: {error.strerror}") from None

    def read_log(self, name: str) -> list[dict]:
        """The whole lines of ``<name>.jsonl``; a line cut off by a crash is left out."""
        file = self.path / f"{name}.jsonl"
        lines = file.read_text("utf-8", "replace").splitlines() if file.exists() else []
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return records

    def write_log(self, name: str, records: list[dict]) -> None:
        """Replace ``<name>.jsonl``: a resumed run writes what came after its checkpoint again."""
        self.write(f"{name}.jsonl", "".join(json.dumps(record) + "\n" for record in records))


def environment(device: torch.device | str, data_files: dict[str, str]) -> dict:
    """What the result depends on besides the configuration: JSON-ready.

    ``data_files`` maps the name of each data file to its SHA-256.
    """
    device = torch.device(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "packages": {package: metadata.version(package) for package in PACKAGES},
        "git_commit": _git_commit(),
        "command": sys.argv,
        "device": f"{device.type}: {name}",
        "threads": torch.get_num_threads(),
        "data_files": data_files,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _git_commit() -> str | None:
    """The commit of the source tree, with ``+changes`` if the tree differs from it."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+changes", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
