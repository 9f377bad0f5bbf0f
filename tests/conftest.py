"""Fixtures that every test folder shares."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

from tests.helpers.skips import (  # noqa: F401 (pytest finds its hooks by these names)
    pytest_addoption,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

# The same examples on every machine, however slow: a suite that fails by chance teaches nothing.
settings.register_profile(
    "tests", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")
# processes that a test starts share the cores with the other worker of pytest
os.environ.setdefault("OMP_NUM_THREADS", os.environ.get("TEST_THREADS", "1"))
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def threads():
    """One thread for each worker of pytest, which share the cores; TEST_THREADS says otherwise."""
    torch.set_num_threads(int(os.environ.get("TEST_THREADS", "1")))


@pytest.fixture(autouse=True)
def no_gpu_but_for_its_tests(request, monkeypatch):
    """Where there is a GPU, only tests marked ``gpu`` see it: the others mean the CPU's numbers."""
    if not request.node.get_closest_marker("gpu") and torch.cuda.is_available():
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # of processes that a test starts


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are saved as an empty picture: drawing takes over half of the time of a tiny run.

    For tests of what a run computes and keeps; those of figures, pages, commands, scripts and
    tutorials draw.
    """

    def savefig(self, file, **how):
        if how.get("format") == "svg":
            file.write("<svg/>")
        else:
            Image.new("L", (1, 1)).save(file, "png")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)


@pytest.fixture
def golden():
    """``golden(name)``: a recorded file of the published code, from the excerpts in tests/golden
    or from the development files; the test skips, saying so, where it is in neither."""

    def find(name):
        for folder in (Path(__file__).parent / "golden", SHARED / "golden"):
            if (folder / name).exists():
                return folder / name
        pytest.skip(f"needs {name}, one of the development files in {SHARED / 'golden'}")

    return find


@pytest.fixture
def shared():
    """The folder of real files and golden vectors beside a developer's checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the development files in {SHARED}, which are not here")
    return SHARED


def pytest_collection_modifyitems(items):
    """Tests marked ``gpu`` skip themselves where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
