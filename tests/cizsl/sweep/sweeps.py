"""Configurations and processes of the sweeps in the tests."""

import json
import subprocess
from pathlib import Path

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs" / "cizsl" / "toy" / "toy_cub_easy.yaml")
STRICT = str(ROOT / "configs" / "cizsl" / "toy" / "toy_cub_easy_corrected.yaml")


def results(path):
    found = json.loads((path / "results.json").read_text())
    found.pop("seconds")
    return found


def children(of: int) -> dict[str, int]:
    """The training processes below a process: run folder and id."""
    found = {}
    for line in subprocess.check_output(
        ["ps", "-ww", "-eo", "pid,ppid,args"], text=True, timeout=ENOUGH
    ).splitlines():
        pid, parent, arguments = line.split(None, 2)
        if parent == str(of) and " train " in arguments:
            found[arguments.split("--out ")[1].split()[0]] = int(pid)
    return found
