"""Wrong input to a sampler: one line, before or instead of numbers that mean nothing."""

import math

import pytest
import torch

from repro.errors import InputError
from sde import samplers
from sde.processes import VPSDE, SubVPSDE
from sde.samplers import sample, solve
from tests.helpers.oracles_sde import generator


def good(x, t):
    return -x


@pytest.mark.parametrize("change, message", [
    (dict(predictor="euler"), "unknown predictor 'euler'.*euler_maruyama"),
    (dict(predictor="heun"), "unknown predictor"),
    (dict(corrector="mala"), "unknown corrector"),
    (dict(predictor="none", corrector="none"), "predictor none with corrector none"),
    (dict(predictor="ancestral", probability_flow=True), "ancestral.*probability flow.*VPSDE"),
    (dict(steps=0), "steps"),
    (dict(steps=2.5), "steps"),
    (dict(eps=0.0), "eps"),
    (dict(eps=1.0), "eps"),
    (dict(snr=0.0), "snr"),
    (dict(corrector_steps=0), "corrector_steps"),
    (dict(grid="coarse"), "grid"),
    (dict(schedule="cosine"), "schedule"),
    (dict(grid="published", steps=20), "more timesteps than beta_max"),
    (dict(batch_size=0), "batch_size"),
    (dict(shape=(4,)), "shape"),
    (dict(shape=(0, 2)), "shape"),
    (dict(init=torch.zeros(3, 2)), "init"),
    (dict(score_fn=lambda x, t: x[:, :1]), "shape"),
    (dict(score_fn=lambda x, t: x * math.nan), "not finite"),
])  # fmt: skip
def test_bad_input_to_sample(change, message):
    given = dict(shape=(4, 2), steps=3, generator=generator(), score_fn=good) | change
    with pytest.raises(InputError, match=message) as error:
        sample(VPSDE(), given.pop("score_fn"), given.pop("shape"), **given)
    assert "\n" not in str(error.value)


def test_bad_input_to_the_other_samplers():
    with pytest.raises(InputError, match=r"unknown solver 'euler_maruyama'.*heun"):
        solve(VPSDE(), good, (4, 2), solver="euler_maruyama", steps=3, generator=generator())
    with pytest.raises(InputError, match="steps"):
        solve(SubVPSDE(), good, (4, 2), steps=-1, generator=generator())
    flow = samplers.probability_flow_sample
    with pytest.raises(InputError, match="rtol"):
        flow(VPSDE(), good, (4, 2), generator=generator(), rtol=-1)
    with pytest.raises(InputError, match="stalled"):
        flow(VPSDE(), lambda x, t: x * math.nan, (4, 2), generator=generator())
