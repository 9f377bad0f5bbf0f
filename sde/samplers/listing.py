"""The list of samplers that ``sde samplers`` prints."""

from collections.abc import Iterator

from repro.errors import InputError
from repro.plugins import resolve
from sde.samplers.base import Corrector, Predictor
from sde.samplers.registry import CORRECTORS, PREDICTORS, SOLVERS

KINDS = {"predictor": PREDICTORS, "corrector": CORRECTORS, "solver": SOLVERS}


def schemes(plugins: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and place of every scheme, those named ``package.module:name`` last.

    Raises InputError for a plugin that cannot be imported, or is no scheme.
    """
    for kind, registry in KINDS.items():
        for name, scheme in registry.items():
            if name != "none":
                yield kind, name, _place(scheme)
    yield "solver", "ode", "sde/samplers/ode.py; sampling.method chooses its method"
    for name in plugins:
        scheme = resolve(name, {}, "sampler")
        yield _kind(name, scheme), name, _place(scheme)


def _kind(name: str, scheme: type) -> str:
    if isinstance(scheme, type) and issubclass(scheme, Corrector):
        return "corrector"
    if isinstance(scheme, type) and issubclass(scheme, Predictor):
        return "predictor" if scheme.stochastic else "solver"
    raise InputError(f"sampler {name}: expected a class that extends Predictor or Corrector")


def _place(scheme: type) -> str:
    return scheme.__module__.replace(".", "/") + ".py"
