"""The page of an evaluated model: one HTML file with inline figures, without scripts or requests.

The template is `templates/page.html`; it escapes every value.
"""

from pathlib import Path

from torch import Tensor

from repro.errors import InputError
from repro.pages.html import render
from repro.pages.tables import Column, Line, Table
from sde import figures
from sde.evaluation import classes_part
from sde.evaluation.results import read_json
from sde.trained_model import TrainedModel

GRID_OF_IMAGES = 100
NAMES = {
    "energy_distance": "squared energy distance",
    "sliced_wasserstein": "sliced Wasserstein distance",
    "mmd": "squared MMD",
    "frechet": "Fréchet distance, of the values themselves",
    "precision": "precision",
    "recall": "recall",
}
PROCESSES = {
    "ve": "VE SDE",
    "vp": "VP SDE",
    "subvp": "sub-VP SDE",
    "cosine": "cosine VP SDE",
    "rectified_flow": "rectified flow",
}
DISTANCE_COLUMNS = (
    Column("distance"),
    *(Column(name, kind="number") for name in ("samples", "training examples")),
    Column("counts: held out, compared", kind="number"),
)


def page(
    trained: TrainedModel, x: Tensor, results: dict, of_classes: dict[float, Tensor] | None = None
) -> str:
    """Return the whole document.

    Args:
        x: samples (N, *event), on the CPU.
        results: what `sde.evaluation.evaluate.evaluate` measured.
        of_classes: samples by weight of guidance, of `sde.evaluation.classes.class_accuracy`.
    """
    return render(
        "sde.evaluation",
        "page.html",
        title=title(trained),
        lead=_lead(results),
        samples=_samples(trained, x, results),
        comparison=_comparison(**results["samplers"]),
        distances=_distances(results["distances"]),
        classes=classes_part.part(trained, results.get("classes"), of_classes or {}),
        origins=_origins(trained, results),
        training=_training(trained),
        settings=_settings(trained),
    )


def title(trained: TrainedModel) -> str:
    """Return the heading of a page about this model."""
    process = trained.config.process.name
    name = trained.data.spec.name.replace("_", " ")
    return f"Score model of {name}, {PROCESSES.get(process, process + ' SDE')}"


def _lead(results: dict) -> str:
    """The findings in a few sentences, the most important one first."""
    found, near = results["distances"]["energy_distance"], results["distances"]["precision"]
    said = [
        f"The samples lie at squared energy distance {found['value']:.2g} from "
        f"{found['num_real']} held-out examples; as many training examples lie at "
        f"{found['floor']:.2g}.",
        f"Of the samples {100 * near['value']:.0f} % are near held-out examples, of the training "
        f"examples {100 * near['floor']:.0f} % (precision).",
        f"Likelihood: {results['likelihood']['in_words']}.",
    ]
    if fid := results.get("fid"):
        said.append(
            f"FID {fid['value']:.2f} of {fid['samples']} samples at {fid['nfe']} evaluations "
            f"against the {fid['reference_images']} images of the {fid['reference']} part."
        )
    said += [f"Note: {warning}." for warning in results.get("warnings", [])]
    said.append(
        f"Trained for {results['iterations']} iterations; {found['num_fake']} samples by "
        f"{results['sampler']} at {results['nfe']} evaluations each."
    )
    return " ".join(said)


def _samples(trained: TrainedModel, x: Tensor, results: dict) -> list[figures.Shown]:
    name = f"{results['sampler']}, {results['nfe']} evaluations"
    if not trained.data.spec.is_image:
        said = "Held-out examples beside samples of the model."
        return [figures.shown(figures.samples(x, trained.data, name), "samples", said)]
    grid = figures.samples(x[:GRID_OF_IMAGES], trained.data)
    said = f"The first {min(len(x), GRID_OF_IMAGES)} samples; {name}."
    near = figures.neighbours(x, trained.data)
    return [
        figures.shown(grid, "samples", said),
        figures.shown(
            near, "neighbours", "A copied training image would look like the one below it."
        ),
    ]


def _comparison(rows: list[dict], floors: list[float]) -> dict:
    """The figure and the table of distance by sampler and evaluations; a sentence if there is none.

    Args:
        rows, floors: as `sde.evaluation.evaluate.compare` returns them.
    """
    finite = [row for row in rows if row["distance"] is not None]
    failed = ", ".join(f"{r['sampler']} at {r['budget']}" for r in rows if r["distance"] is None)
    if not finite:
        none = f"None gave finite samples: {failed}." if failed else "None were asked for."
        return {"table": None, "none": none}
    said = (
        "Sliced Wasserstein distance of samples to held-out examples, over evaluations of the "
        "network; each column of the table allows at most so many. The band, "
        f"{min(floors):.2g} to {max(floors):.2g}, is that of {len(floors)} parts of the training "
        "data with as many examples: differences of its height are noise."
    )
    said += f" Without finite samples: {failed}." if failed else ""
    figure = figures.shown(figures.comparison(finite, floors), "samplers", said)
    return {"table": _by_budget(rows, finite), "figure": figure}


def _by_budget(rows: list[dict], finite: list[dict]) -> Table:
    """Return a table of distances with one line for each sampler; the best values are marked."""
    budgets = sorted({row["budget"] for row in finite})
    values = {(row["sampler"], row["budget"]): row["distance"] for row in finite}
    best = {b: min(v for (_, budget), v in values.items() if budget == b) for b in budgets}

    def cell(sampler: str, budget: int) -> str:
        value = values.get((sampler, budget))
        mark = " *" if value == best[budget] else ""
        return "" if value is None else f"{value:.3g}{mark}"

    lines = (
        Line("sampler", (name, *(cell(name, budget) for budget in budgets)))
        for name in dict.fromkeys(row["sampler"] for row in rows)
    )
    columns = (Column(f"{budget} evaluations", kind="number") for budget in budgets)
    said = "Distance by sampler and evaluations; * best of its column"
    return Table(said, (Column("sampler"), *columns), tuple(lines))


def _distances(found: dict) -> Table:
    lines = []
    for name, each in found.items():
        values = (f"{each[key]:.3g}" for key in ("value", "floor"))
        counts = f"{each['num_real']}, {each['num_fake']}"
        lines.append(Line(name, (NAMES[name], *values, counts)))
    return Table("Distances", DISTANCE_COLUMNS, tuple(lines))


def _origins(trained: TrainedModel, results: dict) -> list[tuple[str, str]]:
    """The run, its seed, the protocol of every number, and the data by their checksums."""
    found, environment = results["distances"]["energy_distance"], _environment(trained.folder)
    weights = "averaged" if results["weights"] == "ema" else results["weights"]
    return [
        ("run folder", str(trained.folder)),
        ("seeds", f"one: {trained.config.seed}"),
        (
            "protocol of the distances",
            f"{found['num_fake']} samples, by {results['sampler']} at {results['nfe']} evaluations "
            f"in {results['precision']}, {weights} weights, denoised at the end; "
            f"{found['num_real']} examples held out, never trained on",
        ),
        ("protocol of the likelihood", _likelihood(trained, results["likelihood"])),
        *((f"SHA-256 of {name}", digest) for name, digest in results["data_sha256"].items()),
        ("device", str(environment.get("device", trained.device))),
        ("commit", str(environment.get("git_commit") or "not recorded")),
    ]


def _environment(folder: Path) -> dict:
    """What is recorded about the machine; nothing where the record cannot be read."""
    try:
        return read_json(folder / "environment.json")
    except InputError:
        return {}


def _likelihood(trained: TrainedModel, found: dict) -> str:
    if "examples" not in found:
        return found["in_words"]
    settings = trained.config.evaluation
    divergence = f"probes: {found['probes']}" if found["probes"] else "exact divergence"
    return (
        f"{found['examples']} examples held out, probability flow by {settings.method}, rtol "
        f"{settings.rtol:g}, atol {settings.atol:g}, {divergence}"
    )


def _training(trained: TrainedModel) -> figures.Shown | None:
    if not trained.records:
        return None
    said = (
        "The loss, weighted as trained. Its minimum is not zero: it contains the noise, which no "
        "score can predict. A rising held-out loss shows that the model begins to memorise."
    )
    return figures.shown(figures.training(trained.records), "training", said)


def _settings(trained: TrainedModel) -> list[tuple[str, str]]:
    parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    lines = [("network parameters", str(parameters))]
    for section, values in trained.config.model_dump(mode="json").items():
        values = values if isinstance(values, dict) else {"": values}
        for key, value in values.items():
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append((f"{section}.{key}".rstrip("."), text))
    return lines
