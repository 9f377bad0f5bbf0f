"""Configuration files by name: ``toy_cub_easy`` is ``configs/cizsl/toy/toy_cub_easy.yaml``.

Both packages find their configurations here: in ``configs/`` beside the source tree, or in
``repro/configs/`` where the package was installed from a wheel.
"""

import json
from pathlib import Path

from repro import config as configuration
from repro.errors import InputError
from repro.wording import did_you_mean, shown

HALVES = ("cizsl", "sde")
ENDINGS = (".yaml", ".yml")


def configs() -> Path:
    """Return the folder of the shipped configurations."""
    here = Path(__file__).resolve().parent
    beside = here.parent / "configs"
    return beside if (beside / "schema").is_dir() else here / "configs"


def shipped(half: str) -> dict[str, Path]:
    """Return the configurations of ``cizsl`` or ``sde`` by name."""
    return {path.stem: path for path in sorted((configs() / half).glob("*/*.yaml"))}


def schema_file(half: str) -> Path:
    """Return the JSON schema of the configurations of ``cizsl`` or ``sde``."""
    return configs() / "schema" / f"{half}.json"


def load(
    config: str | Path,
    half: str,
    model: type[configuration.Model],
    overrides: list[str] | None = None,
) -> configuration.Model:
    """Load a configuration by its name or path.

    Args:
        config: the name of a shipped configuration, or the path of a YAML file.
        half: ``cizsl`` or ``sde``.
        model: the configuration model of that half.
        overrides: ``key=value`` settings.

    Raises :class:`InputError` as :func:`repro.config.load` does, and for a configuration of the
    other half.
    """
    path = find(config, half)
    try:
        return configuration.load(path, model, overrides)
    except InputError:
        if (owner := half_of(path)) not in (None, half):
            raise InputError(f"{path}: {_of_other(owner, half)}") from None
        raise


def find(config: str | Path, half: str) -> Path:
    """Return the file of a path, or of the name of a shipped configuration.

    Raises :class:`InputError` for a folder, and for a name that is neither.
    """
    text = str(config)
    if not text or "\0" in text or len(text) > 4096:
        raise InputError(f"{shown(text)}: expected a YAML file, or the name of a configuration")
    path = Path(text)
    if _is(path.is_dir):
        raise InputError(f"{config}: expected a YAML file or the name of one, got a folder")
    names = shipped(half)
    if len(path.parts) == 1 and not _is(path.exists):
        if text in names:
            return names[text]
        if path.suffix not in ENDINGS or path.stem in names:
            raise InputError(_unknown(path, half, names))
    return path


def half_of(path: Path) -> str | None:
    """Return the one half all of whose keys in ``path`` are known, or None."""
    try:
        values = configuration.read(path)
    except InputError:
        return None
    given = {key for key in configuration.leaves(values) if key != "base"}
    halves = [half for half in HALVES if given and given <= set(keys(half))]
    return halves[0] if len(halves) == 1 else None


def keys(half: str) -> list[str]:
    """Return every key of the configurations of ``cizsl`` or ``sde``, dotted, by its schema."""
    try:
        schema = json.loads(schema_file(half).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return _keys(schema, schema.get("$defs", {}), "")


def _keys(node: dict, sections: dict, prefix: str) -> list[str]:
    found = []
    for name, field in node.get("properties", {}).items():
        found.append(prefix + name)
        for choice in (field, *field.get("allOf", ()), *field.get("anyOf", ())):
            if section := choice.get("$ref", "").rpartition("/")[2]:
                found += _keys(sections[section], sections, f"{prefix}{name}.")
    return found


def _unknown(path: Path, half: str, names: dict[str, Path]) -> str:
    if path.stem in names:
        return f"{path}: no such file; did you mean the configuration '{path.stem}'?"
    for other in HALVES:
        if path.name in shipped(other):
            return f"{path}: {_of_other(other, half)}"
    nearest = did_you_mean(path.name, names)
    return (
        f"{shown(str(path))[1:-1]}: neither a file nor the name of a configuration of {half}"
        f"{nearest or '; known: ' + ', '.join(names)}"
    )


def _of_other(owner: str, half: str) -> str:
    return f"a configuration of {owner}, not of {half}: use the commands of {owner}"


def _is(question) -> bool:
    try:
        return question()
    except OSError:  # a name that no file system takes
        return False
