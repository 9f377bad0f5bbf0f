"""Typed configuration: a YAML file over the defaults of a frozen pydantic model.

An experiment is a short YAML file. It may name one other file under ``base:`` (a path relative to
itself), whose values it overrides; that file may not have a base of its own, so a reader looks in
at most two places. Values given on the command line as ``key=value`` (dots descend) come last:

    defaults in the model  <  base file  <  the file  <  key=value

Whatever is wrong is one line: the file, the key, what was expected, the nearest valid key.
"""

import json
import re
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from repro import plugins
from repro.config_errors import explain, nearest_file
from repro.errors import InputError, InputErrors
from repro.wording import shown


class Settings(BaseModel):
    """Parent of every configuration model: immutable, and unknown keys are errors.

    ``RENAMED`` maps an old key of the model to the new one, which the error message then names: a
    key of the same model, or a whole key with dots (``optimiser.warmup_steps``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    RENAMED: ClassVar[dict[str, str]] = {}


Model = TypeVar("Model", bound=Settings)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-4 is a number (YAML 1.1 asks for 1.0e-4) and keys may not repeat."""

    def construct_mapping(self, node, deep=False):
        seen = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' stands here twice", key.start_mark
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def load(path: str | Path, model: type[Model], overrides: list[str] | None = None) -> Model:
    """Read ``path``, apply its base and the ``key=value`` overrides, and validate.

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
    if not isinstance(base, str):
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
    """Apply ``key=value`` overrides to ``values`` and validate. An error names ``where`` they are
    from, or what ``source`` says of the key."""
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
    """The resolved configuration as YAML, every value written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def schema(model: type[Settings]) -> str:
    """JSON schema for editors; ``base`` is admitted at the top."""
    content = model.model_json_schema()
    content["properties"]["base"] = {
        "type": "string",
        "description": "another file of this kind, relative to this one, that this one overrides",
    }
    return json.dumps(content, indent=2) + "\n"


def read(path: Path, named_by: Path | None = None) -> dict:
    """The ``key: value`` lines of a YAML file. Raises :class:`InputError` for anything else."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        origin = f" (the base of {named_by})" if named_by else ""
        hint = nearest_file(path) if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"{path}{origin}: cannot be read: {error.strerror}{hint}") from None
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        raise InputError(f"{path}: not valid YAML: {error.problem} ({place})") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path}: expected 'key: value' lines at the top level")
    return content


def leaves(values: dict, prefix: str = "") -> dict[str, Any]:
    """Everything that is not a section, by its dotted key."""
    found = {}
    for key, value in values.items():
        deeper = isinstance(value, dict) and value
        found |= leaves(value, f"{prefix}{key}.") if deeper else {prefix + key: value}
    return found


def _parse_override(text: str) -> tuple[list[str], Any]:
    key, separator, value = text.partition("=")
    if not separator or not all(key.split(".")):
        raise InputError(f"override {shown(text)}: expected key=value, for instance seed=1")
    try:
        return key.split("."), yaml.load(value, Loader=_Loader)
    except (yaml.YAMLError, RecursionError):
        raise InputError(f"override {shown(text)}: the value is not valid YAML") from None


def _merge(below: dict, above: dict) -> dict:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged
