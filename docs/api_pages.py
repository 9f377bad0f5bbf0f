"""Write one page for each package that lists its modules, by folder, the equations first."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INTRODUCTIONS = {
    "cizsl": "Zero-shot learning from text. Modules with equations come first, in reading order.",
    "sde": "Score-based generative models. Modules with equations come first, in reading order.",
    "repro": "Utilities shared by both packages.",
}
READING_ORDER = {  # of a package's own modules; the others follow by name
    "cizsl": [
        "hallucination",
        "divergences",
        "creativity",
        "networks",
        "losses",
        "gan",
        "metrics",
        "classifiers",
        "softmax",
        "retrieval",
        "synthesis",
        "protocols",
        "answers",
        "evaluate",
    ],
    "sde": [
        "reverse",
        "score",
        "losses",
        "likelihood",
        "analytic",
        "discrete",
        "metrics",
        "ema",
        "power_averages",
    ],
    "repro": ["config", "run", "loop"],
}
TITLES = {
    "": "Top level",
    "cli": "Command line",
    "closed_form": "Closed form",
    "conditional": "Conditional sampling",
    "config": "Configuration",
    "data": "Reading data",
    "evaluation": "Evaluation",
    "files": "Files",
    "networks": "Networks",
    "pages": "Tables, charts and pages",
    "predict": "Prediction",
    "prepare": "Preparing datasets",
    "processes": "Processes",
    "report": "Tables and comparisons",
    "samplers": "Samplers",
    "score": "Score-based generator",
    "sweep": "Many runs",
    "training": "Training",
    "walks": "Random walks",
}
LIST = "```{eval-rst}\n.. autosummary::\n   :toctree: generated\n\n"


def modules(package: str) -> dict[str, list[str]]:
    """Return the modules of each folder of a package; ``""`` is the package itself."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        if not path.stem.startswith("__"):
            folder = ".".join(path.relative_to(ROOT / package).parts[:-1])
            found.setdefault(folder, []).append(path.stem)
    first = READING_ORDER[package]
    found[""].sort(key=lambda name: (first.index(name) if name in first else len(first), name))
    return found


def page(package: str) -> str:
    """Return the page of a package in MyST Markdown."""
    parts = [f"# `{package}`\n\n{INTRODUCTIONS[package]}\n"]
    for folder, names in sorted(modules(package).items()):
        before = f"   {package}." + (f"{folder}." if folder else "")
        parts.append(
            f"## {TITLES.get(folder, folder)}\n\n{LIST}" + "".join(f"{before}{n}\n" for n in names)
        )
        parts[-1] += "```\n"
    return "\n".join(parts)


def write(app=None) -> None:
    """Write ``docs/api/PACKAGE.md`` for every package."""
    for package in INTRODUCTIONS:
        path = ROOT / "docs" / "api" / f"{package}.md"
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != page(package):
            path.write_text(page(package))
        listed = re.findall(rf"^   ({package}\.[\w.]+)$", page(package), re.M)
        for old in (path.parent / "generated").glob(f"{package}.*.rst"):
            if old.stem not in listed:
                old.unlink()  # of a module that no longer exists
