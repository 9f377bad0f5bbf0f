"""The command line says each mistake of its user in one line, with exit code 2."""

import math
import shutil
from pathlib import Path

import pytest
import torch

from repro.errors import InputError
from repro.files import checkpoint
from sde.cli.parser import main
from sde.networks import MLP, SmallConv
from sde.processes import VPSDE
from sde.samplers import sample
from tests.helpers.oracles_sde import GOLDEN_SDES, generator
from tests.sde.cli.tiny import CONFIG, TINY


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
