"""The words that a table has for a row: its method, what tells it from others, its settings."""

from cizsl.report.grouping import WEIGHT, Row, Section
from cizsl.report.runs import Run

DIVERGENCES = {
    "sharma_mittal": "Sharma-Mittal",
    "renyi": "Rényi",
    "tsallis": "Tsallis",
    "bhattacharyya": "Bhattacharyya",
    "kl": "KL",
    "new_class": "K+1 classes",
    "random_walk": "random walks",
}
PARAMETERS = {"sharma_mittal": ("alpha", "beta"), "renyi": ("alpha",), "tsallis": ("alpha",)}
DEFAULTS = {"adversarial": 1.0, "mixing": [0.2, 0.8]}  # omitted from descriptions
NETWORKS = {  # what `description` tells of every method
    "model.hidden_dim": "hidden",
    "model.text_embed_dim": "text",
    "model.noise_dim": "noise",
    "optimiser.batch_size": "batch",
    "optimiser.learning_rate": "learning rate",
    "optimiser.iterations": "iterations",
    "gaussian.penalty": "penalty",
    "gaussian.shrinkage": "shrinkage",
    "gaussian.spread": "spread",
    "score.classes": "classes",
    "score.hidden_dim": "hidden",
    "score.guidance": "guidance",
}


def method(row: Row) -> str:
    """Return the name that the runs were given, else their method, divergence and form."""
    return row.settings.get("name") or _method_and_divergence(row)


def label(row: Row, section: Section) -> str:
    """Return the row's method, and the settings that tell it from rows of the same method."""
    others = [other for other in section.rows if other is not row and method(other) == method(row)]
    parts = [method(row)]
    if row.searches or any(weight(other) != weight(row) for other in others):
        parts.append(f"weight {weight(row)}")
    parts += _differing_settings(row, others)
    if row.settings in [other.settings for other in others]:  # the same settings on other data
        parts.append(f"data {row.runs[0].data_id}")
    return ", ".join(parts)


def weight(row: Row) -> str:
    """Return the creativity weight, one for each cell where they differ; empty for GAZSL.

    Where each run chose its own on validation classes, it is all that were chosen.
    """
    if WEIGHT not in row.settings:
        return ""
    weights = [_weights(runs) for runs in row.cells.values()]
    text = " / ".join(weights if len(set(weights)) > 1 else weights[:1])
    return f"chosen: {text}" if row.searches else text


def description(row: Row) -> str:
    """Return the settings that a reader wants to know first, as far as they are recorded."""
    if not row.is_trained:
        return _chosen_penalties(row)
    settings = row.settings
    parts = [_method_and_divergence(row)] if settings.get("name") else []
    parts += [*_creativity(row)]
    searched = {key.removeprefix("search.") for key in settings if key.startswith("search.")}
    parts += [
        f"{name} {settings[key]}"
        for key, name in NETWORKS.items()
        if key in settings and key not in searched
    ]
    parts += _chosen_values(row, searched - {WEIGHT})
    return ", ".join(parts) or "settings not recorded"


def _chosen_values(row: Row, searched: set[str]) -> list[str]:
    """Return the values that validation classes chose for searched keys, of each cell."""
    parts = []
    for key in sorted(searched):
        found = []
        for runs in row.cells.values():
            chosen = [run.summary.search.chosen or {} for run in runs if run.summary.search]
            found.append("/".join(dict.fromkeys(str(one.get(key)) for one in chosen)))
        parts.append(f"{key.split('.')[-1].replace('_', ' ')} chosen: {', '.join(found)}")
    return parts


def _method_and_divergence(row: Row) -> str:
    settings = row.settings
    divergence, form = settings.get("creativity.divergence"), settings.get("creativity.form")
    if divergence is None:
        return settings["method"]
    return f"{settings['method']}, {DIVERGENCES.get(divergence, divergence)}, {form} form"


def _differing_settings(row: Row, others: list[Row]) -> list[str]:
    return [
        f"{key.split('.')[-1].replace('_', ' ')} {value}"
        for key, value in row.settings.items()
        if key not in (WEIGHT, "feature_dim", "name")
        and any(other.settings.get(key) != value for other in others)
    ]


def _creativity(row: Row) -> list[str]:
    """Return weight, divergence parameters, and what differs from the defaults."""
    settings, parts = row.settings, []
    if weight(row):
        parts.append(f"creativity weight {weight(row)}")
    if row.searches:
        tried = ", ".join(f"{value:g}" for value in settings[WEIGHT])
        parts[-1] += f" (on validation classes, of {tried})"
    for key, default in DEFAULTS.items():
        if (value := settings.get(f"creativity.{key}", default)) != default:
            parts.append(f"{key} {value}")
    names = PARAMETERS.get(str(settings.get("creativity.divergence")), ())
    return parts + [f"{name} {settings[f'creativity.{name}']}" for name in names]


def _weights(runs: tuple[Run, ...]) -> str:
    """Return the creativity weight of repeats, or those that they chose, smallest first."""
    given = runs[0].settings[WEIGHT]
    if not isinstance(given, list):
        return str(given)
    chosen = {run.summary.creativity.weight for run in runs if run.summary.creativity}
    return ", ".join(map(str, sorted(value for value in chosen if value is not None)))


def _chosen_penalties(row: Row) -> str:
    """Return what validation classes chose for a baseline, for each cell."""
    places: dict[str, list[str]] = {}
    for cell, runs in row.cells.items():
        chosen = runs[0].summary.chosen or {}
        values = (f"{key.replace('_', ' ')} {value}" for key, value in chosen.items())
        places.setdefault(", ".join(values) or "not recorded", []).append(" ".join(cell))
    parts = (f"{values} ({', '.join(cells)})" for values, cells in places.items())
    criterion = row.settings.get("evaluation.select_by", "a score")
    return f"chosen by {criterion} on validation classes: {'; '.join(parts)}"
