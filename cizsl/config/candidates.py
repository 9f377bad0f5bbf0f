"""Candidate values of a hyper-parameter search, as the section ``search`` of a configuration.

    search: {creativity.weight: [0, 0.1, 1], optimiser.learning_rate: [0.0001, 0.001]}

has six combinations. Numbers are tried in ascending order, other values in the order given; the
last key varies fastest.
"""

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Any

from pydantic import BaseModel, ValidationError

from repro.wording import did_you_mean

MOST = 1000  # combinations
GAN = ("model", "loss", "creativity", "head", "walk", "optimiser")
SECTIONS = (*GAN, "gaussian", "score")
OTHERS = ("data.normalisation", "evaluation.samples", "evaluation.neighbours")
OTHERS += ("evaluation.classifier", "evaluation.weight_decay", "evaluation.generalised")


def flatten(section: Any) -> dict[str, tuple]:
    """Return the candidates by dotted key; sections may be nested, and None removes a key.

    Raises :class:`ValueError` where a key has no list of two or more different values.
    """
    if not isinstance(section, Mapping | None):
        raise ValueError("expected lists by dotted key, such as {creativity.weight: [0, 0.1, 1]}")
    found = _dotted(section or {})
    return {key: _candidates(key, value) for key, value in found.items() if value is not None}


def _dotted(section: Mapping) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in section.items():
        deeper = _dotted(value) if isinstance(value, Mapping) else {"": value}
        found |= {f"{key}.{name}".strip("."): inner for name, inner in deeper.items()}
    return found


def _candidates(key: str, given: Any) -> tuple:
    if not isinstance(given, list | tuple) or len(given) < 2:
        raise ValueError(f"{key}: expected a list of two or more candidates")
    if any(value in given[:place] for place, value in enumerate(given)):
        raise ValueError(f"{key}: expected different candidates")
    numbers = all(isinstance(value, int | float) for value in given)
    return tuple(sorted(given) if numbers else given)


def combinations(search: Mapping[str, tuple]) -> list[dict[str, Any]]:
    """Return every combination of candidates, by dotted key."""
    return [dict(zip(search, values, strict=True)) for values in product(*search.values())]


def check(search: Mapping[str, tuple], config: Any) -> None:
    """Raise :class:`ValueError` for a key that cannot be searched or a value out of range.

    Args: ``search``, candidates by dotted key; ``config``, a :class:`CIZSLConfig`.
    """
    known = [f"{name}.{key}" for name in SECTIONS for key in _section(config, name).model_fields]
    known += OTHERS
    for key in search:
        if key not in known:
            raise ValueError(f"search.{key}: not a key to search{_hint(key, known)}")
    if (count := prod(map(len, search.values()))) > MOST:
        raise ValueError(f"search: {count} combinations; at most {MOST} are allowed")
    for values in combinations(search):
        try:
            config.with_values(values)
        except ValidationError as error:
            first = error.errors()[0]
            message = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"search: {values}: {message}") from None


def _section(config: Any, name: str) -> type[BaseModel]:
    return type(getattr(config, name))


def _hint(key: str, known: list[str]) -> str:
    return did_you_mean(key, known) or f"; the sections {', '.join(SECTIONS)} can be searched"
