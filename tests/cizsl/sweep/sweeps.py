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
    return {
        arguments.split("--out ")[1].split()[0]: pid
        for pid, arguments in _below(of)
        if " train " in arguments
    }


def server(of: int) -> int:
    """The id of the process that forks the runs of a sweep."""
    (found,) = (pid for pid, arguments in _below(of) if "cizsl.cli.forks" in arguments)
    return found


def _below(process: int) -> list[tuple[int, str]]:
    command = ["ps", "-ww", "-eo", "pid,ppid,args"]
    lines = subprocess.check_output(command, text=True, timeout=ENOUGH).splitlines()
    found = [line.split(None, 2) for line in lines]
    return [(int(pid), arguments) for pid, parent, arguments in found if parent == str(process)]
