"""Power-function averages, and averages of other lengths made of them after the training."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from repro.errors import InputError
from sde.cli.parser import main
from sde.ema import PowerEMA
from sde.power_averages import (
    LONGEST,
    Profile,
    coefficients,
    combine,
    exponent_of,
    inner_products,
    length_of,
)
from sde.trained_model import load
from sde.training import train as training
from tests.helpers.oracles_sde import generator
from tests.sde.conftest import CPU, run, tiny_config


def shares(exponent, steps):
    """The share of each of 1 ... steps in the average after ``steps``: the integral of p."""
    k = torch.arange(steps + 1, dtype=torch.float64) / steps
    return (k ** (exponent + 1)).diff()


@pytest.mark.parametrize("exponent", [0.0, 3.0, 16.97])
def test_the_recursion_has_the_profile_of_the_power_function(exponent):
    network = nn.Linear(1, 1, bias=False)
    average, values = PowerEMA(network, exponent), torch.randn(40, generator=generator(1))
    for value in values:
        network.weight.data.fill_(value.item())
        average.update_parameters(network)
    expected = shares(exponent, 40) @ values.double()
    assert average.module.weight.item() == pytest.approx(expected.item(), abs=1e-5)


def test_lengths_are_those_of_the_profile_and_of_the_paper():
    """Karras et al. 2024: the lengths 0.05 and 0.10 have the exponents 16.97 and 6.94."""
    assert exponent_of(0.05) == pytest.approx(16.97, abs=5e-3)
    assert exponent_of(0.10) == pytest.approx(6.94, abs=5e-3)
    assert exponent_of(LONGEST) == pytest.approx(0, abs=1e-6)
    s = np.linspace(0, 1, 200_001)
    for exponent in (0.5, 4.0, 16.97):
        p = (exponent + 1) * s**exponent
        mean = np.trapezoid(p * s, s)
        spread = math.sqrt(np.trapezoid(p * (s - mean) ** 2, s))
        assert length_of(exponent) == pytest.approx(spread, rel=1e-6)
        assert exponent_of(length_of(exponent)) == pytest.approx(exponent, rel=1e-9)
    for bad in (0.0, 0.3, -1.0):
        with pytest.raises(InputError, match="length of an average"):
            exponent_of(bad)


def test_inner_products_are_the_integrals():
    profiles = [Profile(1.5, 40.0), Profile(9.0, 100.0), Profile(0.0, 70.0)]
    s = np.linspace(0, 100, 400_001)
    p = [(g.exponent + 1) * s**g.exponent / g.time ** (g.exponent + 1) * (s <= g.time)
         for g in profiles]  # fmt: skip
    expected = [[np.trapezoid(one * other, s) for other in p] for one in p]
    assert np.allclose(inner_products(profiles, profiles), expected, rtol=1e-4)


def snapshots_of(values, times):
    """Profiles and values of two averages of a sequence (N, D) at some times."""
    profiles = [Profile(exponent_of(length), t) for t in times for length in (0.05, 0.1)]
    found = [shares(p.exponent, int(p.time)) @ values[: int(p.time)] for p in profiles]
    return profiles, torch.stack(found)


@pytest.mark.parametrize("length", [0.03, 0.05, 0.08, 0.15, 0.25])
def test_reconstruction_is_the_direct_average_of_a_random_walk(length):
    steps, g = 2048, exponent_of(length)
    walk = torch.randn(steps, 30, generator=generator(2), dtype=torch.float64).cumsum(0)
    profiles, kept = snapshots_of(walk, [128 * (i + 1) for i in range(16)])
    x, distance = coefficients(profiles, Profile(g, steps))
    direct = shares(g, steps) @ walk
    error = (x @ kept - direct).norm() / (direct - walk[-1]).norm()
    assert error < 0.06 and distance < 0.1
    nearest = min((kept[i] - direct).norm() for i in (-1, -2))  # the last two, as they are
    assert error * (direct - walk[-1]).norm() <= nearest + 1e-9
    if length == 0.05:
        assert distance < 1e-6 and error < 1e-6


def test_coefficients_are_the_least_squares_fit_of_profiles():
    """Against the fit of the profiles on a fine grid."""
    profiles = [Profile(g, t) for t in (30.0, 60.0, 100.0) for g in (6.94, 16.97)]
    wanted = Profile(3.0, 100.0)
    s = (np.arange(100_000) + 0.5) / 1000
    columns = [(p.exponent + 1) * (s / p.time) ** p.exponent / p.time * (s <= p.time)
               for p in (*profiles, wanted)]  # fmt: skip
    fit, rest, *_ = np.linalg.lstsq(np.stack(columns[:-1], 1), columns[-1], rcond=None)
    x, distance = coefficients(profiles, wanted)
    assert np.allclose(x, fit, rtol=1e-3, atol=1e-3)
    expected = math.sqrt(rest[0] / (columns[-1] ** 2).sum())
    assert distance == pytest.approx(expected, rel=1e-3)


def test_states_are_combined_by_name_and_counts_are_kept():
    states = [{"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)} for _ in range(2)]
    states[1] = {"w": torch.tensor([10.0, 0.0]), "n": torch.tensor(7)}
    found = combine(states, torch.tensor([0.5, -0.25], dtype=torch.float64))
    assert found["w"].tolist() == [-2.0, 1.0] and found["w"].dtype == torch.float32
    assert found["n"].item() == 7


@pytest.fixture(scope="module")
def averaged_run(tmp_path_factory):
    """A run with snapshots, and its weights after every step (N, D)."""
    path, seen = tmp_path_factory.mktemp("runs") / "run", []
    update = training.PowerAverages.update

    def spy(self, network, step):
        seen.append(nn.utils.parameters_to_vector(network.parameters()).detach().double())
        update(self, network, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.PowerAverages, "update", spy)
        optimiser = {"iterations": 64, "power_averages": 8, "warmup_steps": 5}
        run(tiny_config(optimiser=optimiser, compute={"checkpoint_seconds": 1000}), path)
    return path, torch.stack(seen)


@pytest.mark.parametrize("length, at", [(0.05, 64), (0.1, 40), (0.13, 64), (0.08, 48)])
def test_an_average_after_the_training_is_the_direct_one(
    averaged_run, tmp_path, length, at, capsys
):
    path, weights = averaged_run
    out = str(tmp_path / "out")
    assert main(["average", str(path), f"--length={length}", f"--at={at}", f"--out={out}"]) == 0
    said = capsys.readouterr().out
    assert f"power-function average of length {length} at iteration {at}" in said
    made = load(tmp_path / "out", CPU)
    found = nn.utils.parameters_to_vector(made.network.parameters()).double()
    direct = shares(exponent_of(length), at) @ weights[:at]
    way = (weights[at - 1] - weights[0]).norm()  # of the weights in the training
    exact = length in (0.05, 0.1)
    # float32: 1e-6 of the weights, enlarged tenfold; the profiles are at most 2.1 % off
    assert (found - direct).norm() < (1e-5 * weights[0].norm() if exact else 0.04 * way)
    assert made.step == at


@pytest.mark.parametrize(
    "words, message",
    [
        ("--length 0.1 --at 5", "snapshots are of the iterations [8, 16"),
        ("--length 0.005", "snapshots cannot give the length 0.005 at 64: the profile would be"),
        ("--length 0.4", "expected a number from 0.005 to 0.288, got '0.4'"),
    ],
)
def test_mistakes_are_one_line(averaged_run, tmp_path, words, message, capsys):
    arguments = ["average", str(averaged_run[0]), *words.split(), "--out", str(tmp_path / "out")]
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err.strip()
    assert code == 2 and message in said and "\n" not in said


def test_a_run_without_snapshots_says_how_to_get_them(plane_run, tmp_path, capsys):
    assert main(["average", str(plane_run), "--length=0.1", f"--out={tmp_path / 'out'}"]) == 2
    assert "no snapshots; train with optimiser.power_averages=16" in capsys.readouterr().err
