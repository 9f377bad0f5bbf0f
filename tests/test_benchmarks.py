"""The benchmarks start on a plain copy of the files, found by PYTHONPATH alone."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.waiting import ENOUGH

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*ROOT.glob("benchmarks/bench_*.py"), *ROOT.glob("benchmarks/quality_*.py")])
HELP = """
import contextlib, io, runpy, sys
import cizsl, tests.helpers.oracles
for script in sys.argv[1:]:
    sys.path[0] = script.rpartition("/")[0]  # as when it is started by its path
    sys.argv, said = [script, "--help"], io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
        runpy.run_path(script, run_name="__main__")
    assert "usage" in said.getvalue(), script
print(cizsl.__file__, tests.helpers.oracles.__file__)
"""


def test_every_benchmark_starts_without_an_installation(tmp_path):
    assert len(SCRIPTS) >= 6
    done = subprocess.run(
        [sys.executable, "-c", HELP, *map(str, SCRIPTS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=ENOUGH,
    )
    assert done.returncode == 0, done.stderr
    assert all(Path(path).is_relative_to(ROOT) for path in done.stdout.split())
