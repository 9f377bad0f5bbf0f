"""Sweeps: what they expand to, and what is left of them by failures, signals and clusters."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml

from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from cizsl.sweep import launch
from cizsl.sweep.plan import alternatives, plan, read_variants, seed_list
from repro.config import load
from repro.errors import InputError
from repro.run_names import default_folder
from tests.helpers.fake_slurm import install
from tests.helpers.waiting import ENOUGH, wait_for

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs" / "cizsl" / "toy" / "toy_cub_easy.yaml")
STRICT = str(ROOT / "configs" / "cizsl" / "toy" / "toy_cub_easy_corrected.yaml")
ABLATIONS = ROOT / "configs" / "variants" / "ablations.yaml"


@pytest.fixture
def small(toy, tmp_path):
    """A configuration whose training takes a second."""
    file = tmp_path / "small.yaml"
    settings = {
        "data": {"root": str(toy)},
        "model": {"noise_dim": 8, "text_embed_dim": 8, "hidden_dim": 16},
        "optimiser": {"batch_size": 64, "iterations": 6},
        "evaluation": {"protocol": "reference", "every": 2, "start": 2, "samples": 5},
    }
    file.write_text(yaml.safe_dump(settings))
    return str(file)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=1", ["1"]),
        ("a=0,0.1,1e-4", ["0", "0.1", "1e-4"]),
        ("a=x, y", ["x", "y"]),
        ("a=[0.2,0.8],[0,1]", ["[0.2,0.8]", "[0,1]"]),
        ("a=[0,1]", ["[0,1]"]),
        ("a=[[1,2],[3]],4", ["[[1,2],[3]]", "4"]),
        ("a={b: 1, c: 2},d", ["{b: 1, c: 2}", "d"]),
        ("a='x,y',\"u,[v\"", ["'x,y'", '"u,[v"']),
        ("a=b=c", ["b=c"]),
    ],
)
def test_values_are_split_at_the_outermost_commas(text, values):
    key = text.split("=")[0]
    assert alternatives(text) == [f"{key}={value}" for value in values]


@pytest.mark.parametrize("text", ["a", "a=", "a=1,", "a=1,,2", "a=[1", "a=1],[2", "seed=1,2"])
def test_what_is_no_list_of_values_is_refused(text):
    with pytest.raises(InputError, match=r"expected (key=value|one value|seeds)"):
        alternatives(text)


def test_seeds():
    assert seed_list("0-2,7") == [0, 1, 2, 7] and seed_list("3") == [3]
    for text in ("", "1-", "-1", "a", "1,1", "0-2,1", "3-1", "1.5"):
        with pytest.raises(InputError, match="--seeds"):
            seed_list(text)


@pytest.mark.parametrize("text", ["0-99999999999", "0-9999,20000-29999", "1" * 5000])
def test_seeds_are_counted_before_a_list_is_made(text):
    with pytest.raises(InputError, match=r"at most 10000|--seeds"):
        seed_list(text)


def test_a_plan_is_counted_before_it_is_made():
    values = ",".join(map(str, range(1, 150)))
    with pytest.raises(InputError, match="22201 runs or more, expected at most 10000"):
        plan([CONFIG], [0], [f"model.hidden_dim={values}", f"model.noise_dim={values}"])


def test_shipped_configurations_are_given_by_name(tmp_path):
    (run,) = plan(["toy_cub_easy"], [0], root=tmp_path)
    assert run.folder.settings == load(CONFIG, CIZSLConfig)
    assert run.arguments[:2] == ["train", "toy_cub_easy"]


@pytest.mark.parametrize("content", ["", "7", "[1]", "null", '{"iteration": -1}', "[" * 100_000])
def test_other_content_of_a_log_is_no_progress(tmp_path, content):
    (run,) = plan(["toy_cub_easy"], [0], root=tmp_path)
    run.folder.path.mkdir(parents=True)
    (run.folder.path / "metrics.jsonl").write_text(content)
    assert run.progress == "begins"


def test_the_plan_is_every_training_by_hand(tmp_path):
    """Seeds outermost, then files, then values, each in the folder and with the settings of the
    single command."""
    given = ["creativity.weight=0,0.1", "creativity.mixing=[0.2,0.8],[0,1]", "model.noise_dim=7"]
    runs = plan([CONFIG, STRICT], [3, 1], given, root=tmp_path)
    expected = []
    for seed, file, weight, mixing in product(
        (3, 1), (CONFIG, STRICT), ("0", "0.1"), ("[0.2,0.8]", "[0,1]")
    ):
        values = [f"creativity.weight={weight}", f"creativity.mixing={mixing}"]
        values += ["model.noise_dim=7", f"seed={seed}"]
        expected.append(
            (default_folder(file, values, seed, tmp_path), load(file, CIZSLConfig, values))
        )
    assert [(run.folder.path, run.folder.settings) for run in runs] == expected
    assert runs[0].arguments[:2] == ["train", CONFIG] and runs[0].arguments[-1] == "--resume"


def test_variants(tmp_path):
    """Every line of the ablations trains with its name; the rest of the configuration stays."""
    variants = read_variants(ABLATIONS)
    runs = plan([STRICT], [0], ["optimiser.iterations=50"], variants, tmp_path)
    plain = load(STRICT, CIZSLConfig, ["optimiser.iterations=50"]).model_dump()
    for run, (name, values) in zip(
        runs, yaml.safe_load(ABLATIONS.read_text()).items(), strict=True
    ):
        settings = run.folder.settings.model_dump(mode="json")
        expected = json.loads(json.dumps(plain)) | {"name": name}
        expected["creativity"] |= values["creativity"]
        assert settings == expected
    assert len({run.folder.path for run in runs}) == len(runs) == 12
    (tmp_path / "bad.yaml").write_text("a: 1")
    with pytest.raises(InputError, match=r"bad.yaml: a: expected settings"):
        read_variants(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_text("a: {creativty: {weight: 1}}")
    with pytest.raises(InputError, match=r"override 'creativty.weight=1'.*did you mean"):
        plan([STRICT], [0], [], read_variants(tmp_path / "bad.yaml"), tmp_path)


def mistakes(small, tmp_path):
    (tmp_path / "resources.yaml").write_text("gpu: 1")
    cluster = ["--cluster", "slurm", "--resources", str(tmp_path / "resources.yaml")]
    return [
        ([small, "creativity.weight=0.1,-1"], "creativity.weight: should be greater than or equal"),
        ([small, "none.yaml"], "none.yaml: cannot be read"),
        (["creativity.weight=1"], "expected at least one configuration: a YAML file, or a name"),
        ([small, small], "two runs of this sweep would share this folder"),
        ([small, "creativity.weight=1,1"], "two runs of this sweep would share this folder"),
        ([small, "--seeds", "x"], "--seeds 'x': expected numbers and ranges"),
        ([small, "--device", "tpu"], "expected cpu or cuda"),
        ([small, *cluster], "gpu: unknown key; did you mean 'gpus'"),
        ([small, *cluster[2:]], "--resources: of --cluster"),
        ([small, "--variants", str(tmp_path / "none.yaml")], "none.yaml: cannot be read"),
        ([small, f"data.root={tmp_path}", "--seeds", "0-9"], "no folder CUB2011 here"),
    ]


@pytest.mark.parametrize("number", range(11))
def test_a_mistake_anywhere_is_one_line_before_anything_starts(small, tmp_path, capsys, number):
    arguments, expected = mistakes(small, tmp_path)[number]
    assert main(["sweep", *arguments, "--out", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr()
    assert expected in said.err and len(said.err.splitlines()) == 1 and not said.out
    assert not (tmp_path / "runs").exists()


def results(path):
    found = json.loads((path / "results.json").read_text())
    found.pop("seconds")
    return found


def test_failures_are_listed_and_the_rest_goes_on(small, tmp_path, capsys, monkeypatch):
    """Three runs, two at a time, one of which diverges; each other is the single training."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    values = "optimiser.learning_rate=1e-4,1e30,1e-3"
    command = ["sweep", small, values, "--jobs", "2", "--device", "cpu"]
    command += ["--out", str(tmp_path / "runs")]
    assert main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 runs: 3 new"
    assert main([*command, "--html", str(tmp_path / "table.html")]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "3 runs: 2 complete, 1 half done"
    failed = tmp_path / "runs" / "small-optimiser.learning_rate-1e30" / "seed0"
    reason = r": the loss term '\w+' is (nan|-?inf) at iteration \d of stage 'test'"
    assert said.count("failed: ") == 1
    assert re.search(f"failed: {re.escape(str(failed))}{reason}", said)
    retry = next(line for line in said.splitlines() if "retry: " in line).split("retry: ")[1]
    words = shlex.split(retry)
    assert words[:3] == ["cizsl", "train", small] and main(words[1:]) == 2  # it fails again
    assert re.search(reason, capsys.readouterr().err)
    assert f"their table: cizsl table {tmp_path}/runs\n" in said
    assert said.count("learning rate 0.001 ") == 1  # the table of what is complete
    assert "<table" in (tmp_path / "table.html").read_text()
    alone = tmp_path / "alone"
    assert main(["train", small, "optimiser.learning_rate=1e-3", "--out", str(alone)]) == 0
    swept = tmp_path / "runs" / "small-optimiser.learning_rate-1e-3" / "seed0"
    assert results(swept) == results(alone)
    started = []
    monkeypatch.setattr(
        launch.TrainingProcess, "start", lambda self: started.append(self.run.overrides)
    )
    monkeypatch.setattr(launch.TrainingProcess, "wait", lambda self, seconds: 0)
    main(command)
    assert started == [("optimiser.learning_rate=1e30", "seed=0")]  # what is complete is skipped
    changed = yaml.safe_load(Path(small).read_text()) | {"seed": 5, "loss": {"pivot": 2}}
    Path(small).write_text(yaml.safe_dump(changed))
    assert main(command) == 2 and "differs from the configuration" in capsys.readouterr().err


def children(of: int) -> dict[str, int]:
    """The training processes below a process: run folder and id."""
    found = {}
    for line in subprocess.check_output(
        ["ps", "-ww", "-eo", "pid,ppid,args"], text=True
    ).splitlines():
        pid, parent, arguments = line.split(None, 2)
        if parent == str(of) and " train " in arguments:
            found[arguments.split("--out ")[1].split()[0]] = int(pid)
    return found


def test_a_killed_run_and_a_stopped_sweep(small, tmp_path):
    """SIGKILL of one training fails that one; then Ctrl-C saves the others and ends."""
    command = [sys.executable, "-m", "cizsl", "sweep", small, "--seeds", "0-3", "--jobs", "2"]
    command += ["optimiser.iterations=1000000", "evaluation.every=20", "--device", "cpu"]
    command += ["--out", str(tmp_path / "runs")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)
    folder = lambda seed: next((tmp_path / "runs").glob(f"*/seed{seed}"), tmp_path)  # noqa: E731
    begun = lambda seed: (folder(seed) / "metrics.jsonl").exists()  # noqa: E731
    wait_for(lambda: begun(0) and begun(1), process)
    os.kill(children(process.pid)[str(folder(0))], signal.SIGKILL)
    wait_for(lambda: begun(2), process)  # in the place of the one that was killed
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=ENOUGH)  # the trainings would take hours
    assert not children(process.pid)
    assert process.returncode == 130, err
    assert "4 runs: 3 half done, 1 new" in out
    assert f"failed: {folder(0)}: killed by SIGKILL" in out and out.count("failed: ") == 1
    assert err.splitlines()[-1].endswith("every run is saved; the same command continues the sweep")
    for seed in (1, 2):
        assert list((folder(seed) / "checkpoints").rglob("step_*.pt"))
        assert "go on with --resume" in (folder(seed) / "train.log").read_text()


def test_a_second_interruption_leaves_nothing_running(small, tmp_path, monkeypatch):
    """It may come before the first has been passed on."""
    processes = []

    def start(self):
        self.process = subprocess.Popen(["sleep", str(ENOUGH)])
        processes.append(self.process)

    class Impatient:
        looks = 0

        @property
        def requested(self):
            self.looks += 1
            if self.looks == 3:  # one look before the start, then one every half second
                raise KeyboardInterrupt
            return False

    monkeypatch.setattr(launch.TrainingProcess, "start", start)
    runs = plan([small], [0, 1], root=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        list(launch.LocalLauncher(1, Impatient(), lambda progress: None).launch(runs))
    assert [process.wait(ENOUGH) for process in processes] == [-signal.SIGTERM]


def test_places_share_cores_and_take_gpus_in_turn(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(launch, "cpu_count", lambda: 7)
    monkeypatch.setattr(launch.torch.cuda, "device_count", lambda: 2)
    gpus = ["0", "1", "0"]
    expected = [{"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]
    assert launch.environments(3, None) == launch.environments(3, "cuda") == expected
    assert launch.environments(9, "cpu") == [{"OMP_NUM_THREADS": "1"}] * 9
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in launch.environments(3, None)] == list("464")
    assert launch.environments(1, None)[0]["OMP_NUM_THREADS"] == "5"
    monkeypatch.setattr(launch.torch.cuda, "device_count", lambda: 1)
    assert "CUDA_VISIBLE_DEVICES" not in launch.environments(2, None)[0]


def test_slurm_requeues_what_it_preempts(small, tmp_path, monkeypatch, capsys):
    """Through submitit and a SLURM made of shell scripts: one job is pre-empted (SIGTERM to all its
    processes, then the signal that warns), comes back, and ends as if nothing had happened."""
    pytest.importorskip("submitit")
    state = install(tmp_path, monkeypatch)
    (tmp_path / "resources.yaml").write_text(
        "{partition: birds, gpus: 2, cpus: 1, minutes: 90, parallel: 1}"
    )
    # pre-empted at the first record, long before the end
    long = ["optimiser.iterations=121", "evaluation.every=20"]
    command = ["sweep", small, *long, "--seeds", "0-1", "--device", "cpu", "--cluster", "slurm"]
    command += ["--resources", str(tmp_path / "resources.yaml"), "--out", str(tmp_path / "runs")]
    process = subprocess.Popen([sys.executable, "-m", "cizsl", *command], cwd=ROOT)
    folder = wait_for(lambda: next((tmp_path / "runs").glob("small*/seed0"), None), process)
    wait_for(lambda: (folder / "metrics.jsonl").exists(), process)
    job = int((state / "0.pid").read_text())
    for pid in (job, *children(job).values()):
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not children(job), process)
    os.kill(job, signal.SIGUSR2)
    assert process.wait(timeout=ENOUGH) == 0
    assert "go on with --resume" in (folder / "train.log").read_text()
    assert "Requeued job 100_0" in (state / "100_0.log").read_text()
    script = (state / "100.script").read_text()
    for line in (
        "array=0-1%1",
        "partition=birds",
        "gpus-per-node=2",
        "time=90",
        "requeue",
        "signal=USR2@120",
        "mem=32GB",
        "cpus-per-task=1",
    ):
        assert f"#SBATCH --{line}\n" in script
    assert main(["train", small, *long, "--out", str(tmp_path / "alone"), "--device", "cpu"]) == 0
    assert results(folder) == results(tmp_path / "alone")
    capsys.readouterr()
    assert main(command) == 0  # all complete: nothing is submitted
    assert not (state / "101.script").exists()


def test_a_cluster_that_is_not_there_is_one_line(small, tmp_path, monkeypatch, capsys):
    pytest.importorskip("submitit")
    command = ["sweep", small, "--out", str(tmp_path / "runs"), "--cluster", "slurm"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(command) == 2 and "srun" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(command) == 2 and "needs submitit" in capsys.readouterr().err
