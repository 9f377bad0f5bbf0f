"""Names in configurations that stand for code: entries of a registry, or ``package.module:name``.

A registry is a dict from names to functions or classes. Whatever else implements the same interface
is named by its module and needs no change here:

    creativity: {divergence: my_package.divergences:jensen_shannon}

A module is looked for where Python finds modules, and in the current folder. It is imported when a
configuration file is loaded for a command, or when the component is built; reading the
configuration that a finished run recorded imports nothing.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from repro.errors import InputError
from repro.wording import did_you_mean, one_line, shown

Entry = TypeVar("Entry")

PLUGIN = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
IMPORT = {"import_plugins": True}  # the validation context that imports what is named


def is_plugin(name: str) -> bool:
    """Return whether ``name`` has the form ``package.module:name``."""
    return re.fullmatch(PLUGIN, name, re.ASCII) is not None


def resolve(name: str, registry: Mapping[str, Entry], kind: str) -> Entry:
    """Return the entry ``name`` of ``registry``, or import ``package.module:name``.

    Args:
        name: a key of the registry, or a plugin.
        registry: the known entries by name.
        kind: what the entries are, for messages: "divergence", "sampler".

    Raises :class:`InputError` for an unknown name and for a plugin that cannot be imported.
    """
    if name in registry:
        return registry[name]
    if not is_plugin(name):
        raise InputError(_unknown(name, registry, kind))
    return _imported(name, kind)


@dataclass(frozen=True)
class Registered:
    """Annotation of a configuration field that names an entry of a registry or a plugin.

        class Process(Settings):
            name: Annotated[str, Registered(lambda: PROCESSES, "process")] = "vp"

    Args:
        names: returns the registry, or its names; called when a value is validated or the JSON
            schema is made, so that it may import the registry.
        kind: what the entries are, for messages.

    :func:`resolve` turns the value, a string, into the entry.
    """

    names: Callable[[], Iterable[str]]
    kind: str

    def check(self, name: str, info: ValidationInfo) -> str:
        """Return ``name``. Raises :class:`InputError` where it is neither known nor a plugin."""
        known = list(self.names())
        if name in known:
            return name
        if not is_plugin(name):
            raise InputError(_unknown(name, known, self.kind))
        if info.context and info.context.get("import_plugins"):
            _imported(name, self.kind)
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.with_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict:
        names = list(self.names())
        choices = [{"enum": names}, {"pattern": f"^{PLUGIN}$"}]
        return {"type": "string", "examples": names, "anyOf": choices}


def _unknown(name: str, known: Iterable[str], kind: str) -> str:
    nearest = did_you_mean(name, known)
    return (
        f"unknown {kind} {shown(name)}{nearest or ';'} known: {', '.join(known)}; "
        f"or one of your own as package.module:name"
    )


def _imported(name: str, kind: str) -> Any:
    place, _, attribute = name.partition(":")
    if "" not in sys.path:  # the current folder, after everything that is installed
        sys.path.append("")
    try:
        module = importlib.import_module(place)
    except Exception as error:  # whatever the module raises while it is imported
        raise InputError(f"{kind} {name}: cannot be imported ({one_line(error)})") from None
    try:
        return getattr(module, attribute)
    except AttributeError:
        nearest = did_you_mean(attribute, vars(module))
        raise InputError(f"{kind} {name}: {place} has no '{attribute}'{nearest}") from None
