"""Evaluation of unusual networks, and where its results may lie."""

import math
import shutil

import pytest
import torch

from repro.errors import InputError
from sde import build
from sde.evaluation.evaluate import evaluate
from sde.evaluation.nll import heldout_likelihood
from sde.evaluation.table import find, make_tables, text
from sde.sample import draw
from sde.trained_model import load
from tests.helpers.rounding import assert_same_up_to_rounding, float32_bound
from tests.sde.conftest import CPU, run, tiny_config


@pytest.mark.parametrize("probes, images", [(0, 1), (2, 3)])  # 0: the exact trace, which is dear
def test_likelihood_of_an_energy_of_images(tmp_path, probes, images):
    """PyTorch has no second derivative of group normalisation for several probes at once."""
    config = tiny_config(
        data={"name": "digits"},
        model={"network": "small_conv", "hidden_dim": 8, "energy": "square"},
        optimiser={"iterations": 2},
        evaluation={"probes": probes, "likelihoods": images, "rtol": 1e-2, "atol": 1e-2},
    )
    run(config, tmp_path / "run")
    trained = load(tmp_path / "run", CPU)
    found = heldout_likelihood(trained, trained.data.heldout)
    assert math.isfinite(found.bits_per_dim) and found.examples == images


def test_evaluations_elsewhere_can_be_tabulated_and_never_mix(plane_run, digits_run, tmp_path):
    trained = load(plane_run, CPU, ["sampling.snr=0.3", "evaluation.rtol=0.01"])
    evaluate(trained, tmp_path / "here")
    said = text(make_tables(find([tmp_path / "here"])), "markdown")
    assert "dpm_solver_pp_2m, snr 0.3" in said and "to rtol 0.01 and atol 1e-05" in said
    other = tmp_path / "digits"
    shutil.copytree(digits_run, other)
    with pytest.raises(InputError, match="holds another run"):
        evaluate(trained, other)


PATH = 20 * 9 * 4  # numbers added along one path of the network: layers x pixels x channels


def test_likelihood_of_a_network_in_another_layout(tmp_path):
    """PyTorch cannot differentiate normalisation in channels_last for several probes at once."""
    unet = {"channels": 4, "multipliers": [1, 2], "attention": [4]}
    config = tiny_config(
        data={"name": "digits"},
        model={"network": "ncsnpp", "unet": unet},
        optimiser={"iterations": 2},
        evaluation={"likelihoods": 4, "probes": 2, "rtol": 1e-2, "atol": 1e-2},
        compute={"channels_last": True},
    )
    run(config, tmp_path)
    found, drawn = [], []
    for overrides in ([], ["compute.channels_last=false"]):
        trained = load(tmp_path, CPU, overrides)
        found.append(heldout_likelihood(trained, trained.data.heldout).bits_per_dim)
        drawn.append(draw(trained, "heun", 3, 4).x)
    # the layouts add in other orders; a solver's step multiplies that by its derivative, about 10
    assert found[0] == pytest.approx(found[1], rel=float32_bound(PATH, magnitude=10))
    assert_same_up_to_rounding(*drawn, PATH, magnitude=10 * drawn[0].abs().max().item())
    trained = load(tmp_path, CPU)
    for network, last in (
        (build.inference_network(trained.config, trained.network, CPU), True),
        (trained.network, False),
    ):
        weight = next(w for w in network.parameters() if w.ndim == 4 and min(w.shape) > 1)
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
