"""Models of discrete levels, SMLD and DDPM, through the configuration."""

from itertools import product

import pytest
import torch

from repro.errors import InputError
from sde import build
from sde.data.toy import RING
from sde.discrete import DDPMTable, SMLDTable
from sde.evaluation.evaluate import evaluate
from sde.evaluation.nll import heldout_likelihood
from sde.processes import VESDE, VPSDE
from sde.sample import draw
from sde.trained_model import load
from tests.helpers.oracles_sde import generator
from tests.helpers.rounding import assert_same_up_to_rounding
from tests.sde.conftest import CPU, run, tiny_config

pytestmark = pytest.mark.usefixtures("undrawn")

TIMESTEPS = 40
SMLD = dict(process={"name": "ve"}, loss={"num_timesteps": TIMESTEPS})
DDPM = dict(process={"name": "vp"}, loss={"num_timesteps": TIMESTEPS})
# Terms and margin of the float32 comparisons. A score sums eight modes of two coordinates. The std
# of a level is the exponential of a number of at most ln(5000) < 9, which multiplies its rounding.
TERMS, MARGIN = 8 * 2, 4 * 9
BY_TIME = {"conditioning": "time", "prediction": "noise"}
CASES = {
    "smld": (tiny_config(**SMLD, model=BY_TIME), SMLDTable(num_timesteps=TIMESTEPS)),
    "smld_score": (
        tiny_config(**SMLD, model=BY_TIME | {"prediction": "score"}),
        SMLDTable(num_timesteps=TIMESTEPS),
    ),
    "ddpm": (tiny_config(**DDPM, model=BY_TIME), DDPMTable(num_timesteps=TIMESTEPS)),
}


def scale_and_std(table, timestep):
    """scale_k and std_k of timesteps (B,), as columns."""
    if isinstance(table, SMLDTable):
        return torch.ones(len(timestep), 1), table.sigma_at(timestep, torch.zeros(()))[:, None]
    return tuple(part[:, None] for part in table.scale_and_std(timestep, torch.zeros(())))


def exact_network(config, table):
    """What a perfect network answers: the noise, or score, of eight Gaussians at the level whose
    time it is given."""

    def network(x, time):
        k = (time.double() * (TIMESTEPS - 1)).round().long()
        timestep = TIMESTEPS - 1 - k if isinstance(table, SMLDTable) else k
        scale, std = scale_and_std(table, timestep)
        means = RING.means.float()[None] * scale[:, None]
        variance = scale**2 * 0.08**2 + std**2
        apart = means - x[:, None]
        share = torch.softmax(-(apart**2).sum(2) / (2 * variance), 1)
        score = (share[:, :, None] * apart).sum(1) / variance
        return score if config.model.prediction == "score" else -std * score

    return network


@pytest.mark.parametrize("case", CASES)
def test_a_network_is_asked_at_the_time_of_its_level(case):
    """The score at the time of level k is that of eight Gaussians widened by level k's own scale
    and std: a timestep off by one, or counted from the wrong end, is another mixture."""
    config, table = CASES[case]
    sde = {"ve": VESDE(), "vp": VPSDE()}[config.process.name]
    timestep = torch.arange(TIMESTEPS)
    scale, std = scale_and_std(table, timestep)
    x = scale * RING.sample(TIMESTEPS, generator(1)).float()
    x = x + std * torch.randn(TIMESTEPS, 2, generator=generator(2))
    time = table.time(timestep).float()
    found = build.score(config, sde, exact_network(config, table))(x, time)
    wide = RING.means.float()[None] * scale[:, None], scale**2 * 0.08**2 + std**2
    apart = wide[0] - x[:, None]
    share = torch.softmax(-(apart**2).sum(2) / (2 * wide[1]), 1)
    expected = (share[:, :, None] * apart).sum(1) / wide[1]
    # Times std, the scores of all levels are of one size. The bound is below 1e-4; the neighbouring
    # levels differ by 0.8 or more at their largest.
    assert_same_up_to_rounding(found * std, expected * std, TERMS, margin=MARGIN)


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_that_of_the_table(case):
    """u picks the level floor(u N); the loss is the published one of that timestep."""
    config, table = CASES[case]
    sde = build.process(config)
    x0 = RING.sample(64, generator(3)).float()
    z = torch.randn(64, 2, generator=generator(4))
    u = torch.rand(64, generator=generator(5))
    timestep = (u * TIMESTEPS).floor().long()
    network = exact_network(config, table)
    found = build.loss(config, sde)(network, x0, u, z)
    scale, std = scale_and_std(table, timestep)
    noise = network(scale * x0 + std * z, table.time(timestep))
    noise = -std * noise if case == "smld_score" else noise
    expected = ((noise - z) ** 2).mean(1)
    # The bounds are below 3e-4 and 3e-5; the neighbouring levels change a sample's loss by 0.3 or
    # more at most, and the mean of all by 1.7e-3 or more.
    size = (noise.abs() + z.abs()).max().item() ** 2  # of the partial sums before they cancel
    assert_same_up_to_rounding(found.per_sample, expected, TERMS + 2, size, MARGIN)
    assert_same_up_to_rounding(found.loss, expected.mean(), TERMS + 2 * 64, margin=MARGIN)


def test_a_run_from_training_to_page(tmp_path):
    """The chain of levels is sampled as published; there is no likelihood, and both say so."""
    sampling = {"sampler": "ancestral", "grid": "published", "steps": TIMESTEPS}
    config = tiny_config(**DDPM, model=BY_TIME, sampling=sampling)
    run(config, tmp_path / "run")
    trained = load(tmp_path / "run", CPU)
    assert draw(trained, "ancestral", TIMESTEPS, 10).nfe == TIMESTEPS
    with pytest.raises(InputError, match="discrete noise levels"):
        heldout_likelihood(trained, trained.data.heldout)
    page, results = evaluate(trained, tmp_path / "out")
    assert results["likelihood"]["in_words"].startswith("none: a model of discrete noise levels")
    assert "no likelihood" in page.read_text()


BAD = {
    "no discrete table": dict(process={"name": "subvp"}, loss={"num_timesteps": 10}, model=BY_TIME),
    "needs model.prediction noise": dict(loss={"num_timesteps": 30}),
    "no log_noise": dict(loss={"num_timesteps": 30}, model={"prediction": "noise"}),
    "weighting variance": dict(
        loss={"num_timesteps": 30, "weighting": "likelihood"}, model=BY_TIME, process={"name": "vp"}
    ),
    "loss.num_timesteps: should be greater": dict(loss={"num_timesteps": 1}),
}


@pytest.mark.parametrize("message", BAD)
def test_what_has_no_table_is_refused(message):
    with pytest.raises(InputError, match=message):
        tiny_config(**BAD[message])


def test_a_unet_takes_no_logarithm_of_zero():
    """Refused where a level's condition is 0 and its logarithm is embedded, and only there."""
    refused = set()
    x0, z = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    for process, condition, embedding in product(
        ("ve", "vp"), ("time", "time_999", "std"), ("positional", "fourier")
    ):
        unet = {"channels": 4, "multipliers": [1], "attention": [], "embedding": embedding}
        model = {"network": "ncsnpp", "conditioning": condition, "prediction": "noise"}
        config = tiny_config(
            data={"name": "digits"},
            process={"name": process},
            loss={"num_timesteps": TIMESTEPS},
            model={**model, "unet": unet},
        )
        try:
            network = build.network(config, (1, 8, 8), CPU)
        except InputError as error:
            assert "loss.num_timesteps:" in str(error)
            refused.add((process, condition, embedding))
            continue
        ends = torch.tensor([0.0, 0.9999])
        assert build.loss(config, build.process(config))(network, x0, ends, z).loss.isfinite()
    assert refused == {
        *product(("ve", "vp"), ("time", "time_999"), ("fourier",)),
        *product(("vp",), ("std",), ("positional", "fourier")),
    }
