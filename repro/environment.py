"""What a result depends on besides its configuration: versions, commit, device, data files."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    import torch

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pydantic")


class Environment(BaseModel):
    """The part of ``environment.json`` that a resumed run compares.

    ``device``: its type and name (``cpu: ...``); ``data_files``: the SHA-256 of each by its name.
    """

    device: str = Field(max_length=1000)
    data_files: dict[str, str]

    @property
    def device_type(self) -> str:
        return self.device.split(":")[0]


def environment(device: "torch.device | str", data_files: dict[str, str]) -> dict:
    """Return the content of ``environment.json``.

    Args:
        device: the device of the computation.
        data_files: the SHA-256 of each data file by its name.
    """
    import torch  # which takes seconds, and the readers of run folders do without

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
