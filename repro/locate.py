"""Configuration files by name: ``toy_cub_easy`` is ``configs/cizsl/toy/toy_cub_easy.yaml``."""

import difflib
from pathlib import Path

from repro.errors import InputError


def configs() -> Path:
    """The folder of the shipped configurations: beside the source tree, or inside the package."""
    here = Path(__file__).resolve().parent
    beside = here.parent / "configs"
    return beside if (beside / "schema").is_dir() else here / "configs"


def shipped(half: str) -> dict[str, Path]:
    """The configurations of ``cizsl`` or ``sde`` by name."""
    return {path.stem: path for path in sorted((configs() / half).glob("*/*.yaml"))}


def find(config: str | Path, half: str) -> Path:
    """The file of a path, or of the name of a shipped configuration of ``cizsl`` or ``sde``.

    Raises :class:`InputError` for a folder, and for a name that is neither."""
    path = Path(config)
    if path.is_dir():
        raise InputError(f"{config}: expected a YAML file or the name of one, got a folder")
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.exists():
        return path
    names = shipped(half)
    if path.name not in names:
        close = difflib.get_close_matches(path.name, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"{config}: neither a file nor the name of a configuration{hint}")
    return names[path.name]
