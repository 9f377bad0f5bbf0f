"""Few evaluations against many, on a mixture with its exact score."""

import pytest

from sde.metrics import energy_distance
from sde.samplers import sample, solve
from tests.helpers.oracles_sde import GOLDEN_SDES, generator, plane_mixture


@pytest.mark.parametrize("name", GOLDEN_SDES)
def test_fifty_evaluations_of_second_order_match_two_thousand_published(name):
    """Energy distance to fresh draws from the truth; the floor is that of other fresh draws."""
    sde, data, shape = GOLDEN_SDES[name], plane_mixture(), (2000, 2)
    score_fn = data.score_fn(sde)
    truth = data.sample(2500, generator(100))
    how = dict(dtype=truth.dtype)
    published = sample(
        sde, score_fn, shape, predictor="reverse_diffusion", corrector="annealed_langevin"
        if name == "subvp" else "langevin", steps=1000, grid="published",
        generator=generator(1), **how,
    )  # fmt: skip
    runs = {
        "heun": solve(sde, score_fn, shape, solver="heun", steps=24, generator=generator(2), **how),
        "2m": solve(sde, score_fn, shape, steps=49, generator=generator(3), **how),
    }
    assert published.nfe == 2000 and max(run.nfe for run in runs.values()) <= 50
    distance = {name: energy_distance(truth, run.x).value for name, run in runs.items()}
    floor = [energy_distance(truth, data.sample(2000, generator(200 + i))).value for i in range(6)]
    bound = max(energy_distance(truth, published.x).value, *floor)
    assert min(distance.values()) <= bound, (distance, bound)
    assert max(distance.values()) < 0.01
