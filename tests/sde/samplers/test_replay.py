"""Whole runs of the published samplers, replayed from their recorded noise."""

import math

import pytest
import torch

from sde.samplers import loop, sample
from tests.helpers.oracles_sde import GOLDEN_SDES, generator, golden_distribution, published_loop


def replay(monkeypatch, noises):
    """Hand these noises to the loop, in order, in place of draws."""
    queue = iter(noises)
    monkeypatch.setattr(loop, "draw_noise", lambda x, g: next(queue).to(x))


def tables(sde, name, t, steps):
    """(f, G) of the published chain at time t, written out from its description."""
    k = (t[0] * (steps - 1) + 1e-9).long()
    if name == "ve":
        sigmas = torch.linspace(math.log(0.01), math.log(50), steps, dtype=t.dtype).exp()
        below = sigmas[k - 1] if k > 0 else 0.0
        return 0.0, (sigmas[k] ** 2 - below**2).sqrt(), sigmas[k], below
    if name == "vp":
        beta = torch.linspace(0.1 / steps, 20 / steps, steps, dtype=t.dtype)[k]
        return (1 - beta).sqrt() - 1, beta.sqrt(), None, None
    beta = 0.1 + 19.9 * t[0]
    g2 = beta * (1 - torch.exp(-2 * 0.1 * t[0] - 19.9 * t[0] ** 2))
    return -0.5 * beta / steps, (g2 / steps).sqrt(), None, None


RUNS = [  # the published code raises for the others
    (corrector, predictor, name)
    for corrector in ("langevin", "annealed_langevin", "none")
    for predictor in ("reverse_diffusion", "ancestral", "euler_maruyama")
    for name in GOLDEN_SDES
    if name != "subvp" or (corrector == "none" and predictor != "ancestral")
]


@pytest.mark.parametrize("corrector, predictor, name", RUNS)
def test_whole_published_runs_are_replayed(monkeypatch, corrector, predictor, name):
    """Against a plain loop written from the description of the recorded runs, 24 steps."""
    sde, steps, eps, snr = GOLDEN_SDES[name], 24, GOLDEN_SDES[name].sampling_eps, 0.16
    score_fn = golden_distribution("chan").score_fn(sde)
    noises = torch.randn(80, 4, 3, 4, 4, generator=generator(9), dtype=torch.float64)

    def update(x, t, z):
        f, G, sigma, below = tables(sde, name, t, steps)
        score = score_fn(x, t)
        if predictor == "reverse_diffusion":
            x_mean = x - f * x + G**2 * score
            return x_mean + G * z, x_mean
        if predictor == "euler_maruyama":
            drift = sde.drift(x, t) - sde.diffusion(t)[0] ** 2 * score
            x_mean = x - drift / steps
            return x_mean + sde.diffusion(t)[0] / math.sqrt(steps) * z, x_mean
        if name == "ve":
            x_mean = x + G**2 * score
            return x_mean + (below**2 * G**2 / sigma**2) ** 0.5 * z, x_mean
        x_mean = (x + G**2 * score) / (1 - G**2).sqrt()
        return x_mean + G * z, x_mean

    def correct(x, t, z):
        f, _, _, _ = tables(sde, name, t, steps)
        score, alpha = score_fn(x, t), (1 + f) ** 2
        ratio = z.flatten(1).norm(dim=1).mean() / score.flatten(1).norm(dim=1).mean()
        ratio = ratio if corrector == "langevin" else sde.std(t)[0]
        step = 2 * alpha * (snr * ratio) ** 2
        x_mean = x + step * score
        return x_mean + (2 * step) ** 0.5 * z, x_mean

    expected = published_loop(
        sde, update, noises, steps, eps, correct if corrector != "none" else None
    )
    replay(monkeypatch, noises[1:])
    for denoise in (True, False):
        replay(monkeypatch, noises[1:])
        run = sample(
            sde, score_fn, (4, 3, 4, 4), predictor=predictor, corrector=corrector, steps=steps,
            snr=snr, grid="published", generator=None, init=sde.prior_std * noises[0],
            denoise=denoise,
        )  # fmt: skip
        wanted = expected[1] if denoise else expected[0]
        assert (run.x - wanted).abs().max() < 1e-9 * wanted.abs().max()


@pytest.mark.parametrize("steps", [4, 20])
def test_the_published_euler_maruyama_reads_no_table(monkeypatch, steps):
    """So it runs where the table of VP has beta >= 1: with N <= 20."""
    sde, score_fn = GOLDEN_SDES["vp"], golden_distribution("chan").score_fn(GOLDEN_SDES["vp"])
    noises = torch.randn(steps + 1, 4, 3, 4, 4, generator=generator(9), dtype=torch.float64)

    def update(x, t, z):
        beta = 0.1 + 19.9 * t[0]
        x_mean = x + beta / steps * (x / 2 + score_fn(x, t))
        return x_mean + (beta / steps).sqrt() * z, x_mean

    expected = published_loop(sde, update, noises, steps, sde.sampling_eps, None)
    replay(monkeypatch, noises[1:])
    run = sample(
        sde, score_fn, (4, 3, 4, 4), predictor="euler_maruyama", steps=steps, grid="published",
        generator=None, init=sde.prior_std * noises[0],
    )  # fmt: skip
    assert (run.x - expected[1]).abs().max() < 1e-12 * expected[1].abs().max()
