"""Readers of JSON files and logs, which refuse damaged and foreign content in one line."""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from repro.config_errors import explain
from repro.errors import InputError
from repro.files.regular_file import open_regular
from repro.wording import one_line, shown

Model = TypeVar("Model", bound=BaseModel)
MOST_BYTES = 256 * 2**20


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises :class:`InputError` where the file is missing, larger than 256 MiB, no regular file, not
    UTF-8, not JSON, or holds anything but an object.
    """
    return _object(_bytes(path), str(path))


def read_model(path: Path, model: type[Model]) -> Model:
    """Return the JSON object in ``path`` as ``model``. Raises as :func:`read_object` does."""
    return as_model(read_object(path), model, str(path))


def as_model(content: dict[str, Any], model: type[Model], where: str) -> Model:
    """Return a JSON object as ``model``.

    Raises :class:`InputError`, one line that begins with ``where`` and names every mistake.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError("; ".join(explain(error, model, where, {}))) from None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a log with one JSON object a line; a missing file has none.

    A crash may cut off the last line, which is then left out. Raises :class:`InputError` where any
    other line is damaged or no object.
    """
    if not path.exists():
        return []
    *lines, last = _bytes(path).split(b"\n")
    records = [_object(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)]
    try:
        return [*records, _object(last, "")]
    except InputError:
        return records


def _bytes(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > MOST_BYTES:
                raise InputError(f"larger than {MOST_BYTES // 2**20} MiB")
            return file.read(size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({one_line(error)})") from None
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected a JSON object, got {shown(content)}")
    return content
