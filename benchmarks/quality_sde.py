"""Quality at few evaluations: every sampler, with the exact score of a mixture in the plane.

    python benchmarks/quality_sde.py [--count 4000] [--out docs]

writes sde_quality.md and figures/quality.png. The data are eight Gaussians of unequal weights, so
that a sampler must get shares right as well as places. The distance is the energy distance to
independent draws of the truth, unbiased; beside it stands its floor, the same distance between
draws of the truth. What remains is the sampler's alone: the score is exact.
"""

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from repro.seeding import generator
from sde.analytic import Mixture, ring
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset, DataSpec, Split
from sde.figures import GRID, MARKERS, PALETTE, REAL
from sde.metrics import energy_distance
from sde.processes import VESDE, VPSDE, SubVPSDE
from sde.sample import draw
from sde.samplers import CORRECTORS, PREDICTORS, sample
from sde.samplers.spec import parse_sampler
from sde.trained_model import TrainedModel

BUDGETS = (10, 20, 50, 100, 500, 1000)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
PUBLISHED_CORRECTORS = {VESDE: "langevin", VPSDE: "langevin", SubVPSDE: "annealed_langevin"}
PROCESSES = {"VE": VESDE(), "VP": VPSDE(), "sub-VP": SubVPSDE()}
PAIRS = [p if c == "none" else f"{p}+{c}" for p in PREDICTORS for c in CORRECTORS]
OLD_SOLVERS = ("ddim", "heun", "dpm_solver_pp_2m")  # the others: quality_few.py
NAMES = [*OLD_SOLVERS, *(name for name in PAIRS if name != "none")]
SECOND_ORDER = ("heun", "dpm_solver_pp_2m")
DRAWN = ("euler_maruyama", "ancestral", "reverse_diffusion+langevin", "ddim", *SECOND_ORDER, "ode")
UNIT = 1000  # distances are shown in thousandths


def data() -> Mixture:
    """Eight modes on a circle of radius 0.8, standard deviation 0.08, weights as 1 to 8."""
    even = ring(modes=8, radius=0.8, std=0.08)
    return Mixture(even.means, torch.full((8,), 0.08**2), torch.arange(1.0, 9.0))


def exact_model(sde, **sampling) -> TrainedModel:
    """The exact score, standing where a trained network stands."""
    config = SDEConfig.model_validate({"sampling": sampling})
    mixture, plane = data(), DataSpec("mixture", (2,))
    part = Split(plane, mixture.sample(1, generator(0)))
    everything = Dataset(plane, part, part, mixture.log_prob)
    network, cpu = torch.nn.Identity(), torch.device("cpu")
    return TrainedModel(config, sde, network, mixture.score_fn(sde), everything, 0, [], cpu, Path())


def measure(name: str, sde, truth: torch.Tensor, count: int) -> dict:
    """Distances of one process: {sampler: {budget: distance}}, "ode": {nfe: distance}."""

    def distance(x) -> float:
        return energy_distance(truth, x).value

    model, found = exact_model(sde), {}
    for part, sampler in enumerate(tqdm(NAMES, desc=name)):
        spec = parse_sampler(sampler)
        found[sampler] = {
            budget: distance(draw(model, sampler, spec.steps_within(budget, 1), count, part=i).x)
            for i, budget in enumerate(BUDGETS, 100 * part)
        }
    found["ode"] = {}
    for tolerance in TOLERANCES:
        run = draw(exact_model(sde, rtol=tolerance, atol=tolerance), "ode", 1, count, part=9999)
        found["ode"][run.nfe] = distance(run.x)
    found["published"] = distance(published(sde, model, count))
    return found


def published(sde, model: TrainedModel, count: int) -> torch.Tensor:
    """The published predictor-corrector at 2000 evaluations. Its Langevin corrector is not
    defined for sub-VP, where the annealed one takes its place."""
    corrector = PUBLISHED_CORRECTORS[type(sde)]
    how = dict(predictor="reverse_diffusion", corrector=corrector, steps=1000, grid="published")
    return sample(sde, model.score_fn, (count, 2), generator=generator(7), **how).x


def floors(count: int, pairs: int = 40) -> torch.Tensor:
    """Distances between independent draws of the truth, sorted."""
    draws = (
        [data().sample(count, generator(1000 + 2 * i + j)) for j in range(2)] for i in range(pairs)
    )
    return torch.tensor([energy_distance(*pair).value for pair in draws]).sort().values


def figure(found: dict, floor: torch.Tensor) -> Figure:
    """Distance over evaluations, a panel for each process."""
    drawing = Figure(figsize=(11, 4.6), layout="constrained")
    top = UNIT * floor[-2].item()
    for axes, (name, distances) in zip(
        drawing.subplots(1, 3, sharey=True), found.items(), strict=True
    ):
        for i, sampler in enumerate(DRAWN):
            line = distances[sampler]
            heights = [max(UNIT * value, top / 4) for value in line.values()]
            style = "-" if i < len(PALETTE) else "--"
            axes.plot(list(line), heights, style, color=PALETTE[i % len(PALETTE)],
                      marker=MARKERS[i], ms=5, lw=1.3, label=sampler)  # fmt: skip
        axes.plot([2000], [max(UNIT * distances["published"], top / 4)], "k*", ms=11,
                  label="published predictor-corrector", linestyle="none")  # fmt: skip
        axes.axhspan(top / 5, top, color=REAL, alpha=0.35, lw=0, label="two draws of the truth")
        axes.set(xscale="log", yscale="log", xlabel="evaluations of the score", title=name)
        axes.set_ylim(bottom=top / 5)
        axes.grid(True, color=GRID, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    drawing.axes[0].set_ylabel("energy distance to the truth, thousandths")
    drawing.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5,
                   frameon=False, fontsize=9)  # fmt: skip
    return drawing


def document(found: dict, floor: torch.Tensor, count: int) -> str:
    """The tables as Markdown."""
    low, middle, high = (UNIT * floor[i].item() for i in (1, len(floor) // 2, -2))
    lines = [
        "# Quality at few evaluations",
        "",
        "Written by `python benchmarks/quality_sde.py`, whose head says what is measured: energy",
        "distance to the truth in thousandths, exact score, eight Gaussians of unequal weights,",
        f"{count} samples against {count} draws. **The floor**: between two draws of the truth it",
        f"lies between {low:.2f} and {high:.2f} in 38 of 40 cases (median {middle:.2f}; it is",
        "unbiased, hence negative at times). Differences of this size are noise. Steps are as many",
        "as the evaluations pay for, the final denoising included. In the figure a distance below",
        "a quarter of the band is drawn there.",
        "",
        "![distance over evaluations](figures/quality.png)",
    ]
    for name, distances in found.items():
        lines += ["", f"## {name}", "", "| sampler | " + " | ".join(map(str, BUDGETS)) + " |"]
        lines += ["|---|" + "---:|" * len(BUDGETS)]
        for sampler in NAMES:
            cells = (_shown(distances[sampler][budget]) for budget in BUDGETS)
            lines.append(f"| {sampler} | " + " | ".join(cells) + " |")
        flow = ", ".join(f"{_shown(d)} at {nfe}" for nfe, d in distances["ode"].items())
        best = min(SECOND_ORDER, key=lambda sampler: distances[sampler][50])
        lines += [
            "",
            f"Adaptive flow, tolerances 1e-1 to 1e-5: {flow}.",
            f"Published predictor-corrector at 2000: {UNIT * distances['published']:.2f};",
            f"best second-order sampler at 50 ({best}): {UNIT * distances[best][50]:.2f}.",
        ]
    return "\n".join(lines) + "\n"


def _shown(distance: float) -> str:
    """In thousandths; the large ones without digits that nobody needs."""
    value = UNIT * distance
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    truth, floor = data().sample(options.count, generator(1)), floors(options.count)
    found = {name: measure(name, sde, truth, options.count) for name, sde in PROCESSES.items()}
    (options.out / "figures").mkdir(parents=True, exist_ok=True)
    figure(found, floor).savefig(options.out / "figures" / "quality.png", dpi=130)
    (options.out / "sde_quality.md").write_text(document(found, floor, options.count))
    print(document(found, floor, options.count))


if __name__ == "__main__":
    main()
