"""The questions of docs/questions.md at a much reduced size: that each measures what it claims to,
against closed forms where there are any."""

import importlib
import math
import re
from pathlib import Path

import pytest
import torch

from examples import birds
from examples import q1_forward_backward as q1
from examples import q2_energy_or_score as q2
from examples import q3_samplers as q3
from examples import q4_processes as q4
from examples import q5_discretisations as q5
from examples import q6_likelihood as q6
from examples import q7_noise_levels as q7
from examples import q8_creativity as q8
from examples import q9_entropy as q9
from examples import q10_interpolation as q10
from examples.__main__ import QUESTIONS, main
from examples.scores import DATA, continuous_loss, perceptron, score_of, train
from repro.seeding import generator
from sde.discrete import SMLDTable
from sde.networks import EnergyNetwork
from sde.processes import VPSDE
from tests.helpers.rounding import assert_same_up_to_rounding, float32_bound

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    1: {"samples": 100, "steps": 20},
    2: {"iterations": 4, "samples": 50, "seeds": 1},
    3: {"samples": 50, "seeds": 1, "budgets": (6, 10), "budget": 10},
    4: {"iterations": 4, "samples": 50, "points": 5, "seeds": 1},
    5: {"levels": (50, 100, 200, 400)},
    6: {"points": 4, "moments": 8, "seeds": 2},
    7: {"levels": (3, 10), "iterations": 4, "samples": 50, "points": 5, "seeds": 1},
    8: {"iterations": 1, "seeds": 2},
    9: {"iterations": 1, "seeds": 2, "samples": 50},
    10: {"iterations": 1, "seeds": 2, "count": 5, "samples": 3},
}


@pytest.mark.parametrize("number", QUESTIONS)
def test_every_question_draws_a_small_figure_and_prints(number, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(q2, "STEPS", (0.3,))
    monkeypatch.setattr(q3, "RATIOS", (0.16,))
    monkeypatch.setattr(q6, "FACTORS", (0.8, 1.0))
    monkeypatch.setattr(q6, "LOOKS", (1, 2))
    module = importlib.import_module(f"examples.{QUESTIONS[number]}")
    module.main(tmp_path, **TINY[number])
    assert 5_000 < (tmp_path / f"{module.NAME}.png").stat().st_size < 200_000
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(q5, "main", lambda out: print(f"drawn in {out}"))
    main(["5", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "== 5. SMLD and DDPM" in printed
    assert f"drawn in {tmp_path}" in printed
    with pytest.raises(SystemExit) as stopped:
        main(["11"])
    assert stopped.value.code == 2


def test_the_page_shows_all_figures_and_names_files_that_exist():
    page = (ROOT / "docs" / "questions.md").read_text()
    shown = re.findall(r"\]\((figures/\w+\.png)\)", page)
    assert len(shown) == len(QUESTIONS)
    for name in shown:
        assert (ROOT / "docs" / name).stat().st_size < 200_000
    for name in re.findall(r"`((?:questions|sde|cizsl|docs|scripts)/[\w./]+\.\w+)[:`]", page):
        assert (ROOT / name).is_file(), name


def test_1_all_directions_pass_through_the_same_densities():
    for name, run in q1.measure(samples=3000, steps=200).items():
        for direction, gaps in run.gaps.items():
            assert max(gaps) < q1.critical(3000), f"{name} {direction}"
    wrong = 1.15 * run.paths["forward"][0]
    assert q1.ks(wrong, q1.PROCESSES[name], run.times[:1]) > q1.critical(3000)


def _trained_energy() -> EnergyNetwork:
    network = EnergyNetwork(perceptron(0, hidden_dim=16), form="square")
    return train(network, continuous_loss(q2.PROCESS, network), DATA, 40, 0).double()


def test_2_the_score_is_the_gradient_of_the_log_density():
    network = _trained_energy()
    log_density = q2.log_density_of(network)
    x = DATA.sample(20, generator(1)).double()
    t, h = torch.full((20,), 0.05, dtype=torch.float64), 1e-5
    step = h * torch.eye(2, dtype=torch.float64)
    slope = [(log_density(x + e, t) - log_density(x - e, t)) / (2 * h) for e in step]
    score = score_of(q2.PROCESS, network)(x, t)
    # in float64: the central difference errs by about h^2 = 1e-10 times a third derivative, and
    # by rounding, 1e-16 / h = 1e-11 times the log density
    torch.testing.assert_close(torch.stack(slope, 1), score, rtol=1e-5, atol=1e-6)


def test_2_circulation_is_that_of_a_rotation_and_none_of_a_gradient():
    def rotation(x, t):
        return torch.stack([-x[:, 1], x[:, 0]], 1)

    x = DATA.sample(20, generator(1))
    # a mean of 20 points' sums of 2 squares; then derivatives of 8 modes of 2 coordinates
    bound = float32_bound(20 * 2, math.sqrt(2))
    assert q2.circulation(rotation, x) == pytest.approx(math.sqrt(2), abs=bound)
    assert q2.circulation(DATA.score_fn(q2.PROCESS), x) < float32_bound(8 * 2)
    assert q2.circulation(score_of(q2.PROCESS, _trained_energy()), x.double()) < 1e-12


def test_2_metropolis_mends_a_large_step():
    score = DATA.score_fn(q2.PROCESS)

    def log_density(x, t):
        return DATA.log_prob(x, q2.PROCESS, t) + 7.0  # no more is known of an energy

    plain = q2.langevin(score, None, 1.0, 3000, seed=0, moves=40)
    tested = q2.langevin(score, log_density, 1.0, 3000, seed=0, moves=40)
    assert plain > 0.2
    assert abs(tested) < 0.08  # statistical: 3000 chains; without the test it is over 0.2


def test_3_langevin_alone_gets_the_modes_wrong_and_the_reverse_process_right():
    """Shares of n samples, within 2.8 standard errors sqrt(p (1 - p) / n) or more, at fixed seeds:
    at most 0.016 for n = 1000, and 0.0035 for n = 20000."""
    assert q3._light_share("Langevin at t = 0", 3.0, 1000, 0) == pytest.approx(0.5, abs=0.06)
    share = q3._light_share("Euler-Maruyama", 3.0, 1000, 0)
    assert share == pytest.approx(q3.true_share(3.0), abs=0.06)
    overlapping = q3.two_modes(0.4).sample(20000, generator(0))
    share = (overlapping[:, 0] > 0).double().mean().item()
    assert q3.true_share(0.4) == pytest.approx(share, abs=0.01)


def test_4_variances():
    t = torch.linspace(0.01, 1, 50, dtype=torch.float64)
    noise, total = q4.variances(q4.PROCESSES["VP"], t)
    less, _ = q4.variances(q4.PROCESSES["sub-VP"], t)
    assert torch.allclose(total, torch.ones_like(t), atol=1e-12)
    assert torch.allclose(less, noise**2, atol=1e-12)
    assert q4.variances(q4.PROCESSES["VE"], t)[0][-1] == pytest.approx(2500)


def test_5_tables_meet_the_processes_at_these_orders():
    """Measured orders differ from the limits by O(1/N): below 0.1 for N >= 50."""
    found = q5.measure((50, 100, 200, 400))
    for gaps in found.step.values():
        assert q5.order(found.levels, gaps) == pytest.approx(2, abs=0.1)
    for gaps in (*found.marginal.values(), *found.law.values()):
        assert q5.order(found.levels, gaps) == pytest.approx(1, abs=0.1)


def test_6_the_bound_is_tight_for_the_exact_score_and_prior():
    t = torch.full((200,), q6.EPS)
    x = DATA.sample_at(q6.PROCESS, t, generator(0))
    bound = q6.sde_bound(
        q6.PROCESS, DATA.score_fn(q6.PROCESS), x, generator(1), 200, DATA.log_prob_fn(q6.PROCESS)
    )
    exact = DATA.log_prob(x, q6.PROCESS, t[:1])
    error = (bound - exact).std() / math.sqrt(len(x))
    assert abs((bound - exact).mean()) < 4 * error < 0.2


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_6_the_bound_is_below_the_model_and_the_flow_is_its_closed_form(factor):
    x = q6.LINE.sample_at(q6.PROCESS, torch.full((400,), q6.EPS), generator(0))
    truth, flow, bound = q6._compare(q6.LINE, q6.scaled_score(factor), x, 200, 0)
    model = q6._mean_log_normal(x, *q6.model_moments(factor, noise=True))
    assert bound + 0.1 < model < truth  # strictly below, by far more than the error of a mean
    closed = q6._mean_log_normal(x, *q6.model_moments(factor, noise=False))
    # the flow's solver errs by 1e-4 a step, over some tens of steps
    assert flow == pytest.approx(closed, abs=0.01 * (1 + abs(closed)))


def test_6_moments_of_the_reverse_process():
    mean, variance = q6.model_moments(1.0, noise=True)
    start = torch.tensor([q6.EPS], dtype=torch.float64)
    scale, std = q6.PROCESS.scale(start).item(), q6.PROCESS.std(start).item()
    assert mean == pytest.approx(0.3 * scale, abs=1e-3)
    assert variance == pytest.approx(0.25 * scale**2 + std**2, abs=1e-4)
    growth = math.exp(VPSDE().beta_integral(q6.EPS, torch.ones(1)).item())
    _, variance = q6.model_moments(0.0, noise=True)  # no score: dP = (beta P + beta) dtau
    assert variance == pytest.approx(2 * growth - 1, rel=1e-4)


def test_7_timesteps_are_read_as_the_levels_of_the_table():
    table = SMLDTable(q7.PROCESS.sigma_min, q7.PROCESS.sigma_max, 7)
    timestep = torch.arange(7)
    t = 1 - timestep.double() / 6
    torch.testing.assert_close(q7.PROCESS.std(t), table.sigma_at(timestep, t))
    continuum = q7.measure((), 4, 50, 5, 1)
    assert list(continuum) == [None]


def test_8_arms_differ_in_the_hallucinated_text_alone():
    scores = q8.measure(1, 2, ("easy",))
    assert scores.difference("easy", "top1", "GAZSL") == [0.0, 0.0]
    arms = {name: birds.train(name, "easy", 0, 1) for name in birds.METHODS}
    assert not arms["GAZSL"].gan.hallucinates
    assert arms["weight 0"].gan.weights.creativity == 0 < arms["CIZSL"].gan.weights.creativity
    settings = [bird.config.model_dump(exclude={"creativity"}) for bird in arms.values()]
    assert all(setting == settings[0] for setting in settings)


def test_9_entropy_of_known_posteriors():
    p = torch.cat([torch.full((1, 40), 1 / 40), torch.eye(40)[:1]])
    p = torch.cat([p, torch.cat([torch.full((4,), 0.25), torch.zeros(36)])[None]])
    expected = torch.tensor([1.0, 0.0, math.log(4) / math.log(40)])
    assert_same_up_to_rounding(q9.entropy(p), expected, 40)


def test_10_place_on_a_line():
    here, there = torch.tensor([[3.0, 4.0, 0.0]]), torch.zeros(1, 3)
    aside = torch.tensor([[0.0, 0.0, 2.0]])
    for share in (0.0, 0.3, 1.0):
        along, off = q10.place(share * here + aside, here, there)
        assert along.item() == pytest.approx(share, abs=float32_bound(3))
        assert off.item() == pytest.approx(2 / 5, abs=float32_bound(3))


def test_10_the_ends_are_the_classes_own_texts():
    bird = birds.train("GAZSL", "easy", 0, 1)
    run = q10.course(bird, 6, 4, 0)
    assert_same_up_to_rounding(run.mass.sum(1), torch.ones(len(q10.WEIGHTS)), 40)
    _, second, stream = birds.pairs(bird.task, 6, 0)
    z = bird.noise(24, stream)
    p = bird.posterior(z, bird.task.seen_text[second].repeat_interleave(4, 0))
    own = p.gather(1, second.repeat_interleave(4)[:, None]).mean()
    # a mean of 24 posteriors, each of two layers of at most 512 numbers
    assert_same_up_to_rounding(run.mass[0, 1], own, 24 + 2 * 512)
