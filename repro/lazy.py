"""Lazy exports of a package (PEP 562): a public name is imported when it is first used.

    __getattr__, __dir__, __all__ = lazy.exports(__name__, {"load": "sde.trained_model"})

``import sde`` then costs nothing, and ``sde.load`` imports its module.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from repro.wording import did_you_mean


def exports(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: the ``__name__`` of the package.
        homes: the module of each public name; a name whose home is ``package.name`` itself is that
            submodule.
    """

    def get(name: str) -> Any:
        if name not in homes:
            hint = did_you_mean(name, homes)
            raise AttributeError(f"module '{package}' has no attribute '{name}'{hint}")
        module = importlib.import_module(homes[name])
        value = module if homes[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)  # the next access does not come here
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, listed, sorted(homes)


def version() -> str:
    """Return the version of the installed distribution; "unknown" for a bare source tree."""
    try:
        return metadata.version("cizsl-sde")
    except metadata.PackageNotFoundError:
        return "unknown"
