"""Sweeps on a cluster: preemption, and a cluster that is not there."""

import os
import signal
import subprocess
import sys

import pytest

from cizsl.cli.parser import main
from tests.cizsl.sweep.sweeps import ROOT, children, results
from tests.helpers.fake_slurm import install
from tests.helpers.waiting import ENOUGH, wait_for


def test_slurm_requeues_what_it_preempts(small, tmp_path, monkeypatch, capsys):
    """Through submitit and a SLURM made of shell scripts: one job is pre-empted (SIGTERM to all its
    processes, then the signal that warns), comes back, and ends as if nothing had happened."""
    pytest.importorskip("submitit")
    state = install(tmp_path, monkeypatch)
    (tmp_path / "resources.yaml").write_text(
        "{partition: birds, gpus: 2, cpus: 1, minutes: 90, parallel: 1}"
    )
    # the first is pre-empted at its first record, long before its end
    command = ["sweep", small, "optimiser.iterations=121,6", "--device", "cpu"]
    command += ["--cluster", "slurm"]
    command += ["--resources", str(tmp_path / "resources.yaml"), "--out", str(tmp_path / "runs")]
    process = subprocess.Popen([sys.executable, "-m", "cizsl", *command], cwd=ROOT)
    folder = tmp_path / "runs" / "small-optimiser.iterations-121" / "seed0"
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
    alone = tmp_path / "alone"
    longer = ["optimiser.iterations=121", "--out", str(alone), "--device", "cpu"]
    assert main(["train", small, *longer]) == 0
    assert results(folder) == results(alone)
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
