"""The results of a model as one HTML page that needs nothing else: figures are inline SVG."""

import json
from html import escape

from torch import Tensor

from repro.html import FOOT, head
from sde import figures
from sde.trained_model import TrainedModel

GRID_OF_IMAGES = 100

STYLE = """
.figures { display: grid; gap: 1.5rem 2.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.figures .broad { grid-column: 1 / -1; max-width: 56rem; }
figure:not(.broad) { max-width: 34rem; }
figcaption { font-weight: 400; color: var(--soft); font-size: .9rem; margin-top: .35rem; }
svg text { fill: var(--ink); }
svg image { image-rendering: pixelated; }
th:first-child, td:first-child { white-space: nowrap; }
.best { font-weight: 700; }
@media print {
  @page { size: A4; margin: 14mm; }
  body { padding: 0; font-size: 10pt; } table { font-size: 8.5pt; }
  th, td { padding: .12rem .4rem; line-height: 1.3; }
  .scroll { overflow: visible; } thead th, th:first-child, td:first-child { white-space: normal; }
  tr { break-inside: avoid; } h2, summary { break-after: avoid; } h2 { margin-top: 1.5rem; }
  .figures { grid-template-columns: 1fr 1fr; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
NAMES = {
    "energy_distance": "squared energy distance",
    "sliced_wasserstein": "sliced Wasserstein distance",
    "mmd": "squared MMD",
    "frechet": "Fréchet distance, of the numbers themselves",
    "precision": "precision",
    "recall": "recall",
}
PROCESSES = {"ve": "VE", "vp": "VP", "subvp": "sub-VP"}


def page(trained: TrainedModel, x: Tensor, results: dict) -> str:
    """The whole document, from samples x (N, *event) on the CPU and what was measured."""
    config = trained.config
    name = trained.data.spec.name.replace("_", " ")
    process = config.process.name
    title = f"Score model of {name}, {PROCESSES.get(process, process)} SDE"
    found, near = results["distances"]["energy_distance"], results["distances"]["precision"]
    lead = (
        f"{results['iterations']} iterations. {found['num_fake']} samples at {results['nfe']} "
        f"evaluations each ({results['sampler']}) lie at squared energy distance "
        f"{found['value']:.2g} from {found['num_real']} held-out examples; as many training "
        f"examples lie at {found['floor']:.2g}. Near held-out examples are "
        f"{100 * near['value']:.0f} % of the "
        f"samples and {100 * near['floor']:.0f} % of the training examples (precision). "
        f"Likelihood: {results['likelihood']['in_words']}."
    )
    if "fid" in results:
        fid = results["fid"]
        lead += (
            f" FID {fid['value']:.2f} of {fid['samples']} samples at {fid['nfe']} evaluations "
            f"against the {fid['reference_images']} images of the {fid['reference']} part."
        )
    return "\n".join(
        [
            head(title, STYLE),
            f"<h1>{escape(title)}</h1>",
            f'<p class="lead">{escape(lead)}</p>',
            _samples(trained, x, results),
            "<h2>Samplers compared</h2>",
            _comparison(results),
            "<h2>Distances to held-out examples</h2>",
            _distances(results["distances"]),
            "<h2>Where these numbers are from</h2>",
            _origins(trained, results),
            "<h2>Training</h2>",
            _training(trained),
            "<h2>Settings</h2>",
            _settings(trained),
            FOOT,
        ]
    )


def _samples(trained: TrainedModel, x: Tensor, results: dict) -> str:
    title = f"{results['sampler']}, {results['nfe']} evaluations"
    if not trained.data.spec.is_image:
        figure = figures.samples(x, trained.data, title)
        said = "Held-out examples beside samples of the model."
        shown = _figure(figure, "samples", said, "broad")
        return f'<h2>Samples</h2><div class="figures">{shown}</div>'
    grid = figures.samples(x[:GRID_OF_IMAGES], trained.data)
    near = figures.neighbours(x, trained.data)
    return (
        '<h2>Samples</h2><div class="figures">'
        + _figure(grid, "samples", f"The first {min(len(x), GRID_OF_IMAGES)} samples; {title}.")
        + _figure(near, "neighbours", "Copies of training images would show here.")
        + "</div>"
    )


def _comparison(results: dict) -> str:
    """A figure and a table: distance by sampler and evaluations."""
    every, floors = results["samplers"]["rows"], results["samplers"]["floors"]
    rows = [row for row in every if row["distance"] is not None]
    failed = [f"{row['sampler']} at {row['budget']}" for row in every if row["distance"] is None]
    if not rows:
        none = (
            f"None gave finite samples: {', '.join(failed)}." if failed else "None were asked for."
        )
        return f"<p>{escape(none)}</p>"
    budgets = sorted({row["budget"] for row in rows})
    header = ["sampler", *(f"{budget} eval." for budget in budgets)]
    best = {b: min(row["distance"] for row in rows if row["budget"] == b) for b in budgets}
    lines = []
    for sampler in dict.fromkeys(row["sampler"] for row in every):
        values = {row["budget"]: row["distance"] for row in rows if row["sampler"] == sampler}
        cells = [_number(values.get(b), best=values.get(b) == best[b]) for b in budgets]
        lines.append([escape(sampler), *cells])
    said = (
        "Sliced Wasserstein distance of samples to held-out examples, over evaluations of the "
        "network, of which a column of the table allows so many."
        f" The band, {min(floors):.2g} to {max(floors):.2g}, is that of {len(floors)} parts of "
        "the training data, of as many examples: differences of its height are noise."
        + (f" Without finite samples: {', '.join(failed)}." if failed else "")
    )
    figure = figures.comparison(rows, floors)
    return (
        f'<div class="figures">{_figure(figure, "samplers", said)}'
        f"<div>{_table(header, lines)}</div></div>"
    )


def _distances(found: dict) -> str:
    header = ["distance", "samples", "training examples", "counts: held out, compared"]
    lines = [
        [
            escape(NAMES[name]),
            _number(example["value"]),
            _number(example["floor"]),
            (f"{example['num_real']}, {example['num_fake']}", "number"),
        ]
        for name, example in found.items()
    ]
    said = (
        "The training examples show what a perfect model would get. Distances should be small, "
        "precision and recall large; recall says nothing where precision is low, since samples "
        "scattered widely enclose everything. The squared energy distance and the squared MMD are "
        "unbiased, so they can fall below zero."
    )
    return f"{_table(header, lines)}<p>{said}</p>"


def _origins(trained: TrainedModel, results: dict) -> str:
    """The run, its seed, the protocol of every number, and the data by their checksums."""
    found, own = results["distances"]["energy_distance"], results["likelihood"]
    settings, at = trained.config.evaluation, trained.folder / "environment.json"
    known = json.loads(at.read_text()) if at.exists() else {}
    weights = "averaged" if results["weights"] == "ema" else results["weights"]
    lines = {
        "run folder": str(trained.folder),
        "seeds": f"one: {trained.config.seed}",
        "protocol of the distances": f"{found['num_fake']} samples, by {results['sampler']} at "
        f"{results['nfe']} evaluations in {results['precision']}, {weights} weights, denoised at "
        f"the end; {found['num_real']} examples held out, never trained on",
        "protocol of the likelihood": f"{own['examples']} examples held out, probability flow by "
        f"{settings.method}, rtol {settings.rtol:g}, atol {settings.atol:g}, "
        + (f"probes: {own['probes']}" if own["probes"] else "exact divergence")
        if "examples" in own
        else own["in_words"],
        **{f"SHA-256 of {name}": digest for name, digest in results["data_sha256"].items()},
        "device": known.get("device", str(trained.device)),
        "commit": known.get("git_commit") or "not recorded",
    }
    shown = [[name, (f"<code>{escape(text)}</code>", "wide")] for name, text in lines.items()]
    return _table(["what", "value"], shown)


def _training(trained: TrainedModel) -> str:
    if not trained.records:
        return "<p>No record was written.</p>"
    figure = figures.training(trained.records)
    said = (
        "The loss, weighted as trained. It cannot reach zero: what remains is the noise that no "
        "score can tell. Where the held-out loss rises, the model begins to memorise."
    )
    return f'<div class="figures">{_figure(figure, "training", said)}</div>'


def _settings(trained: TrainedModel) -> str:
    parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    lines = [["network parameters", (str(parameters), "")]]
    for section, values in trained.config.model_dump(mode="json").items():
        values = values if isinstance(values, dict) else {"": values}
        for key, value in values.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append([escape(f"{section}.{key}".rstrip(".")), (escape(shown), "")])
    return (
        f"<details><summary>Every setting</summary>{_table(['setting', 'value'], lines)}</details>"
    )


def _figure(figure, name: str, caption: str, kind: str = "") -> str:
    drawn = figures.svg(figure, name)
    return f'<figure class="{kind}">{drawn}<figcaption>{escape(caption)}</figcaption></figure>'


def _number(value: float | None, best: bool = False) -> tuple[str, str]:
    return ("" if value is None else f"{value:.3g}", "number best" if best else "number")


def _table(header: list[str], lines: list[list]) -> str:
    """Lines of a first cell and then (text, class) pairs; on a phone a card for each line."""
    kinds = ["", *(kind for _, kind in lines[0][1:])]
    names = "".join(
        f'<th class="{kind.split(" ")[0]}">{escape(name)}</th>'
        for name, kind in zip(header, kinds, strict=True)
    )
    body = []
    for first, *cells in lines:
        rest = "".join(
            f'<td class="{kind}" data-label="{escape(name)}">{text}</td>'
            for name, (text, kind) in zip(header[1:], cells, strict=True)
        )
        body.append(f"<tr><td>{first}</td>{rest}</tr>")
    inside = f"<thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{inside}</table></div>'
