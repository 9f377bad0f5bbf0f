"""The directions in which modules import each other."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("repro", "cizsl", "sde")
# lowest first: a module may import what stands on its own floor or on a lower one
CIZSL = [
    {"repro"},
    {"cizsl.data"},
    {"cizsl.prepare"},
    # equations, networks, losses, configuration, build: all other files and folders; the score room
    # stands beside them, since build makes its generator from the configuration
    {"cizsl", "cizsl.score"},
    {"cizsl.training"},
    {"cizsl.report", "cizsl.sweep", "cizsl.predict"},
    {"cizsl.cli"},
    {"cizsl.__main__"},
]
SDE = [
    {"repro"},
    {"sde"},  # equations, networks, samplers, data, configuration: all other files and folders
    {"sde.training"},
    {"sde.evaluation"},
    {"sde.api"},
    {"sde.cli"},
    {"sde.__main__"},
]
FLOORS = {
    name: number for half in (CIZSL, SDE) for number, names in enumerate(half) for name in names
}
ALLOWED = {  # the packages that a room may import, where its floor would allow it more
    "repro": set(),
    "cizsl.data": {"repro"},
    "cizsl.prepare": {"repro", "cizsl.data"},
    "cizsl": {"repro", "cizsl.data", "cizsl.score"},  # the method knows no raw material
    "cizsl.score": {"repro", "cizsl.data", "cizsl", "sde"},
}
# The halves meet in one room: the score-based generator of features is made of score matching. It
# uses equations of sde and nothing that knows files, configurations or runs.
BRIDGE = "cizsl.score"
EQUATIONS = {"processes", "losses", "ema", "analytic", "samplers", "networks"}
EQUATIONS |= {"conditional.two_scores"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the three packages by its dotted name."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return {name.removesuffix(".__init__"): p for name, p in zip(names, paths, strict=True)}


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of the three packages that a module imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    homes = {home(name) for name in found if name.split(".")[0] in PACKAGES}
    return frozenset(homes - {module})


def home(name: str) -> str:
    """The module that a name is imported from."""
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    """The folder of a module, or the package where the folder has no floor of its own."""
    if module in FLOORS:
        return module
    folder = ".".join(modules()[module].parent.relative_to(ROOT).parts)
    return folder if folder in FLOORS else folder.split(".")[0]


def test_the_modules_are_found():
    assert {"cizsl.gan", "cizsl.data", "sde.reverse", "repro.run"} <= modules().keys()
    assert "cizsl.losses" in imported("cizsl.gan")
    assert len(modules()) > 100


def test_no_circle():
    """Imports within functions count: a circle that is closed late is one all the same."""
    try:
        list(TopologicalSorter({name: imported(name) for name in modules()}).static_order())
    except CycleError as error:
        pytest.fail(f"modules that import each other: {' -> '.join(error.args[1])}")


def test_nothing_imports_from_a_higher_floor():
    for module in modules():
        for other in imported(module):
            assert FLOORS[room(other)] <= FLOORS[room(module)], f"{module} imports {other}"


@pytest.mark.parametrize("name", ALLOWED)
def test_the_lower_rooms_import_only_what_they_may(name):
    own = [module for module in modules() if room(module) == name]
    assert own
    for module in own:
        for other in imported(module):
            assert room(other) in {name, *ALLOWED[name]}, f"{module} imports {other}"


def test_the_halves_meet_in_one_room():
    for module in modules():
        half = module.split(".")[0]
        tops = {other.split(".")[0] for other in imported(module)}
        if room(module) == BRIDGE:
            used = {other[4:] for other in imported(module) if other.startswith("sde.")}
            others = {name for name in used if not {name, name.split(".")[0]} & EQUATIONS}
            assert not others, f"{module} imports {others}"
            tops.discard("sde")
        assert tops <= {half, "repro"}, f"{module} imports {tops}"


def test_the_package_and_its_gan_do_not_load_the_other_half():
    probe = "import sys, cizsl, cizsl.build, cizsl.training.run; assert 'sde' not in sys.modules"
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True, timeout=ENOUGH)


def test_a_report_reads_files_and_no_internals_of_training():
    """It shares the typed models of a run's files with whatever wrote them, and nothing else."""
    for module in modules():
        if room(module) == "cizsl.report":
            inner = {other for other in imported(module) if room(other) == "cizsl.training"}
            assert inner <= {"cizsl.training.records"}, f"{module} imports {inner}"


PROBE = """
import sys
import cizsl.data
assert "numpy" not in sys.modules and "torch" not in sys.modules
load_birds = cizsl.data.load_birds
from cizsl.data import load_birds as again
assert again is load_birds and load_birds.__module__ == "cizsl.data.birds"
assert "torch" not in sys.modules and "cizsl.data.gbu" not in sys.modules
assert {"load", "ZSLData", "normalise"} <= set(dir(cizsl.data))
import cizsl.cli.sweep, cizsl.cli.table
assert "torch" not in sys.modules and "scipy.stats" not in sys.modules
"""


def test_a_reader_is_imported_alone():
    subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, check=True, timeout=ENOUGH)
