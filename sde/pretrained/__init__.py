"""Models that come with the package: ``pretrained:NAME`` wherever a trained model is named.

Each is a folder that `sde export RUN DIR --half` has written: the averaged weights and the
configuration in ``model.safetensors``, the configuration again in ``config.yaml``, and in
``README.md`` the data, the length and the end of the training.
"""

from pathlib import Path

from repro.errors import InputError
from repro.wording import did_you_mean, shown

PREFIX = "pretrained:"
WEIGHTS = "model.safetensors"


def names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob(f"*/{WEIGHTS}"))


def located(path: str | Path) -> Path:
    """Return the folder of ``pretrained:NAME``, and any other path as it is.

    Raises InputError for an unknown name.
    """
    text = str(path)
    if not text.startswith(PREFIX):
        return Path(path)
    name, known = text.removeprefix(PREFIX), names()
    if name not in known:
        nearest = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        raise InputError(f"{shown(text)[1:-1]}: no such model comes with the package{nearest}")
    return Path(__file__).parent / name


def results_of(path: Path) -> Path:
    """Return the default folder of the results of a model: a run folder itself, for instance."""
    if str(path).startswith(PREFIX):
        return Path("runs", "pretrained", str(path).removeprefix(PREFIX))
    return path if path.is_dir() else path.with_suffix("")
