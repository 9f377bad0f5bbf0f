"""Error messages for configurations: lines that name the place, the key, what was expected and the
nearest valid key."""

import difflib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from repro.wording import printable, shown

MOST = 5  # lines; a file of another kind has dozens of mistakes
LONGEST_KEY = 60
LONGEST = 800  # characters of a message; the longest that lists what is known has about 600


def explain(
    error: ValidationError, model: type[BaseModel], where: str, source: dict[str, str]
) -> list[str]:
    """Return one line for each wrong key, at most six lines.

    Args:
        error: what pydantic found.
        model: the configuration model.
        where: begins the lines of keys that have no ``source``.
        source: the origin of single keys, for instance their file.
    """
    known = known_keys(model)
    wrong: dict[str, list[ErrorDetails]] = {}
    for item in error.errors():
        unknown = item["type"] == "extra_forbidden"
        key = ".".join(map(str, item["loc"])) if unknown else _key(item["loc"], known)
        if unknown and (new := _renamed(item["loc"], model)):
            item["msg"] = f"renamed: write {new}"
        wrong.setdefault(key, []).append(item)
    lines = [
        f"{_place(key, source, where)}: {_cut(key)}{': ' if key else ''}{_words(items, key, known)}"
        for key, items in list(wrong.items())[:MOST]
    ]
    left = len(wrong) - MOST
    return lines if left <= 0 else [*lines, f"{where}: {left} more mistakes like these"]


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return every key of ``model``, dotted, sections before their keys."""
    names = []
    for name, field in model.model_fields.items():
        names.append(prefix + name)
        if section := _section(field.annotation):
            names += known_keys(section, f"{prefix}{name}.")
    return names


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model of a section, also of one that may be absent (``Search | None``)."""
    kinds = (annotation, *get_args(annotation))
    models = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(models, None)


def _renamed(location: tuple, model: type[BaseModel] | None) -> str | None:
    """The new name of an old key, dotted from the top."""
    *above, old = map(str, location)
    for name in above:
        field = model.model_fields.get(name) if model else None
        model = _section(field.annotation) if field else None
    new = getattr(model, "RENAMED", {}).get(old)
    return new if new is None or "." in new else ".".join([*above, new])


def nearest_file(path: Path) -> str:
    """Return a hint at the file beside a missing ``path`` whose name is most like its own."""
    close = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""


def _cut(key: str) -> str:
    return printable(key if len(key) <= 2 * LONGEST_KEY else f"{key[:LONGEST_KEY]}...")


def _place(key: str, source: dict[str, str], where: str) -> str:
    """The last source of ``key``, of a section above it, or of a key below it."""
    places = [
        text
        for name, text in source.items()
        if f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.")
    ]
    return places[-1] if places else where


def _key(location: tuple, known: list[str]) -> str:
    """The dotted key of an error; what pydantic appends to it for a choice of types is cut."""
    parts = [str(part) for part in location]
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in known:
            return ".".join(parts[:end])
    return ".".join(parts)


def _words(items: list[ErrorDetails], key: str, known: list[str]) -> str:
    """The message on one key; a choice of types gives one item for each type."""
    given = list(dict.fromkeys(_given(item) for item in items))
    if len(given) == 1:
        return " or ".join(_message(item, key, known) for item in items) + given[0]
    return " or ".join(_message(item, key, known) + _given(item) for item in items)


def _message(item: ErrorDetails, key: str, known: list[str]) -> str:
    if item["type"] == "extra_forbidden":
        if item["msg"].startswith("renamed: "):
            return item["msg"]
        return f"unknown key{_nearest(key, known)}"
    if item["type"] == "model_type":
        return f"is a section, expected below it {_listed(_level(key + '.', known))}"
    message = item["msg"].removeprefix("Value error, ").replace("Input should", "should")
    message = message.replace("should be a valid tuple", "should be a list")
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 3]}..."


def _given(item: ErrorDetails) -> str:
    silent = ("missing", "value_error", "extra_forbidden")
    return "" if item["type"] in silent else f", got {shown(item['input'])}"


def _nearest(key: str, known: list[str]) -> str:
    """The most similar valid key of its section, else of any; else all keys of its section."""
    section, _, name = key.rpartition(".")
    level = _level(f"{section}." if section in known else "", known)
    for choice in (level, known):
        last = {valid.split(".")[-1]: valid for valid in choice}
        if close := difflib.get_close_matches(name[:200], last, n=1):
            return f"; did you mean '{last[close[0]]}'?"
    return f"; known: {_listed(level)}"


def _level(prefix: str, known: list[str]) -> list[str]:
    return [key for key in known if key.startswith(prefix) and "." not in key[len(prefix) :]]


def _listed(keys: list[str]) -> str:
    return ", ".join(keys)
