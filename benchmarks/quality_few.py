"""Solvers compared at 5 to 50 evaluations, paired, with the exact score of a mixture in the plane.

    python benchmarks/quality_few.py [--count 1000] [--repeats 5] [--out docs]

writes sde_few_evaluations.md and figures/few_evaluations.png. The data are those of quality_sde.py.
In each repeat all solvers start from the same noise and are compared with the same draws of the
truth, so that their energy distances differ by the solvers alone. A solver is called as good as the
best where the mean of the paired differences is below two of its standard errors.
"""

import argparse
import itertools
from pathlib import Path

import torch
from matplotlib.figure import Figure
from quality_sde import UNIT, data
from tqdm import tqdm

from repro.seeding import generator
from sde.figures import GRID, MARKERS, PALETTE
from sde.metrics import energy_distance
from sde.processes import VESDE, VPSDE, CosineVPSDE, RectifiedFlow, SubVPSDE
from sde.samplers import SCHEDULES, SOLVERS, sample, solve

BUDGETS = (5, 10, 20, 50)
PROCESSES = {
    "VE": VESDE(),
    "VP": VPSDE(),
    "sub-VP": SubVPSDE(),
    "cosine": CosineVPSDE(),
    "rectified flow": RectifiedFlow(),
}
NAMES = [*SOLVERS, "ancestral"]
DRAWN = ("ddim", "heun", "dpm_solver_pp_2m", "dpm_solver_pp_3m", "adams_bashforth_4", "edm")


def run(name: str, sde, schedule: str, budget: int, x: torch.Tensor, seed: int) -> torch.Tensor:
    """Samples at ``budget`` evaluations from the noise x, the final denoising included."""
    each = SOLVERS[name].evaluations if name in SOLVERS else 1
    how = dict(steps=(budget - 1) // each, schedule=schedule, generator=generator(seed), init=x)
    if name in SOLVERS:
        return solve(sde, data().score_fn(sde), x.shape, solver=name, **how).x
    return sample(sde, data().score_fn(sde), x.shape, predictor=name, **how).x


def measure(count: int, repeats: int) -> dict[tuple, torch.Tensor]:
    """Distances (repeats,) by (process, schedule, budget, sampler)."""
    cells = list(itertools.product(PROCESSES, SCHEDULES, BUDGETS, NAMES))
    found = {cell: torch.zeros(repeats) for cell in cells}
    for repeat in range(repeats):
        truth = data().sample(count, generator(1 + repeat))
        for cell in tqdm(cells, desc=f"repeat {repeat + 1} of {repeats}"):
            process, schedule, budget, name = cell
            x = PROCESSES[process].prior_sample((count, 2), generator(1000 + repeat))
            drawn = run(name, PROCESSES[process], schedule, budget, x, 2000 + repeat)
            found[cell][repeat] = UNIT * energy_distance(truth, drawn).value
    return found


def as_good(column: dict[str, torch.Tensor]) -> tuple[str, set[str]]:
    """The name with the least mean, and the names that are not worse by two standard errors."""
    best = min(column, key=lambda name: column[name].mean())
    tied = set()
    for name, distances in column.items():
        difference = distances - column[best]
        error = difference.std() / len(difference) ** 0.5
        if name == best or difference.mean() < 2 * error:
            tied.add(name)
    return best, tied


def table(found: dict, process: str, schedule: str) -> list[str]:
    """The rows of one process and schedule; the best, and those as good, in bold."""
    lines = ["| sampler | " + " | ".join(map(str, BUDGETS)) + " |"]
    lines += ["|---|" + "---:|" * len(BUDGETS)]
    columns = {b: {name: found[process, schedule, b, name] for name in NAMES} for b in BUDGETS}
    tied = {budget: as_good(column)[1] for budget, column in columns.items()}
    for name in NAMES:
        cells = []
        for budget in BUDGETS:
            value = columns[budget][name].mean().item()
            text = f"{value:.2f}" if value < 100 else f"{value:.0f}"
            cells.append(f"**{text}**" if name in tied[budget] else text)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def sentence(found: dict, budget: int) -> str:
    """The schedule and sampler of the least mean log distance at a budget, paired with the next."""
    choices = list(itertools.product(SCHEDULES, NAMES))
    runs = {
        (schedule, name): torch.stack([found[p, schedule, budget, name] for p in PROCESSES])
        for schedule, name in choices
    }
    order = sorted(choices, key=lambda one: runs[one].clamp(min=0.1).log().mean())
    best, second = order[:2]
    wins = int((runs[best] < runs[second]).sum())
    total = runs[best].numel()
    per_process = "; ".join(f"{p} {runs[best][i].mean():.2f}" for i, p in enumerate(PROCESSES))
    return (
        f"- At {budget} evaluations: `{best[1]}` on `{best[0]}` ({per_process}), lower than "
        f"`{second[1]}` on `{second[0]}` in {wins} of {total} pairs."
    )


def document(found: dict, count: int, repeats: int) -> str:
    """The page as Markdown."""
    lines = [
        "# Solvers at 5 to 50 evaluations",
        "",
        f"Written by `python benchmarks/quality_few.py --count {count} --repeats {repeats}` on",
        "CPU cores, whose head says what is measured: energy",
        f"distance to the truth in thousandths, mean of {repeats} repeats of {count} samples,",
        "exact score, eight Gaussians of unequal weights. Within a repeat all samplers start from",
        "the same noise. **Bold**: the least of its column, and all that are not worse by two",
        "standard errors of the paired difference. `edm` has its default churn.",
        "",
        "Over all processes and schedules, by the mean logarithm of the distance:",
        "",
        *(sentence(found, budget) for budget in BUDGETS),
        "",
        "At 50 evaluations most distances are as small as the floor in [the other",
        "table](sde_quality.md), so that the first place means little there.",
        "",
        "![distance over evaluations](figures/few_evaluations.png)",
        "",
        "The schedule is log_noise. Distances below 0.1 are drawn at 0.1: an unbiased estimate of",
        "a small distance can be negative.",
    ]
    for process in PROCESSES:
        for schedule in SCHEDULES:
            lines += [
                "",
                f"## {process}, schedule {schedule}",
                "",
                *table(found, process, schedule),
            ]
    return "\n".join(lines) + "\n"


def figure(found: dict) -> Figure:
    """Distance over evaluations on the schedule log_noise, a panel for each process."""
    drawing = Figure(figsize=(13, 4.2), layout="constrained")
    for axes, process in zip(
        drawing.subplots(1, len(PROCESSES), sharey=True), PROCESSES, strict=True
    ):
        for i, name in enumerate(DRAWN):
            heights = [found[process, "log_noise", b, name].mean().clamp(min=0.1) for b in BUDGETS]
            axes.plot(BUDGETS, heights, color=PALETTE[i], marker=MARKERS[i], ms=5, lw=1.3,
                      label=name)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="evaluations of the score", title=process)
        axes.set_xticks(BUDGETS, [str(budget) for budget in BUDGETS])
        axes.minorticks_off()
        axes.grid(True, color=GRID, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    drawing.axes[0].set_ylabel("energy distance to the truth, thousandths")
    drawing.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(DRAWN),
                   frameon=False, fontsize=9)  # fmt: skip
    return drawing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    found = measure(options.count, options.repeats)
    (options.out / "figures").mkdir(parents=True, exist_ok=True)
    figure(found).savefig(options.out / "figures" / "few_evaluations.png", dpi=130)
    text = document(found, options.count, options.repeats)
    (options.out / "sde_few_evaluations.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
