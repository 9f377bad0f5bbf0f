"""Models that come with the package, and the folders of `sde export` that hold them."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import sde
from repro.errors import InputError
from sde import build, pretrained
from sde.cli.parser import main
from sde.pretrained.exported import read_exported
from sde.trained_model import load
from sde.training.convert import export
from sde.training.heldout import heldout_loss

CPU = torch.device("cpu")
FOLDER = Path(pretrained.__file__).parent
LARGEST = 8e6  # bytes of all models together


@pytest.fixture(scope="module")
def folder(plane_run, tmp_path_factory):
    """A small run as `sde export RUN DIR --half` writes it."""
    out = tmp_path_factory.mktemp("export") / "plane"
    how = ["--half", "--note", "For tests alone.", "sampling.steps=3"]
    assert main(["export", str(plane_run), str(out), *how]) == 0
    return out


def test_the_models_of_the_package_are_whole_and_small():
    names = pretrained.names()
    assert "mnist" in names
    files = [file for name in names for file in (FOLDER / name).iterdir()]
    assert sum(file.stat().st_size for file in files) < LARGEST
    for name in names:
        trained = load(f"pretrained:{name}", CPU, with_data=False)
        card = (FOLDER / name / "README.md").read_text()
        assert f"| iterations | {trained.step} of " in card and "icence" in card
        assert trained.config.data.root == "data"  # no folder of the machine that trained it
        as_trained, as_written = losses_in(card)
        assert abs(as_trained - as_written) < 0.01 * as_trained


def losses_in(card: str) -> tuple[float, float]:
    found = re.search(r"held-out loss \| ([\d.]+) as trained, ([\d.]+) as written", card)
    assert found
    return float(found[1]), float(found[2])


def test_mnist_is_sampled_without_data_by_class_with_guidance(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = ["-n", "2", "--steps", "2"]
    assert main(["sample", "pretrained:mnist", *few, "--class", "3", "--guidance", "2"]) == 0
    (file,) = Path("runs/pretrained/mnist/class_3_guidance_2").glob("*.npz")
    with np.load(file) as arrays:
        drawn = torch.as_tensor(arrays["x"])
    model = sde.load("pretrained:mnist", device="cpu")
    same = model.sample(2, steps=2, label=3, guidance=2.0).x
    assert drawn.shape == (2, 1, 28, 28) and torch.equal(same, drawn)
    assert not torch.equal(model.sample(2, steps=2).x, drawn)
    capsys.readouterr()
    assert main(["evaluate", "pretrained:mnist", "data.download=false", "data.root=no"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_exported_folder_holds_the_rounded_weights(folder, plane_run):
    run, written = load(plane_run, CPU), load(folder, CPU)
    stored = read_exported(folder / "model.safetensors")[1]
    parameters = dict(run.network.named_parameters())
    for name, tensor in run.network.state_dict().items():
        expected = tensor.half() if name in parameters else tensor
        assert stored[name].dtype == expected.dtype and torch.equal(stored[name], expected)
        assert torch.equal(written.network.state_dict()[name], expected.float())
    assert written.step == run.step and written.config.sampling.steps == 3
    x, t = torch.randn(5, 2), torch.linspace(0.1, 1, 5)
    ours, theirs = written.score_fn(x, t), run.score_fn(x, t)
    # each weight moves by at most 2^-11 = 0.05 % of itself
    assert 0 < (ours - theirs).norm() < 0.01 * theirs.norm()
    assert load(folder / "model.safetensors", CPU).config == written.config


def test_the_card_states_what_was_measured(folder, plane_run):
    run, written = load(plane_run, CPU), load(folder, CPU)
    card = (folder / "README.md").read_text()
    for trained, said in zip((run, written), losses_in(card), strict=True):
        loss = build.loss(trained.config, trained.sde)
        measured = heldout_loss(trained.config, loss, run.data, trained.network, CPU)
        assert abs(measured - said) < 1e-6
    assert f"training examples | {len(run.data.train)} |" in card
    assert card.endswith("For tests alone.\n")


def test_mistakes_are_one_line(folder, tmp_path, capsys):
    broken, other, full = (tmp_path / name for name in ("broken", "other", "full"))
    for copy in (broken, other):
        shutil.copytree(folder, copy)
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    settings = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(settings.replace("hidden_dim: ", "hidden_dim: 1"))
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    cases = [
        (["sample", "pretrained:mnits"], "did you mean 'mnist'?"),
        (["sample", "pretrained:"], "known: "),
        (["sample", str(broken)], "not a safetensors file"),
        (["sample", str(other)], "of another configuration: model.hidden_dim"),
        (["export", str(folder), str(full)], "holds other files"),
        (["export", str(folder), str(full / "notes.txt")], "ends in .safetensors"),
        (["sample", str(full)], "holds no checkpoint"),
    ]
    for arguments, message in cases:
        assert main(arguments) == 2, arguments
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1, said


def test_weights_beyond_half_precision_are_refused(plane_run, tmp_path):
    run = load(plane_run, CPU)
    with torch.no_grad():
        next(run.network.parameters())[0] = 1e5
    with pytest.raises(InputError, match="above 65504"):
        export(run, tmp_path / "x.safetensors", half=True)
