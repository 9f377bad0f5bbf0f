"""A wheel carries all that an installation needs: packages, configurations, schemas, types."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[1]
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CITATION.cff")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built offline from a copy of the sources, and unpacked."""
    top = tmp_path_factory.mktemp("wheel")
    source = top / "source"
    source.mkdir()
    for folder in ("cizsl", "sde", "repro", "configs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("*.pyc"))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", "-q", *offline, "-w", top, source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENOUGH)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = top.glob("*.whl")
    with zipfile.ZipFile(found) as file:
        file.extractall(top / "unpacked")
    return top / "unpacked"


def python(wheel, folder, *arguments):
    """What ``python ARGUMENTS`` prints in ``folder``, where only the wheel can be imported."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(wheel), OMP_NUM_THREADS="1"),
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_sources_is_in_the_wheel(wheel):
    for folder, inside in {"cizsl": "cizsl", "sde": "sde", "repro": "repro"}.items():
        sources = {p for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix != ".pyc"}
        missing = {
            p for p in sources if not (wheel / inside / p.relative_to(ROOT / folder)).is_file()
        }
        assert len(sources) > 15 and not missing
    configs = [path for path in (ROOT / "configs").rglob("*") if path.is_file()]
    assert {path.suffix for path in configs} == {".yaml", ".json"}
    for path in configs:
        inside = wheel / "repro" / "configs" / path.relative_to(ROOT / "configs")
        assert inside.read_bytes() == path.read_bytes()
    assert all((wheel / package / "py.typed").is_file() for package in ("cizsl", "sde", "repro"))


def test_the_wheel_works_in_an_empty_folder(wheel, tmp_path):
    shown = python(wheel, tmp_path, "-m", "cizsl", "config", "show", "toy_cub_easy")
    assert yaml.safe_load(shown)["data"]["dataset"] == "CUB"
    shown = python(wheel, tmp_path, "-m", "sde", "config", "show", "eight_gaussians")
    assert yaml.safe_load(shown)["data"]["name"] == "eight_gaussians"
    python(wheel, tmp_path, "-m", "cizsl", "data", "toy", "data/toy")
    assert list((tmp_path / "data/toy").rglob("*.mat"))


def test_its_commands_are_those_of_the_sources(wheel, tmp_path):
    (entries,) = wheel.glob("*.dist-info/entry_points.txt")
    named = dict(line.split(" = ") for line in entries.read_text().splitlines() if " = " in line)
    assert sorted(named) == ["cizsl", "sde"]
    for command, target in named.items():
        module, function = target.split(":")
        code = f"import {module} as m; print(m.__file__); m.{function}(['--help'])"
        told = python(wheel, tmp_path, "-c", code)
        assert told.startswith(str(wheel)) and f"usage: {command}" in told
