"""Labels as a person names them: a class by its name or number, or the entries of a vector."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.errors import InputError
from repro.wording import did_you_mean, shown
from sde.data.dataset import DataSpec

LISTED = 20  # classes in a message


def sizes(kind: str, spec: DataSpec) -> dict[str, int]:
    """Return the keyword of a network for labels of a kind of ``model.condition``.

    It is {"classes": C}, {"vector": K}, or {} for "none". Raises InputError where the data have no
    such labels.
    """
    if kind == "none":
        return {}
    name, size = ("classes", len(spec.classes)) if kind == "class" else ("vector", spec.vector)
    if not size:
        missing = "classes" if kind == "class" else "vectors"
        raise InputError(f"model.condition={kind}: the data {spec.name} have no {missing}")
    return {name: size}


def parse(kind: str, spec: DataSpec, given: Any) -> Tensor:
    """Return labels (N,) of classes, or (N, K) of vectors, as networks take them.

    Args:
        kind: "class" or "vector".
        spec: of the data.
        given: a class by name or number, or several of them; a vector, several, or a text of
            numbers with commas between.

    Raises InputError for an unknown class, and for a vector of another length.
    """
    given = given.tolist() if hasattr(given, "tolist") else given  # of PyTorch or NumPy
    if kind == "vector":
        return _vectors(spec.vector, given)
    several = [given] if isinstance(given, str | int) else given
    return torch.tensor([class_number(each, spec.classes) for each in several])


def class_number(given: str | int, classes: Sequence[str]) -> int:
    """Return the number of a class, given its name or its number; raise InputError for others."""
    names, text = list(classes), str(given)
    if isinstance(given, str) and given in names:
        return names.index(given)
    number = int(text) if text.isdecimal() and len(text) < 10 else -1
    if 0 <= number < len(names):
        return number
    listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    near = did_you_mean(text, names) or ";"
    raise InputError(f"unknown class {shown(text)}{near} choose from {listed}")


def _vectors(entries: int, given: Any) -> Tensor:
    try:
        numbers = [float(x) for x in given.split(",")] if isinstance(given, str) else given
        vectors = torch.atleast_2d(torch.as_tensor(numbers, dtype=torch.float32))
    except (TypeError, ValueError):
        vectors = torch.full((1, 1), math.nan)
    if vectors.ndim != 2 or vectors.shape[1] != entries or not bool(vectors.isfinite().all()):
        expected = f"expected a vector of {entries} finite numbers"
        raise InputError(f"label: {expected}; got {shown(given)}")
    return vectors
