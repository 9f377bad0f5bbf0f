"""Evaluation of unusual networks, and where its results may lie."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from repro.errors import InputError
from sde import build
from sde.data.dataset import Dataset, DataSpec, Split
from sde.data.quantisation import Quantisation
from sde.evaluation.evaluate import evaluate, measure
from sde.evaluation.nll import heldout_likelihood
from sde.evaluation.table import find, make_tables, text
from sde.sample import draw
from sde.trained_model import load
from tests.helpers.rounding import assert_same_up_to_rounding, float32_bound
from tests.sde.conftest import CPU, run, tiny_config

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize("probes, images", [(0, 1), (2, 3)])  # 0: the exact trace, which is dear
def test_likelihood_of_an_energy_of_images(tmp_path, probes, images):
    """PyTorch has no second derivative of group normalisation for several probes at once."""
    file = tmp_path / "small.npz"  # 16 numbers each: so many products has an exact trace
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    np.savez(file, images=pixels)
    config = tiny_config(
        data={"name": "npz", "path": str(file), "heldout": 8},
        model={"network": "small_conv", "hidden_dim": 8, "energy": "square"},
        optimiser={"iterations": 2},
        evaluation={"probes": probes, "likelihoods": images, "rtol": 3.0, "atol": 3.0},
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


def test_one_example_has_no_standard_error(plane_run, tmp_path):
    """Not NaN, which is no JSON; the table gives the mean alone."""

    def refuse(constant):
        raise AssertionError(constant)

    few = ["evaluation.likelihoods=1", "evaluation.samples=20", "evaluation.compare=[ddim]"]
    evaluate(load(plane_run, CPU, few), tmp_path)
    content = (tmp_path / "results.json").read_text()
    likelihood = json.loads(content, parse_constant=refuse)["evaluation"]["likelihood"]
    assert likelihood["standard_error"] is None
    assert f"{likelihood['bits_per_dim']:.4f} bits per dimension" in likelihood["in_words"]
    said = text(make_tables(find([tmp_path])), "markdown")
    bits = f"{likelihood['bits_per_dim']:.4f}"
    assert f"| {bits} " in said and f"{bits} ±" not in said


def test_distances_compare_examples_as_they_are_trained_on(plane_run):
    """Without dequantisation a sample at every held-out grey level is at distance 0."""
    quantisation = Quantisation(-1.0, 1.0)
    spec = DataSpec("levels", (1, 2, 2), quantisation)
    values = torch.arange(160, dtype=torch.uint8).reshape(40, 1, 2, 2)
    for dequantise in (False, True):
        part = Split(spec, values, dequantise=dequantise)
        trained = replace(load(plane_run, CPU), data=Dataset(spec, part, part))
        found = measure(trained, quantisation.place(values))["sliced_wasserstein"]["value"]
        assert (found == 0) == (not dequantise)


def test_the_likelihood_is_of_dequantised_examples_in_any_case(digits_run):
    """It bounds that of the grey levels; of the levels themselves it would have no meaning."""
    rough = ["evaluation.likelihoods=1", "evaluation.rtol=1", "evaluation.atol=1"]
    trained = load(digits_run, CPU, rough)
    own = trained.data.heldout
    found = [
        heldout_likelihood(trained, replace(own, dequantise=on)).bits_per_dim
        for on in (True, False)
    ]
    assert found[0] == found[1]
