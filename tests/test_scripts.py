"""scripts/run.sh: its arguments, in a copy of the scripts whose `cizsl` trains nothing.

The copy has a virtual environment of two commands. `sde` writes its arguments to a log. `cizsl`
does so too, and carries out what begins with `data`, with the checksums of the toy birds in the
place of the published ones: so files really come from a server, and are verified.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cizsl.data.birds_layout import LAYOUTS
from cizsl.prepare.download import THERE, git_sha1
from cizsl.prepare.toy_birds import make_toy
from tests.helpers.file_server import serving
from tests.helpers.waiting import ENOUGH, wait_for

ROOT = Path(__file__).resolve().parents[1]
COMMAND = """#!{python}
import sys
from pathlib import Path
with open("log", "a") as log:
    print("{name}", *sys.argv[1:], file=log)
if sys.argv[1] == "data":
    from cizsl.cli.parser import main
    from cizsl.prepare import download
    download.LISTED["CUB"] = {listed}
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder CUB2011 of toy birds under the published names."""
    folder = tmp_path_factory.mktemp("toy")
    make_toy(folder)
    return folder / "CUB2011"


@pytest.fixture
def checkout(tmp_path, toy):
    """A copy of the scripts and an environment that is ready."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    place = tmp_path / ".venv/bin"
    place.mkdir(parents=True)
    listed = {name: git_sha1(toy / name) for name in names()}
    for name in ("cizsl", "sde"):
        content = COMMAND.format(python=sys.executable, name=name, listed=listed)
        (place / name).write_text(content)
        (place / name).chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    return tmp_path


def names():
    layout = LAYOUTS["CUB"]
    splits = [name for split in ("easy", "hard") for name in layout[split].values()]
    return [layout["text"], layout["terms"], *splits]


def run(checkout, *arguments, mirror=None):
    """Start run.sh; return the exit code, what it said, and the commands that it started."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | (
        {"CIZSL_MIRROR": mirror} if mirror else {}
    )
    done = subprocess.run(
        ["bash", "scripts/run.sh", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=ENOUGH,
    )
    log = checkout / "log"
    return done.returncode, done.stderr, log.read_text().splitlines() if log.exists() else []


def test_download_comes_first_and_the_cells_follow_with_the_arguments(checkout, toy):
    content = {THERE.get(name, name): (toy / name).read_bytes() for name in names()}
    with serving(content) as server:
        code, said, log = run(checkout, "--download", "cizsl", "seed=1", mirror=server.address)
    assert code == 0, said
    assert log[0] == f"cizsl data download cub --mirror {server.address}"
    assert {path.name for path in (checkout / "data/CUB2011").iterdir()} == set(names())
    trained = [line.split()[2] for line in log if line.startswith("cizsl train")]
    assert trained == [
        f"cub_{split}{method}"
        for split in ("easy", "hard")
        for method in ("_gazsl", "", "_gazsl_corrected", "_corrected")
    ]
    assert all(line.endswith("seed=1") for line in log if " train " in line)
    assert log[-2:] == [
        "cizsl baselines cub_easy cub_hard seed=1",
        "cizsl table runs --html runs/table.html",
    ]
    assert "no NABirds" in said and not any("nab" in line for line in log)


def test_without_published_files_the_built_in_birds_are_taken(checkout):
    code, said, log = run(checkout, "cizsl", "seed=3", "optimiser.iterations=5")
    assert code == 0 and "real" in said and "not the published features" in said
    cells = [f"compact_{split}" for split in ("easy", "hard")]
    methods = ("gaussian", "gazsl", "cizsl", "score")
    configs = [f"{cell}_{method}" for cell in cells for method in methods]
    assert all(list((ROOT / "configs/cizsl/birds").glob(f"{name}.yaml")) for name in configs)
    settings = "optimiser.iterations=5"
    assert log == [
        "cizsl data cells data",
        f"cizsl baselines {' '.join(f'{cell}_gazsl' for cell in cells)} {settings}",
        f"cizsl sweep {' '.join(configs)} --seeds 3 --jobs 2 {settings}",
        "cizsl table runs --html runs/table.html",
    ]


def test_nabirds_are_fetched_where_the_features_of_training_are_there(checkout):
    (checkout / "data/NABird").mkdir(parents=True)
    (checkout / "data/NABird/pfc_feat_train_hard.mat").touch()
    (checkout / ".venv/bin/cizsl").write_text("#!/bin/sh\necho cizsl $* >> log\n")
    code, said, log = run(checkout, "--download", "sde", "seed=2")
    assert code == 0, said
    assert log[:2] == ["cizsl data download cub", "cizsl data download nab"]
    assert log[2] == "sde train digits --out runs/digits/seed-2 --resume seed=2"


def test_a_download_that_fails_ends_the_script(checkout):
    with serving({}) as server:
        code, said, log = run(checkout, "--download", mirror=server.address)
    assert code == 2 and "could not be fetched" in said and len(log) == 1


def test_without_the_option_nothing_is_fetched(checkout):
    (checkout / ".venv/bin/cizsl").write_text("#!/bin/sh\necho cizsl $* >> log\n")
    code, said, log = run(checkout, "sde")
    assert code == 0 and [line.split()[1] for line in log] == ["train", "sample", "evaluate"], said


@pytest.mark.parametrize(("half", "code"), [("cizsl", 3), ("sde", 3), ("none", 0)])
def test_both_halves_run_and_the_failure_of_one_is_that_of_all(checkout, half, code):
    for name in ("cizsl", "sde"):
        failure = f"exit {3 if name == half else 0}"
        command = f"#!/bin/sh\necho {name} $* >> log\necho said by {name}\n{failure}\n"
        (checkout / ".venv/bin" / name).write_text(command)
    found, _, log = run(checkout, "seed=1")
    assert found == code
    if half == "none":
        assert sum(line.startswith("sde") for line in log) == 3
        assert "said by sde" in (checkout / "runs/sde.log").read_text()
        assert log.index("cizsl data cells data") >= 0 and "cizsl table" in "\n".join(log)


def heed_ctrl_c():
    """A shell that runs tests in the background has them ignore it, and bash cannot undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_both_halves(checkout):
    """Its signal reaches the birds, which end; the script then ends the digits."""
    for name in ("cizsl", "sde"):
        command = f"#!/bin/sh\necho $$ > {name}.pid\nexec sleep {ENOUGH}\n"
        (checkout / ".venv/bin" / name).write_text(command)
    process = subprocess.Popen(
        ["bash", "scripts/run.sh"],
        cwd=checkout,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_ctrl_c,
    )
    files = [checkout / f"{name}.pid" for name in ("cizsl", "sde")]
    wait_for(lambda: all(file.exists() and file.read_text().strip() for file in files), process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(ENOUGH) != 0
    states = ["ps", "-o", "stat=", "-p", ",".join(file.read_text().strip() for file in files)]
    running = lambda: subprocess.run(states, capture_output=True, text=True).stdout  # noqa: E731
    wait_for(lambda: all(state.startswith("Z") for state in running().split()))


def test_gpu_steps_are_bounded_kept_and_told_in_one_table(tmp_path):
    """One step succeeds, one fails, one is too slow; a second call repeats all but the first."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        "import gpu\n"
        "def command(code): return [sys.executable, '-c', 'import sys; ' + code]\n"
        "gpu.steps = lambda: {\n"
        "    'good': (600, command('print(7)')),\n"
        "    'bad': (600, command('sys.exit(3)')),\n"
        "    'slow': (1, command('import time; time.sleep(600)')),\n"
        "}\n"
        "gpu.main()\n"
    )
    for calls in (1, 2):
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=ENOUGH
        )
        assert done.returncode == 0, done.stderr
        table = {line.split()[0]: line for line in done.stdout.splitlines()[-3:]}
        assert table["good"].endswith("ok: 7") and "failed (3)" in table["bad"]
        assert "reached its limit" in table["slow"]
        assert done.stdout.count("== good") == 2 - calls


def test_gpu_script_starts_its_steps(tmp_path):
    """Without a GPU the named step fails, says so, and the script ends well."""
    python = {**os.environ, "PYTHON": sys.executable}
    for name in ("scripts", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    command = ["bash", "scripts/gpu.sh", "cizsl_tf32"]
    where = {"cwd": tmp_path, "env": {**python, "PYTHONPATH": str(ROOT)}, "timeout": ENOUGH}
    done = subprocess.run(command, capture_output=True, text=True, **where)
    assert done.returncode == 0 and "cizsl_tf32" in done.stdout.splitlines()[-1], done.stderr
    done = subprocess.run([*command, "nothing"], capture_output=True, text=True, **where)
    assert done.returncode == 1 and "no step 'nothing' here; known: machine, tests" in done.stderr
