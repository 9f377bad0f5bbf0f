"""What the samplers cost beside the network: overhead per step, and the adaptive ODE against scipy.

    python benchmarks/bench_sde.py [--quick] [--threads 2]

Every ratio is of two times measured in this run, interleaved, each the least of its repeats.
"""

import argparse
import time

import numpy as np
import torch
from scipy.integrate import solve_ivp

from sde import samplers
from sde.analytic import ring
from sde.likelihood import log_prob
from sde.processes import VESDE, VPSDE, SubVPSDE
from sde.reverse import probability_flow

SDES = {"VE": VESDE(), "VP": VPSDE(), "sub-VP": SubVPSDE()}


def least_seconds(repeats: int, *functions) -> list[float]:
    """The least time of each function, called in turn."""
    least = [float("inf")] * len(functions)
    for _ in range(repeats):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            least[i] = min(least[i], time.perf_counter() - start)
    return least


def threads() -> str:
    return f"CPU threads: {torch.get_num_threads()}"


def overhead(repeats: int, steps: int = 200) -> None:
    """Microseconds per step with a score that costs nothing, (B, D) = (64, 2)."""
    print(f"\nOverhead with a free score, batch (64, 2), {steps} steps, {threads()}")
    print(f"{'sampler':44s} {'us/step':>9s} {'steps/s':>9s}")
    sde, shape, g = VPSDE(), (64, 2), torch.Generator().manual_seed(0)

    def free(x, t):
        return x

    jobs = {}
    for predictor in samplers.PREDICTORS:
        for corrector in samplers.CORRECTORS:
            if predictor != "none" or corrector != "none":
                how = dict(predictor=predictor, corrector=corrector, steps=steps, generator=g)
                how |= dict(snr=1e-6)  # a free score is not a true one: keep the steps finite
                name = f"{predictor} + {corrector}"
                jobs[name] = lambda how=how: samplers.sample(sde, lambda x, t: -x, shape, **how)
    for solver in samplers.SOLVERS:
        how = dict(solver=solver, steps=steps, generator=g)
        jobs[solver] = lambda how=how: samplers.solve(sde, lambda x, t: -x, shape, **how)
    for name, seconds in zip(jobs, least_seconds(repeats, *jobs.values()), strict=True):
        print(f"{name:44s} {1e6 * seconds / steps:9.1f} {steps / seconds:9.0f}")


def adaptive_ode(repeats: int, count: int = 4096, tolerance: float = 1e-5) -> None:
    """Our solver on the device against scipy's RK45 on the host, as the published code does."""
    print(f"\nAdaptive probability flow, {count} mixture samples, tol {tolerance}, {threads()}")
    print(f"{'process':8s} {'ours ms':>9s} {'scipy ms':>9s} {'scipy/ours':>10s} "
          f"{'nfe':>5s} {'nfe':>5s} {'rms error':>10s} {'rms error':>10s}")  # fmt: skip
    data = ring()
    for name, sde in SDES.items():
        score_fn = data.score_fn(sde)
        z = sde.prior_sample((count, 2), torch.Generator().manual_seed(0))
        how = dict(generator=None, rtol=tolerance, atol=tolerance)
        wide, kept = data.to(torch.float64).score_fn(sde), {}
        exact = samplers.probability_flow_sample(
            sde, wide, z.shape, generator=None, init=z.double(), rtol=1e-10, atol=1e-10
        ).x

        def ours(how=how, sde=sde, score_fn=score_fn, z=z, kept=kept):
            kept["ours"] = samplers.probability_flow_sample(sde, score_fn, z.shape, init=z, **how)

        def scipy(sde=sde, score_fn=score_fn, z=z, kept=kept):
            flow = probability_flow(sde, score_fn)

            def field(t, y):
                x = torch.from_numpy(y.reshape(z.shape)).to(z.dtype)
                with torch.no_grad():
                    return flow.drift(x, x.new_full((count,), t)).numpy().astype(float).ravel()

            span = (1.0, sde.sampling_eps)
            kept["scipy"] = solve_ivp(
                field, span, z.numpy().ravel(), rtol=tolerance, atol=tolerance, method="RK45"
            )

        a, b = least_seconds(repeats, ours, scipy)
        theirs = torch.from_numpy(kept["scipy"].y[:, -1].reshape(z.shape))
        errors = [(x - exact).pow(2).mean().sqrt() for x in (kept["ours"].x, theirs)]
        print(f"{name:8s} {1e3 * a:9.1f} {1e3 * b:9.1f} {b / a:10.2f} {kept['ours'].nfe:5d} "
              f"{kept['scipy'].nfev:5d} {errors[0]:10.1e} {errors[1]:10.1e}")  # fmt: skip


def likelihood_passes() -> None:
    """Network passes per evaluation of the likelihood's field; the published code makes two."""
    data, sde, passes = ring(), VPSDE(), [0]

    def counted(x, t):
        passes[0] += 1
        return data.score(x, sde, t)

    x = data.sample(16, torch.Generator().manual_seed(0))
    result = log_prob(sde, counted, x, generator=torch.Generator().manual_seed(1))
    print(f"\nLikelihood: {result.nfe} evaluations, {passes[0]} network passes (published: twice)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and steps")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    options = parser.parse_args()
    quick = options.quick
    torch.set_num_threads(options.threads)
    overhead(1 if quick else 5, 50 if quick else 200)
    adaptive_ode(1 if quick else 9)
    likelihood_passes()
    print(f"\ntorch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
