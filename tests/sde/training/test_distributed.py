"""Several processes, on the CPU through gloo: the same results as one, and no lost work."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repro import config
from repro.distributed import SINGLE_PROCESS, DistributedContext, init_distributed
from repro.errors import InputError
from repro.files import checkpoint
from repro.run import RunFolder
from repro.signals import Interrupted
from sde.cli.parser import main
from sde.training.train import Trainer
from tests.helpers.dropout_ranks import train_with_dropout
from tests.helpers.forked import ranks
from tests.helpers.waiting import ENOUGH, wait_for
from tests.sde.conftest import CPU, StopAfter, run, tiny_config

pytestmark = pytest.mark.usefixtures("undrawn")

FOLDERS = ("whole", "pieces")
ROOT = Path(__file__).resolve().parents[3]


def on_two(work, folder) -> None:
    """Call ``work()`` in two ranks, to their ends."""
    processes = ranks(work, folder)
    said = [process.said(ENOUGH) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said


def written(settings, path) -> Path:
    path.write_text(config.dump(settings))
    return path


def assert_same_weights(one, other, tolerance):
    """Of the network and of its average; and the lines of the log.

    Each step of Adam amplifies the rounding of the step before, without a closed bound, so that the
    tolerances come from measurements on one CPU. Where the sums of the gradients were
    split otherwise, the weights differed by 6e-8 after 12 steps and by 3e-7 after 400, and the
    numbers of the log by 1.3e-7 of their size. Each tolerance is at least 100 times as large. With
    batches of half the size, the weights differ by 0.025 and 0.44, and the log by over its size.
    """
    states = [checkpoint.load_newest(path / "checkpoints") for path in (one, other)]
    for part in ("network", "average"):
        mine, theirs = (state[part] for state in states)
        for name in mine:
            assert torch.allclose(mine[name].double(), theirs[name].double(), 0, tolerance), name
    logs = [(path / "metrics.jsonl").read_text().splitlines() for path in (one, other)]
    assert len(logs[0]) == len(logs[1]) > 0
    for mine, theirs in zip(*logs, strict=True):
        for name, value in json.loads(mine).items():
            assert json.loads(theirs)[name] == pytest.approx(value, rel=20 * tolerance), name


def test_two_processes_and_parts_train_like_one(tmp_path):
    """A batch of 32 at once, against 2 processes x 2 parts x 8: equal up to rounding."""
    settings = tiny_config()
    run(settings, tmp_path / "one")
    parts = tiny_config(compute={"gradient_accumulation": 2})
    command = ["train", str(written(parts, tmp_path / "c.yaml")), "--out", str(tmp_path / "two")]
    on_two(lambda: main(command), tmp_path)
    assert_same_weights(tmp_path / "one", tmp_path / "two", 1e-5)  # 12 steps: 170 times
    environment = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert environment["processes"] == 2
    assert json.loads((tmp_path / "two" / "results.json").read_text())["iterations"] == 12


def test_with_dropout_two_ranks_resume_to_the_bit(tmp_path):
    """Each rank drops other units; after a stop it drops those of the run that did not stop."""
    on_two(lambda: train_with_dropout(tmp_path), tmp_path)
    whole, pieces = (checkpoint.load_newest(tmp_path / f / "checkpoints") for f in FOLDERS)
    assert whole["progress"]["step"] == pieces["progress"]["step"] == 8
    for name, weight in whole["network"].items():
        assert torch.equal(weight, pieces["network"][name]), name
    logs = [(tmp_path / folder / "metrics.jsonl").read_text() for folder in FOLDERS]
    assert logs[0] == logs[1] != ""


def test_a_lost_rank_ends_the_run_and_another_number_goes_on(tmp_path):
    how = dict(optimiser={"iterations": 300}, evaluation={"every": 25})
    settings = tiny_config(**how)
    run(tiny_config(**how, compute={"checkpoint_seconds": 1000}), tmp_path / "whole")
    out = tmp_path / "pieces"
    process = torchrun("train", written(settings, tmp_path / "c.yaml"), "--out", out)
    try:
        records = out / "metrics.jsonl"
        wait_for(lambda: records.exists() and records.read_text(), process)
        os.kill(pid_of_rank(1, out), signal.SIGKILL)
        _, err = process.communicate(timeout=ENOUGH)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "rank 0 of 2 lost another rank" in err and "--resume" in err
    assert not (out / "results.json").exists(), "it was killed before its end"
    run(settings, out, resume=True)
    assert_same_weights(tmp_path / "whole", out, 1e-4)  # 400 steps: 350 times; these are 300


def test_evaluation_does_not_depend_on_the_number_of_processes(digits_run, tmp_path):
    """Samples, likelihood and comparison in batches of 16: the same digits, to the last."""
    few = ["evaluation.samples=40", "evaluation.likelihoods=20", "evaluation.budgets=[4]"]
    how = [*few, "sampling.batch_size=16", "evaluation.batch_size=8", "--out"]
    command = ["evaluate", str(digits_run), *how, str(tmp_path / "two")]
    on_two(lambda: main(command), tmp_path)
    assert main(["evaluate", str(digits_run), *how, str(tmp_path / "one"), "--device", "cpu"]) == 0
    results = [(tmp_path / name / "results.json").read_text() for name in ("one", "two")]
    assert results[0] == results[1]


def test_a_stop_waits_for_the_checkpoint(tmp_path):
    """torchrun ends all processes soon after one has ended: none may before the leader saved."""
    seen = []

    class Watched(DistributedContext):
        def wait(self):
            seen.append([path.name for path in (tmp_path / "run" / "checkpoints").glob("*.pt")])

    settings = tiny_config(compute={"checkpoint_seconds": 1000})
    with RunFolder(tmp_path / "run", settings) as folder, pytest.raises(Interrupted):
        Trainer(settings, folder, CPU, Watched()).run(StopAfter(3))
    assert seen == [["step_00000003.pt"]]


def test_shares_and_collectives_of_one_process():
    assert SINGLE_PROCESS.leader and SINGLE_PROCESS.shard(12) == slice(0, 12)
    assert DistributedContext(rank=2, size=3).shard(12) == slice(8, 12)
    assert SINGLE_PROCESS.any(True) and not SINGLE_PROCESS.any(False)
    assert SINGLE_PROCESS.scatter_map(lambda item: item**2, [1, 2, 3]) == [1, 4, 9]
    with pytest.raises(InputError, match="10 does not divide into 3 processes x 1 parts"):
        DistributedContext(rank=0, size=3).shard(10)
    with pytest.raises(InputError, match="12 does not divide into 3 processes x 8 parts"):
        DistributedContext(rank=0, size=3).shard(12, 8)


@pytest.mark.parametrize("other, agree", [(7, True), (6, False), (8, False)])
def test_ranks_say_whether_they_read_the_same_checkpoint(tmp_path, monkeypatch, other, agree):
    """The other rank, which is not here, read iteration ``other``; this one, the seventh."""
    config = tiny_config(compute={"checkpoint_seconds": 1000})
    with RunFolder(tmp_path / "run", config) as folder, pytest.raises(Interrupted):
        Trainer(config, folder, CPU).run(StopAfter(7))

    def all_reduce(ends, *_):
        ends.copy_(torch.maximum(ends, torch.tensor([other, -other])))

    monkeypatch.setattr("repro.distributed.dist.all_reduce", all_reduce)
    with RunFolder(tmp_path / "run", config, True) as folder:
        trainer = Trainer(config, folder, CPU, DistributedContext(size=2))
        if agree:
            trainer._restore()
            assert trainer.progress.step == 7
        else:
            with pytest.raises(InputError, match="ranks read checkpoints of different iterations"):
                trainer._restore()


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    message = "process 2 of this machine finds no GPU of its own: expected at most 2 processes"
    with pytest.raises(InputError, match=message), init_distributed(torch.device("cuda")):
        pass


def torchrun(*arguments) -> subprocess.Popen:
    """``torchrun -m sde`` with these arguments, on two ranks."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "sde", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def pid_of_rank(rank: int, out: Path) -> int:
    """The process of this rank whose command line names ``out``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"RANK={rank}".encode() in words and str(out).encode() in line:
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank}")
