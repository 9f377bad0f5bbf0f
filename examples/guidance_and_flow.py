"""What guidance and flow matching change to questions 1, 3 and 5: exact laws of samplers.

For Gaussian data on the line and the exact score, also the guided one, every step of a sampler is
affine, x -> a x + c + b z. Probing it at x = 0, x = 1 and z = 1 gives the law of the samples, in
float64 and without random numbers:

    mean <- a mean + c,   variance <- a^2 variance + b^2

    python -m examples.guidance_and_flow
"""

import math
from dataclasses import dataclass

import torch

from sde.analytic import gaussian
from sde.conditional.two_scores import guided_score
from sde.processes import SDE, VESDE, VPSDE, RectifiedFlow
from sde.samplers import CORRECTORS, PREDICTORS, SOLVERS
from sde.samplers.schedules import SCHEDULES

PROCESSES = {"VE": VESDE(0.01, 50.0), "VP": VPSDE(0.1, 20.0), "rectified flow": RectifiedFlow()}
WEIGHTS = (1.0, 2.0, 4.0)
EPS = 1e-3
MEAN, STD = 0.3, 0.5  # data of the questions on steps, as in question 5
ORIGIN, NARROW, WIDE = (0.0, 0.0), 0.25, 1.0  # mean of both, variance of the class and of all data


@dataclass(frozen=True)
class Law:
    """A Gaussian on the line."""

    mean: float
    variance: float

    def distance(self, other: "Law") -> float:
        """Wasserstein-2."""
        roots = math.sqrt(self.variance) - math.sqrt(other.variance)
        return math.hypot(self.mean - other.mean, roots)


def score_of(sde: SDE, means, variances, weight: float):
    """The score of N(means[0], variances[0]), guided away from the second of each by ``weight``."""
    plus, minus = (
        gaussian(torch.tensor([m], dtype=torch.float64), torch.tensor(v, dtype=torch.float64))
        for m, v in zip(means, variances, strict=True)
    )
    return guided_score(sde, plus.score_fn(sde), minus.score_fn(sde), weight=weight)


def sampled(
    sde: SDE, score, steps: int, sampler: str = "ddim", corrections: int = 0, schedule="log_noise"
) -> Law:
    """The law of the samples at time EPS from the prior, without denoising."""
    scheme = (SOLVERS.get(sampler) or PREDICTORS[sampler])(sde, score)
    corrector = CORRECTORS["annealed_langevin"](sde, score, snr=0.3)
    times = SCHEDULES[schedule](sde, steps, EPS, "cpu")
    transitions, law = sde.interval(times[1:], times[:-1]), Law(0.0, sde.prior_std**2)
    for i in range(steps):
        for _ in range(corrections):
            law = moved(law, corrector, transitions[i])
        law = moved(law, scheme, transitions[i])
    return law


def moved(law: Law, part, transition) -> Law:
    """The law after one step, probed at x = 0, x = 1 and z = 1."""
    x = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
    z = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    c, one, noise = part.step(x, transition, z)[0][:, 0].tolist()
    a, b = one - c, noise - c
    return Law(a * law.mean + c, a**2 * law.variance + b**2)


def directions(steps: int = 2000) -> dict[str, list[tuple[float, ...]]]:
    """Question 1: for each process and weight, the variances of the flow and of the SDE."""
    variances = (NARROW, WIDE)
    found = {}
    for name, sde in PROCESSES.items():
        scores = [score_of(sde, ORIGIN, variances, weight) for weight in WEIGHTS]
        found[name] = [
            tuple(sampled(sde, score, steps, kind).variance for kind in ("ddim", "ancestral"))
            for score in scores
        ]
    return found


def flow_variance(weight: float) -> float:
    """V+^w V-^(1 - w), from large noise (docs/conditions.md)."""
    return NARROW**weight * WIDE ** (1 - weight)


def product_variance(weight: float) -> float:
    """Of p+^w p-^(1 - w), the equilibrium of Langevin dynamics at little noise."""
    return 1 / (weight / NARROW + (1 - weight) / WIDE)


def corrected(counts=(0, 1, 5, 20), steps: int = 200, weight: float = 2.0) -> list[float]:
    """Question 3: variances of predictor-corrector by the number of corrections of each step."""
    sde = PROCESSES["VE"]
    score = score_of(sde, ORIGIN, (NARROW, WIDE), weight)
    return [sampled(sde, score, steps, "ancestral", count).variance for count in counts]


def errors(
    levels=(10, 50, 200), samplers=("ddim", "euler_maruyama"), schedule="uniform"
) -> dict[tuple, list[float]]:
    """Questions 3 and 5: Wasserstein-2 by process, sampler and weight; one covariance, so that
    guided samples are N(w m+ + (1 - w) m-, V), with m- = 0."""
    found = {}
    for name, sde in PROCESSES.items():
        t = torch.tensor([EPS], dtype=torch.float64)
        scale, noise = sde.scale(t).item(), sde.std(t).item() ** 2
        for sampler in samplers:
            for weight in WEIGHTS:
                score = score_of(sde, (MEAN, 0.0), (STD**2, STD**2), weight)
                exact = Law(scale * weight * MEAN, scale**2 * STD**2 + noise)
                laws = [sampled(sde, score, n, sampler, schedule=schedule) for n in levels]
                found[name, sampler, weight] = [law.distance(exact) for law in laws]
    return found


def main() -> None:
    """Print every number that docs/questions.md quotes."""
    print("1. variances of flow and SDE at weights", WEIGHTS)
    for name, pairs in directions().items():
        print(f"   {name:15s}", "; ".join(f"{flow:.4f} {sde:.4f}" for flow, sde in pairs))
    print(
        "   flow, product  ", [(flow_variance(w), round(product_variance(w), 4)) for w in WEIGHTS]
    )
    print("3. variance by corrections 0, 1, 5, 20:", [round(v, 4) for v in corrected()])
    for key, gaps in errors().items():
        order = math.log(gaps[-2] / gaps[-1]) / math.log(4)
        print("  ", *key, " ".join(f"{gap:.5f}" for gap in gaps), f"order {order:.2f}")


if __name__ == "__main__":
    main()
