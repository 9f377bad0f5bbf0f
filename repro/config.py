"""Typed configuration: a YAML file over the defaults of a frozen pydantic model.

An experiment is a short YAML file. It may name one other file under ``base:`` (a path relative to
itself), whose values it overrides; that file may not have a base of its own, so a reader looks in
at most two places. Values given on the command line as ``key=value`` (dots descend) come last:

    defaults in the model  <  base file  <  the file  <  key=value

Whatever is wrong is one line: the file, the key, what was expected, the nearest valid key.
"""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import core_schema

from repro import plugins
from repro.config_errors import explain, nearest_file
from repro.errors import InputError, InputErrors
from repro.files.regular_file import open_regular
from repro.files.safe_yaml import CHARACTERS, LEVELS, NotYaml, parse
from repro.wording import shown


@dataclass(frozen=True)
class OneOf:
    """Annotation of a configuration field that takes one of the names in a tuple.

        logger: Annotated[str, OneOf(LOGGERS)] = "none"

    It does for names known at run time what ``Literal`` does for names written out.
    """

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.literal_schema(list(self.names))


class Settings(BaseModel):
    """Parent of every configuration model: immutable; unknown keys, NaN and infinity are errors.

    ``RENAMED`` maps an old key of the model to the new one, which the error message then names: a
    key of the same model, or a whole key with dots (``optimiser.warmup_steps``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    RENAMED: ClassVar[dict[str, str]] = {}


Model = TypeVar("Model", bound=Settings)


def load(path: str | Path, model: type[Model], overrides: list[str] | None = None) -> Model:
    """Read a configuration file, apply its base and the overrides, and validate.

    Args:
        path: the YAML file.
        model: the configuration model.
        overrides: ``key=value`` settings, applied last.

    Raises :class:`InputError` for a missing or malformed file, a nested base, an unknown key, a
    wrong type or a value out of range.
    """
    values, source = gather(Path(path))
    return override(values, model, str(path), overrides, source)


def gather(path: Path) -> tuple[dict, dict[str, str]]:
    """Return the values of a file over those of its base, and the file that each key is from.

    Raises :class:`InputError` for a missing or malformed file, and a base that has a base.
    """
    values = read(path)
    base = values.pop("base", None)
    if base is None:
        return values, {}
    if not isinstance(base, str) or not 0 < len(base) < 1000 or "\0" in base:
        raise InputError(f"{path}: base: expected the path of one file, got {shown(base)}")
    below = read(path.parent / base, named_by=path)
    if "base" in below:
        raise InputError(
            f"{path}: base {base} has a base of its own, {shown(below['base'])}; one level "
            f"is allowed: name that one here, and repeat the lines of {base}"
        )
    source = dict.fromkeys(leaves(below), str(path.parent / base))
    source |= dict.fromkeys(leaves(values), str(path))
    return _merge(below, values), source


def override(
    values: dict,
    model: type[Model],
    where: str,
    overrides: list[str] | None,
    source: dict[str, str] | None = None,
) -> Model:
    """Apply overrides to ``values`` and validate.

    Args:
        values: settings, in sections.
        model: the configuration model.
        where: names the origin of the values in error messages.
        overrides: ``key=value`` settings.
        source: the origin of single keys, which goes before ``where``.
    """
    source = dict(source or {})
    for text in overrides or []:
        keys, _ = _parse_override(text)
        source[".".join(keys)] = f"override {shown(text)}"
    return validate(overridden(values, overrides), model, where, source, plugins.IMPORT)


def overridden(values: dict, overrides: list[str] | None) -> dict:
    """Return ``values`` with ``key=value`` overrides applied. Raises :class:`InputError`."""
    for text in overrides or []:
        keys, value = _parse_override(text)
        for key in reversed(keys):
            value = {key: value}
        values = _merge(values, value)
    return values


def validate(
    values: dict,
    model: type[Model],
    where: str,
    source: dict | None = None,
    context: dict | None = None,
) -> Model:
    """Build ``model`` from ``values``; an error is one line that begins with ``where``.

    With the context ``plugins.IMPORT``, the plugins that it names are imported.
    """
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        raise InputErrors(explain(error, model, where, source or {})) from None


def dump(config: Settings) -> str:
    """Return the resolved configuration as YAML, with every value written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def schema(model: type[Settings]) -> str:
    """Return the JSON schema for editors, in which ``base`` is admitted at the top."""
    content = model.model_json_schema()
    content["properties"]["base"] = {
        "type": "string",
        "description": "another file of this kind, relative to this one, that this one overrides",
    }
    return json.dumps(content, indent=2) + "\n"


def read(path: Path, named_by: Path | None = None) -> dict:
    """Return the ``key: value`` lines of a YAML file.

    Args:
        path: the file.
        named_by: the file whose base it is, for messages.

    Raises :class:`InputError` for a file that is missing, no regular file, not UTF-8, not YAML,
    larger or deeper than :mod:`repro.files.safe_yaml` allows, or anything but ``key: value`` lines.
    """
    origin = f" (the base of {named_by})" if named_by else ""
    try:
        with open_regular(path) as file:
            content = parse(file.read(4 * CHARACTERS + 1).decode("utf-8"))
    except (NotYaml, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    except InputError as error:
        hint = nearest_file(path) if os.strerror(errno.ENOENT) in str(error) else ""
        raise InputError(f"{path}{origin}: {error}{hint}") from None
    except OSError as error:
        raise InputError(f"{path}{origin}: cannot be read: {error.strerror}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path}: expected 'key: value' lines at the top level")
    return content


def leaves(values: dict, prefix: str = "") -> dict[str, Any]:
    """Return every value that is not a section, by its dotted key."""
    found = {}
    for key, value in values.items():
        deeper = isinstance(value, dict) and value
        found |= leaves(value, f"{prefix}{key}.") if deeper else {f"{prefix}{key}": value}
    return found


def _parse_override(text: str) -> tuple[list[str], Any]:
    key, separator, value = text.partition("=")
    keys = key.split(".")
    if not separator or not all(keys) or len(keys) > LEVELS:
        raise InputError(f"override {shown(text)}: expected key=value, for instance seed=1")
    try:
        return keys, parse(value)
    except NotYaml as error:
        raise InputError(f"override {shown(text)}: the value is not valid YAML: {error}") from None


def _merge(below: dict, above: dict) -> dict:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged
