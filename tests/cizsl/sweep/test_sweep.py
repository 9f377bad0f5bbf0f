"""Sweeps on one machine: mistakes, failures, signals, and their shares of its cores and GPUs."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cizsl.cli.parser import main
from cizsl.sweep import launch
from cizsl.sweep.plan import plan
from tests.cizsl.sweep.sweeps import ROOT, children, results, server
from tests.helpers.waiting import ENOUGH, wait_for


@pytest.mark.parametrize("content", ["", "7", "[1]", "null", '{"iteration": -1}', "[" * 100_000])
def test_other_content_of_a_log_is_no_progress(tmp_path, content):
    (run,) = plan(["toy_cub_easy"], [0], root=tmp_path)
    run.folder.path.mkdir(parents=True)
    (run.folder.path / "metrics.jsonl").write_text(content)
    assert run.progress == "begins"


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


def test_a_killed_run_and_a_stopped_sweep(small, tmp_path):
    """SIGKILL of one training fails that one, and SIGKILL of the server that forked it fails none;
    then Ctrl-C saves the others and ends."""
    command = [sys.executable, "-m", "cizsl", "sweep", small, "--seeds", "0-3", "--jobs", "2"]
    command += ["optimiser.iterations=1000000", "evaluation.every=20", "--device", "cpu"]
    command += ["--out", str(tmp_path / "runs")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)
    folder = lambda seed: next((tmp_path / "runs").glob(f"*/seed{seed}"), tmp_path)  # noqa: E731
    begun = lambda seed: (folder(seed) / "metrics.jsonl").exists()  # noqa: E731
    wait_for(lambda: begun(0) and begun(1), process)
    forked = children(process.pid)
    os.kill(server(process.pid), signal.SIGKILL)
    os.kill(forked[str(folder(0))], signal.SIGKILL)
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
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    gpus = ["0", "1", "0"]
    expected = [{"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]
    assert launch.environments(3, None) == launch.environments(3, "cuda") == expected
    assert launch.environments(9, "cpu") == [{"OMP_NUM_THREADS": "1"}] * 9
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in launch.environments(3, None)] == list("464")
    assert launch.environments(1, None)[0]["OMP_NUM_THREADS"] == "5"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert "CUDA_VISIBLE_DEVICES" not in launch.environments(2, None)[0]
