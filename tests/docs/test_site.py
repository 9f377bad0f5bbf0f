"""The site of docs/ builds without a warning, and every module has its place in it."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docs"))
import api_pages  # noqa: E402

PACKAGES = ("cizsl", "sde", "repro")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_listed_once(package):
    listed = re.findall(rf"^   ({package}\.[\w.]+)$", api_pages.page(package), re.M)
    paths = (path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))
    modules = [".".join(path.with_suffix("").parts) for path in paths if path.stem[:2] != "__"]
    assert len(modules) > 15 and sorted(listed) == sorted(modules)
    assert set(api_pages.READING_ORDER[package]) <= set(api_pages.modules(package)[""])


def test_the_site_builds_without_a_warning(tmp_path):
    """With Sphinx's plainest theme, which has all the warnings and half the cost of ours."""
    missing = [name for name in ("sphinx", "myst_parser") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install -c constraints.txt -e '.[docs]'")
    cheap = ["-D", "html_theme=basic", "-D", "html_use_index=0"]
    strict = ["-q", "-W", "--keep-going", "-d", tmp_path / "doctrees"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *strict, *cheap, ROOT / "docs", tmp_path / "site"],
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site/api/generated/sde.reverse.html").read_text()
    assert "reverse SDE:       dx = (f x - g^2 score(x, t)) dt + g dw" in page
    assert 'href="api/generated/sde.reverse.html"' in (tmp_path / "site/theory.html").read_text()
