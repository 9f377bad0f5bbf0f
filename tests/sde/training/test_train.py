"""Training: what a folder holds, interruption, resumption to the bit, and learning."""

import functools
import json
import math
import time

import pytest
import torch

from repro.errors import InputError
from repro.files import checkpoint
from repro.run import RunFolder
from repro.signals import Interrupted
from sde import build, losses
from sde.data.toy import RING
from sde.evaluation.nll import heldout_likelihood
from sde.metrics import energy_distance
from sde.sample import draw
from sde.trained_model import load
from sde.training.train import DIVERGED, Trainer
from tests.helpers.killing import kill_at_random_moments
from tests.helpers.oracles_sde import generator
from tests.sde.conftest import CPU, StopAfter, run, tiny_config

pytestmark = pytest.mark.usefixtures("undrawn")


def outcome(path):
    """Everything a run leaves that must not depend on interruptions."""
    results = json.loads((path / "results.json").read_text()) | {"seconds": None}
    state = checkpoint.load_newest(path / "checkpoints")
    state["progress"].pop("seconds")
    state["config"].pop("compute")
    return results, (path / "metrics.jsonl").read_text(), state


def assert_same(mine, theirs):
    """Equal to the bit, through every dict and list."""
    assert type(mine) is type(theirs)
    if isinstance(mine, torch.Tensor):
        assert torch.equal(mine, theirs)
    elif isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert_same(mine[name], theirs[name])
    elif isinstance(mine, list | tuple):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_same(one, other)
    else:
        assert mine == theirs


VARIANTS = {
    "plain": {},
    "ve_likelihood": {"process": {"name": "ve"}, "loss": {"weighting": "likelihood"}},
    "energy": {"model": {"energy": "square"}, "process": {"name": "subvp"}},
    "importance": {
        "loss": {"weighting": "importance"},
        "optimiser": {"max_grad_norm": 0, "warmup_steps": 0},
    },
    "digits": {
        "data": {"name": "digits"},
        "model": {"network": "small_conv", "hidden_dim": 8},
        "optimiser": {"iterations": 7},
    },
    "classes": {"data": {"name": "digits"}, "model": {"condition": "class"}},
    "power_averages": {"optimiser": {"power_averages": 3, "iterations": 9}},
    "dropout": {
        "data": {"name": "digits"},
        "model": {"network": "ncsnpp", "unet": {"channels": 4, "multipliers": [1], "dropout": 0.5}},
        "optimiser": {"iterations": 7},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopping_anywhere_changes_nothing(tmp_path, variant):
    """Stop after every 3 iterations, resume, and compare to the bit, optimiser and all, with a run
    that is saved once, at its end: to save changes nothing either."""
    config = tiny_config(**VARIANTS[variant])
    run(tiny_config(**VARIANTS[variant], compute={"checkpoint_seconds": 1000}), tmp_path / "whole")
    stops = 0
    while True:
        try:
            run(config, tmp_path / "pieces", resume=True, stop=StopAfter(3))
            break
        except Interrupted:
            stops += 1
    assert stops >= 2
    assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "pieces"))


def test_kill_at_random_moments(tmp_path):
    """SIGKILL again and again, at any moment: in an iteration, a record, or while writing."""
    config, killed = tiny_config(optimiser={"iterations": 60}), tmp_path / "killed"
    begun = time.monotonic()
    run(config, tmp_path / "whole")
    kill_at_random_moments(
        lambda: run(config, killed, resume=True), killed, time.monotonic() - begun
    )
    if not (killed / "results.json").exists():
        run(config, killed, resume=True)
    assert_same(outcome(tmp_path / "whole"), outcome(killed))


def test_run_folder_is_complete_and_owned(tmp_path):
    config, path = tiny_config(), tmp_path / "run"
    summary = run(config, path)
    expected = {"config.yaml", "environment.json", "metrics.jsonl", "results.json", "training.png"}
    assert expected <= {file.name for file in path.iterdir()}
    environment = json.loads((path / "environment.json").read_text())
    assert all(len(digest) == 64 for digest in environment["data_files"].values())
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in records] == [4, 8, 12]
    assert records[0]["learning_rate"] == pytest.approx(2e-3 * 4 / 5)
    assert records[-1]["learning_rate"] == 2e-3
    assert summary["heldout_loss"] == records[-1]["heldout_loss"]
    with pytest.raises(InputError, match="holds a run already"):
        run(config, path)
    with pytest.raises(InputError, match="differs from the configuration"):
        run(tiny_config(seed=1), path, resume=True)


def test_a_run_that_diverges_says_so_and_keeps_a_checkpoint_from_before(tmp_path):
    config = tiny_config(optimiser={"learning_rate": 1e12, "iterations": 200})
    with pytest.raises(InputError, match=r"the run diverged: at iteration \d+ the held-out loss"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "results.json").exists()

    gentle = tiny_config(optimiser={"learning_rate": 1e-3, "iterations": 200})
    with RunFolder(tmp_path / "later", gentle) as folder:
        trainer = Trainer(gentle, folder, CPU)
        trainer.loss = bad_from_call(60, trainer.loss)
        with pytest.raises(InputError, match="the checkpoints are from before that"):
            trainer.run(StopAfter(math.inf))
    trained = load(tmp_path / "later", CPU)
    assert 0 < trained.step <= 60
    assert torch.isfinite(draw(trained, "heun", 5, 4).x).all()


def bad_from_call(number, loss):
    """The loss, which is not a number from this call on."""
    calls = iter(range(10**9))

    def spoilt(*arguments):
        result, factor = loss(*arguments), math.nan if next(calls) >= number else 1.0
        return losses.Loss(factor * result.loss, factor * result.per_sample)

    return spoilt


def test_a_finite_but_enormous_loss_is_divergence_too(tmp_path):
    with RunFolder(tmp_path / "run", tiny_config()) as folder:
        trainer = Trainer(tiny_config(), folder, CPU)
        trainer.progress.first = trainer.heldout_loss(trainer.network)
        trainer._require_sound()
        for parameter in trainer.network.parameters():
            parameter.data += 100 * math.sqrt(DIVERGED)
        with pytest.raises(InputError, match="diverged"):
            trainer._require_sound()


def test_an_energy_is_not_compiled():
    """Its score is a gradient, and training takes the gradient of that."""
    with pytest.raises(InputError, match=r"compute.compile: not possible for an energy"):
        tiny_config(model={"energy": "square"}, compute={"compile": True})


def test_average_is_the_recursion_with_its_warm_up():
    """a_0 = w_0, a_n = d a_{n-1} + (1 - d) w_n, d = min(decay, (1 + n) / (10 + n))."""
    network = torch.nn.Linear(1, 1, bias=False)
    config = tiny_config(optimiser={"ema_decay": 0.25})
    average, expected = build.ema(config, network), None
    for n in range(8):
        network.weight.data.fill_(float(n * n))
        average.update_parameters(network)
        decay = min(0.25, (1 + n) / (10 + n))
        expected = 0.0 if n == 0 else decay * expected + (1 - decay) * n * n
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped_and_the_record_says_their_norm(tmp_path, monkeypatch):
    seen = []
    step = torch.optim.Adam.step

    def spy(self, *arguments, **named):
        gradients = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        seen.append(torch.cat(gradients).norm().item())
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    run(tiny_config(optimiser={"max_grad_norm": 1e-3}, evaluation={"every": 1}), tmp_path / "run")
    assert max(seen) == pytest.approx(1e-3, rel=1e-3)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert max(json.loads(line)["gradient_norm"] for line in lines) > 0.01  # before clipping


def test_heldout_loss_is_always_asked_with_the_same_numbers(tmp_path):
    config = tiny_config()
    with RunFolder(tmp_path / "run", config) as folder:
        trainer = Trainer(config, folder, CPU)
        before = trainer.rng.get_state()
        one, two = (trainer.heldout_loss(trainer.network) for _ in range(2))
        assert one == two and torch.equal(before, trainer.rng.get_state())


@pytest.mark.parametrize(
    "energy, name", [("none", "ve"), ("none", "vp"), ("none", "subvp"), ("square", "vp")]
)
def test_learning_reaches_the_truth(tmp_path, name, energy):
    """Eight Gaussians in 600 iterations: the loss near that of the exact score, samples hardly
    told from the truth, the likelihood near the entropy (0.43 bits away where the modes have run
    together into a ring)."""
    process = {"name": name, "sigma_max": 10} if name == "ve" else {"name": name}
    config = tiny_config(
        data={"train": 10000, "heldout": 2000},
        process=process,
        model={"hidden_dim": 64, "depth": 2, "frequencies": 4, "energy": energy},
        optimiser={"iterations": 600, "batch_size": 256, "learning_rate": 4e-3},
        evaluation={"every": 200, "likelihoods": 200, "rtol": 1e-2, "atol": 1e-2},
        compute={"checkpoint_seconds": 1000},
    )
    with RunFolder(tmp_path / "run", config) as folder:
        trainer = Trainer(config, folder, CPU)
        exact = exact_heldout_loss(trainer)
        start = trainer.heldout_loss(trainer.network)
        trainer.run(StopAfter(math.inf))
        learnt = trainer.heldout_loss(trainer.ema.module)
    assert learnt - exact < 0.12 * (start - exact)

    trained = load(tmp_path / "run", CPU)
    samples = draw(trained, "dpm_solver_pp_2m", 25, 4000).x
    assert energy_distance(RING.sample(4000, generator(5)), samples).value < 2.5 * sampling_floor()
    found = heldout_likelihood(trained, trained.data.heldout)
    assert abs(found.bits_per_dim - found.truth_bits_per_dim) < 0.3


@functools.cache
def sampling_floor() -> float:
    """The largest of five energy distances between independent draws from the truth itself."""
    pairs = [[RING.sample(4000, generator(2 * i + j)) for j in range(2)] for i in range(50, 55)]
    return max(energy_distance(*pair).value for pair in pairs)


def exact_heldout_loss(trainer) -> float:
    """The held-out loss of the exact score, with the numbers that the trainer draws."""
    parts = vars(trainer) | {"network": None}
    other = object.__new__(Trainer)
    other.__dict__.update(parts)
    score = RING.score_fn(trainer.sde)
    how = dict(weighting="variance", reduce="mean")

    def exact(_, x0, u, z):
        t = losses.uniform_times(u)
        return losses.denoising_score_matching(trainer.sde, score, x0, t, z, **how)

    other.loss = exact
    return other.heldout_loss(trainer.network)
