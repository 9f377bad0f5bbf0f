"""The limit on skipped tests, in a pytest of its own, with and without workers."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.skips import limits_by_reason
from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.parametrize("number", range(3))
@pytest.mark.skip(reason="needs a CUDA device")
def test_without_a_gpu(number):
    pass

def test_without_files():
    pytest.skip("needs a.npz, one of the development files")
"""


@pytest.mark.parametrize(
    ("workers", "limits", "code", "said"),
    [
        (0, ["gpu=3", "shared=1"], 0, "4 skipped"),
        (0, ["gpu=3"], 1, "1 tests skipped for the reason 'shared': expected at most 0"),
        (2, ["gpu=2", "shared=1"], 1, "3 tests skipped for the reason 'gpu': expected at most 2"),
    ],
)
def test_more_skips_than_expected_fail(tmp_path, workers, limits, code, said):
    (tmp_path / "test_few.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text("from tests.helpers.skips import *")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}")
    command = [sys.executable, "-m", "pytest", "-n", str(workers), "-p", "no:cacheprovider"]
    for limit in limits:
        command += ["--most-skips", limit]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=ENOUGH)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("option", ["gpus=3", "gpu", "gpu=-1", "gpu=many"])
def test_a_limit_that_is_none_is_refused(option):
    with pytest.raises(pytest.UsageError, match=f"--most-skips {option}: expected REASON=N"):
        limits_by_reason([option])
