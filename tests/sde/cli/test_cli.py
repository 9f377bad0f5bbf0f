"""The command line as a user meets it: exit codes, one clear line for each mistake, resumption."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.errors import InputError
from repro.files import checkpoint
from sde.cli.parser import main
from sde.networks import MLP, SmallConv
from sde.processes import VPSDE
from sde.samplers import CORRECTORS, PREDICTORS, SOLVERS, sample
from sde.samplers.spec import parse_sampler
from tests.helpers.oracles_sde import GOLDEN_SDES, generator
from tests.helpers.waiting import ENOUGH, wait_for

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs" / "sde" / "toy" / "eight_gaussians.yaml")
TINY = [
    "data.train=200",
    "data.heldout=100",
    "model.hidden_dim=16",
    "model.depth=1",
    "optimiser.batch_size=32",
    "optimiser.iterations=6",
    "evaluation.every=3",
]
SAMPLERS = [*SOLVERS, *PREDICTORS, "ode"]
SAMPLERS += [f"{predictor}+{corrector}" for predictor in PREDICTORS for corrector in CORRECTORS]
SAMPLERS = [name for name in SAMPLERS if name not in ("none", "none+none")]


def test_train_sample_likelihood_evaluate(tmp_path, capsys):
    run = tmp_path / "run"
    train = ["train", CONFIG, *TINY, "--out", str(run), "--device", "cpu"]
    assert main(train) == 0
    assert "mlp of " in capsys.readouterr().out
    assert main([*train, "--resume"]) == 0
    assert "complete already" in capsys.readouterr().out
    results = (run / "results.json").read_text()
    for content, said in (("3", "expected"), ("{}", "not the results of a run")):
        (run / "results.json").write_text(content)
        assert main([*train, "--resume"]) == 2
        assert said in capsys.readouterr().err
    (run / "results.json").write_text(results)
    assert main(["sample", str(run), "-n", "9", "--steps", "4"]) == 0
    assert "9 samples, 5 evaluations each" in capsys.readouterr().out
    assert np.load(run / "samples_dpm_solver_pp_2m_4.npz")["x"].shape == (9, 2)
    assert (run / "samples_dpm_solver_pp_2m_4.png").exists()
    few = "evaluation.likelihoods=10"
    assert main(["likelihood", str(run), few, "--data", "moons"]) == 0
    assert "moons: " in capsys.readouterr().out
    quick = [few, "evaluation.samples=50", "evaluation.compare=[heun]", "evaluation.budgets=[5]"]
    assert main(["evaluate", str(run), *quick]) == 0
    assert str(run / "page.html") in capsys.readouterr().out
    results = json.loads((run / "results.json").read_text())
    assert results["dataset"] == "eight_gaussians" and results["evaluation"]["likelihood"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_by_its_name(plane_run, tmp_path, name, capsys):
    command = ["sample", str(plane_run), "--sampler", name, "--steps", "3", "-n", "4"]
    assert main([*command, "--out", str(tmp_path), "sampling.rtol=1e-2", "sampling.atol=1e-2"]) == 0
    (file,) = tmp_path.glob("*.npz")
    assert np.isfinite(np.load(file)["x"]).all() and "4 samples" in capsys.readouterr().out


def test_a_checkpoint_file_is_a_model_too(plane_run, digits_run, tmp_path, capsys):
    """The same samples as from its run; its results go beside it, not into the run."""
    for run in (plane_run, digits_run):
        (file,) = (run / "checkpoints").glob("*.pt")
        copy = tmp_path / f"{run.name}.pt"
        shutil.copy(file, copy)
        out = tmp_path / run.name
        assert main(["sample", str(run), "--out", str(out), "-n", "3", "--steps", "3"]) == 0
        assert main(["sample", str(copy), "-n", "3", "--steps", "3"]) == 0
        name = "samples_dpm_solver_pp_2m_3.npz"
        one, other = (np.load(folder / name)["x"] for folder in (out, copy.with_suffix("")))
        assert np.array_equal(one, other)


def broken(run, folder, change):
    """A copy of a run whose checkpoint has been changed."""
    shutil.copytree(run, folder)
    (file,) = (folder / "checkpoints").glob("*.pt")
    state = checkpoint.load(file)
    change(state)
    torch.save(state, file)
    return str(folder)


def poison(state):
    for value in state["average"].values():
        if value.is_floating_point():
            value.fill_(math.nan)


def forget(state):
    del state["average"]


def widen(state):
    state["config"]["model"]["hidden_dim"] = 24


def mistakes(plane, digits, folder):
    """(arguments, what the line must say)."""
    out = ["--out", str(folder / "new")]
    other = broken(plane, folder / "other", lambda state: None)
    stated = Path(other) / "config.yaml"
    stated.write_text(stated.read_text().replace("beta_max: 20.0", "beta_max: 15.0"))
    nothing = folder / "empty"
    nothing.mkdir()
    (folder / "text.pt").write_text("no checkpoint")
    run, images = str(plane), str(digits)
    return {
        "no file": (["train", "none.yaml"], "none.yaml: cannot be read"),
        "folder": (["train", str(nothing)], "or the name of one, got a folder"),
        "key": (["train", CONFIG, "optimser.max_grad_norm=1", *out], "did you mean 'optimiser"),
        "data": (["train", CONFIG, "data.name=cifar", *out], "did you mean 'cifar10'"),
        "device": (["train", CONFIG, "--device", "tpu", *out], "expected cpu or cuda"),
        "images": (["train", CONFIG, "model.network=small_conv", *out], "is for images"),
        "sigmas": (
            ["train", CONFIG, "process.name=ve", "process.sigma_min=60", *out],
            "need 0 < sigma_min < sigma_max; got sigma_min=60.0, sigma_max=50.0",
        ),
        "betas": (["train", CONFIG, "process.beta_min=21", *out], "got beta_min=21.0"),
        "other's": (["train", CONFIG, "process.sigma_max=9", *out], "vp has no such parameter"),
        "t of training": (["train", CONFIG, "loss.eps=0", *out], "loss.eps: should be greater"),
        "t of sampling": (["sample", run, "sampling.eps=2"], "sampling.eps: should be less"),
        "diverging": (
            ["train", CONFIG, *TINY, "optimiser.learning_rate=1e12", *out],
            "the run diverged",
        ),
        "steps": (["sample", run, "--steps", "0"], "--steps: expected a whole number from 1 to"),
        "count": (
            ["sample", run, "-n", "0"],
            "-n: expected a whole number from 1 to 10000000, got '0'",
        ),
        "sampler": (["sample", run, "--sampler", "euler"], "unknown sampler 'euler'"),
        "pair": (["sample", run, "--sampler", "none+none"], "none returns the prior"),
        "corrector": (["sample", run, "--sampler", "heun+langevin"], "unknown sampler 'heun+"),
        "compared": (["evaluate", run, "evaluation.compare=[x]"], "unknown sampler 'x'"),
        "score": (["sample", broken(plane, folder / "nan", poison)], "not finite"),
        "stalls": (
            ["sample", run, "--sampler", "ode", "sampling.rtol=1e-30", "sampling.atol=1e-30"],
            "the ODE solver stalled at t=",
        ),
        "likelihood stalls": (
            ["likelihood", run, "evaluation.rtol=1e-30", "evaluation.atol=1e-30"],
            "the ODE solver stalled at t=",
        ),
        "shape": (["likelihood", images, "--data", "moons"], "the model is for (1, 8, 8)"),
        "unknown data": (["likelihood", run, "--data", "birds"], "unknown data set 'birds'"),
        "another config": (["sample", other], "another configuration: process.beta_max of 20.0"),
        "weights": (["sample", broken(plane, folder / "wide", widen)], "another configuration"),
        "no weights": (["sample", broken(plane, folder / "half", forget)], "it lacks average"),
        "retrain": (["sample", run, "model.depth=2"], "keeps its model.depth of 1"),
        "no run": (["sample", str(nothing)], "holds no checkpoint"),
        "nowhere": (["evaluate", str(folder / "nowhere")], "no such checkpoint"),
        "no checkpoint": (["sample", str(folder / "text.pt")], "not a whole checkpoint"),
        "command": (["sammple"], "unknown command 'sammple'; did you mean 'sample'?"),
        "nothing": ([], "the following arguments are required: COMMAND"),
        "no number": (["sample", run, "--steps", "many"], "to 10000000, got 'many'"),
    }


def test_every_mistake_is_one_line_and_exit_code_2(plane_run, digits_run, tmp_path, capsys):
    for name, (arguments, expected) in mistakes(plane_run, digits_run, tmp_path).items():
        if arguments[:1] == ["sample"] and "--out" not in arguments:
            arguments = [*arguments, "--out", str(tmp_path / "samples")]
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse
            code = stop.code
        lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert code == 2 and len(lines) == 1 and expected in lines[0], (name, code, lines)
    assert not list((tmp_path / "samples").glob("*"))


def test_a_checkpoint_of_another_config_is_not_resumed(plane_run, tmp_path, capsys):
    """The folder's configuration is the one given, its checkpoint is of another."""
    folder = tmp_path / "run"
    assert main(["train", CONFIG, *TINY, "--out", str(folder), "--device", "cpu"]) == 0
    (folder / "results.json").unlink()
    shutil.rmtree(folder / "checkpoints")
    shutil.copytree(plane_run / "checkpoints", folder / "checkpoints")
    capsys.readouterr()
    assert main(["train", CONFIG, *TINY, "--out", str(folder), "--device", "cpu", "--resume"]) == 2
    assert (
        "the checkpoint is of another configuration: data.train of 400" in capsys.readouterr().err
    )
    assert main(["evaluate", str(folder)]) == 2


@pytest.mark.parametrize("network", [SmallConv((1, 8, 8), hidden_dim=8), MLP((1, 8, 8))])
def test_wrong_channel_count(network):
    with pytest.raises(InputError, match=r"events \(1, 8, 8\); got x of shape \(2, 3, 8, 8\)"):
        network(torch.zeros(2, 3, 8, 8), torch.ones(2))
    with pytest.raises(InputError, match="small_conv needs"):
        SmallConv((1, 7, 8))


@pytest.mark.parametrize("name", GOLDEN_SDES)
@pytest.mark.parametrize("time", [0.0, -0.1, 1.5, math.nan])
def test_times_out_of_range(name, time):
    with pytest.raises(InputError, match=r"times must lie in \(0, 1\]"):
        GOLDEN_SDES[name].marginal(torch.zeros(2, 2), torch.tensor([0.5, time]))


def test_a_score_that_is_not_finite():
    with pytest.raises(InputError, match="not finite"):
        sample(
            VPSDE(), lambda x, t: x * math.inf, (2, 2), predictor="ancestral", steps=3,
            generator=generator(),
        )  # fmt: skip


def test_help_of_every_command(capsys):
    commands = (["train"], ["sample"], ["likelihood"], ["evaluate"], ["config", "schema"])
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0 and "usage" in capsys.readouterr().out


def test_samplers_lists_names_that_sample_takes_and_files_that_are_there(capsys):
    assert main(["samplers"]) == 0
    kinds = {"predictor": {}, "corrector": {}, "solver": {}}
    for line in capsys.readouterr().out.splitlines():
        kind, name, file, *_ = line.replace(";", " ").split()
        kinds[kind][name] = file
    assert {*kinds["predictor"], "none"} == {*PREDICTORS}
    assert {*kinds["corrector"], "none"} == {*CORRECTORS}
    assert {*kinds["solver"]} == {*SOLVERS, "ode"}
    for name in {**kinds["predictor"], **kinds["solver"]}:
        assert parse_sampler(name)
    assert all((ROOT / file).is_file() for files in kinds.values() for file in files.values())


def test_a_signal_saves_and_stops(tmp_path, capsys):
    """A real process: SIGTERM ends it with code 130, and what it had can be used."""
    run = tmp_path / "run"
    arguments = ["train", CONFIG, *TINY, "optimiser.iterations=100000", "--out", str(run)]
    command = [sys.executable, "-m", "sde", *arguments, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    records = run / "metrics.jsonl"
    wait_for(lambda: records.exists() and records.read_text(), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=ENOUGH)
    assert process.returncode == 130
    assert "go on with --resume" in said and "Traceback" not in said
    assert list((run / "checkpoints").glob("*.pt"))
    assert main(["sample", str(run), "-n", "2", "--steps", "2"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    assert "not finished; end it with --resume" in capsys.readouterr().err


def test_schema_and_show(capsys):
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False
    assert main(["config", "show", CONFIG, *TINY]) == 0
    assert "hidden_dim: 16" in capsys.readouterr().out
