"""Training of the denoiser: its loss, its training set, and whole runs."""

import json

import pytest
import torch

from cizsl.cli.parser import main
from cizsl.score.denoiser import Condition, Denoiser
from cizsl.score.training import ScoreSteps, loss
from cizsl.score.virtual_classes import batch, mixed_errors
from repro.signals import Interrupted
from tests.cizsl.score.test_generator import pair, rng
from tests.cizsl.training.runs import StopAfter, assert_same_outcome, run

pytestmark = pytest.mark.usefixtures("undrawn")


def steps(virtual=True, **settings):
    torch.manual_seed(0)
    _, generator, _ = pair(hidden_dim=32, **settings)
    return ScoreSteps(
        generator, batch_size=128, learning_rate=3e-3, virtual=virtual, null_share=0.1, rng=rng()
    )


def test_the_loss_of_the_exact_denoiser():
    """N(m, 1): E |D - x_0|^2 = s^2 / (1 + s^2) for each coordinate, so the loss is 1."""
    g, mean = rng(3), torch.tensor([[2.0, -1.0, 0.5]]).expand(40_000, -1)
    x0 = mean + torch.randn(mean.shape, generator=g)
    t, z = torch.rand(len(x0), generator=g).clamp_min(0.01), torch.randn(x0.shape, generator=g)
    denoiser = Denoiser(3, 1.0, 8, 1)
    exact = loss(denoiser, x0, Condition.of(mean, torch.ones_like(mean)), t, z)
    assert exact.item() == pytest.approx(1, abs=5 * (2 / 120_000) ** 0.5)  # five standard errors
    wrong = loss(denoiser, x0, Condition.of(mean + 0.5, torch.ones_like(mean)), t, z)
    assert wrong > exact + 0.1


def test_virtual_classes_have_the_law_that_their_condition_says():
    """x - m has mean zero and variance V: 1 within the class, and V - 1 of the error."""
    data = steps().generator.training_set
    x, c = batch(data, 40_000, True, rng(1))
    residual = (x - c.mean) / c.variance.sqrt()
    # errors are mixtures of ten draws, so their variance is known only as the mean over pairs
    within = (data.images - data.means[data.labels]).square().mean(0)
    expected = ((within + c.variance - 1) / c.variance).mean(0)
    torch.testing.assert_close(residual.square().mean(0), expected, rtol=0.05, atol=0)
    assert residual.mean(0).abs().max() < 0.03
    certain = (c.variance == 1).all(1)
    assert certain.float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_mixed_errors_have_unit_variance():
    data = steps().generator.training_set
    u = mixed_errors(data, 40_000, rng(2))
    torch.testing.assert_close(u.square().mean(0), torch.ones(u.shape[1]), rtol=0.05, atol=0)
    assert u.mean(0).abs().max() < 0.03


def test_seen_classes_are_real_images_with_left_out_conditions():
    data = steps().generator.training_set
    x, c = batch(data, 500, False, rng(1))
    row = torch.cdist(x, data.images).argmin(1)
    assert torch.equal(data.images[row], x)
    expected = torch.where(c.variance == 1, data.means[data.labels[row]], 0)
    assert torch.equal(c.mean * (c.variance == 1), expected)


def test_iteration_0_changes_nothing_and_the_next_ones_learn():
    """A condition that is wrong by a constant is corrected."""
    training = steps(spread=0.0)
    data = training.generator.training_set
    data.images.add_(1.0)
    before = {k: v.clone() for k, v in training.generator.state_dict().items()}
    training.step(0)
    after = training.generator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    losses = [float(training.step(i)["denoising"]) for i in range(1, 301)]
    assert sum(losses[-30:]) < 0.8 * sum(losses[:30])
    assert not torch.equal(
        before["denoiser.network.leave.weight"],
        training.generator.state_dict()["denoiser.network.leave.weight"],
    )


def test_training_goes_on_from_a_state_bit_by_bit():
    whole, first, second = steps(), steps(), steps()
    for i in range(6):
        whole.step(i)
    for i in range(3):
        first.step(i)
    second.load_state_dict(first.state_dict())
    for i in range(3, 6):
        second.step(i)
    expected, found = whole.generator.state_dict(), second.generator.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


CONFIG = """
data: {{root: {toy}}}
generator: score
score: {{hidden_dim: 16, depth: 1, evaluations: 4}}
optimiser: {{iterations: 3, batch_size: 32}}
evaluation: {{classifier: diffusion, generalised: classifier, every: 1, start: 0}}
"""


def test_stopping_anywhere_changes_nothing(tiny, tmp_path):
    """Stop after every 2 steps, resume, and compare to the bit."""
    config = tiny(
        generator="score",
        score={"hidden_dim": 16, "depth": 1, "evaluations": 4},
        optimiser={"iterations": 7},
        evaluation={"protocol": "strict", "every": 3, "start": 0},
    )
    run(config, tmp_path / "whole")
    stops = 0
    while True:
        try:
            run(config, tmp_path / "pieces", resume=True, stop=StopAfter(2))
            break
        except Interrupted:
            stops += 1
    assert stops >= 3
    assert_same_outcome(tmp_path / "whole", tmp_path / "pieces")


def test_the_diffusion_classifier_needs_a_denoiser(tmp_path, capsys):
    values = ["evaluation.classifier=diffusion", "generator=gaussian"]
    assert main(["train", "toy_cub_easy", *values, "--out", str(tmp_path / "run")]) == 2
    assert "diffusion needs a denoiser" in capsys.readouterr().err


def test_whole_runs(toy, tmp_path, capsys):
    """A run, and the same again; validation includes the untrained generator."""
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(toy=toy))
    for name in ("one", "again"):
        assert main(["train", str(file), "--out", str(tmp_path / name)]) == 0
    one, again = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "again")
    )
    assert one["metrics"] == again["metrics"]
    assert one["method"] == "score-based generator" and one["creativity"] is None
    log = [json.loads(line) for line in (tmp_path / "one" / "metrics.jsonl").open()]
    assert [record["iteration"] for record in log[:3]] == [0, 1, 2]
    assert all("denoising" in record for record in log)
    capsys.readouterr()
    for split in ("test", "val"):
        assert main(["evaluate", str(tmp_path / "one"), "--split", split]) == 0
    assert "differ" not in capsys.readouterr().out
    assert main(["train", str(file), "--out", str(tmp_path / "one"), "--resume"]) == 0
    assert main(["table", str(tmp_path)]) == 0
    assert "score-based generator" in capsys.readouterr().out
