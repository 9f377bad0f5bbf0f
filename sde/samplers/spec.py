"""Sampler names, as configurations and the command line give them.

    SOLVER               heun, dpm_solver_pp_2m, ...      few evaluations; edm and 2m_sde draw noise
    ode                  the probability flow, solved adaptively to a tolerance
    PREDICTOR            euler_maruyama, ...              the reverse SDE
    PREDICTOR+CORRECTOR  reverse_diffusion+langevin, ...  none+langevin is Langevin dynamics alone

Any of the three may be a class of your own, ``package.module:name`` (`repro.plugins`). Such a class
alone is a predictor if it is stochastic, else a solver.
"""

from dataclasses import dataclass

from repro.errors import InputError
from repro.plugins import is_plugin, resolve
from repro.wording import did_you_mean, shown
from sde.samplers.registry import CORRECTORS, PREDICTORS, SOLVERS


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler by its parts: a solver; a predictor with a corrector; or, with neither, ``ode``."""

    name: str
    solver: str | None = None
    predictor: str | None = None
    corrector: str = "none"

    def evaluations_per_step(self, corrector_steps: int) -> int:
        """Return how often a step evaluates the score; 0 for ``ode``, which has no fixed steps."""
        if self.solver:
            return resolve(self.solver, SOLVERS, "solver").evaluations
        if self.predictor is None:
            return 0
        predictor = resolve(self.predictor, PREDICTORS, "predictor")
        predicting = predictor.evaluations if self.predictor != "none" else 0
        return predicting + corrector_steps * (self.corrector != "none")

    def steps_within(self, budget: int, corrector_steps: int) -> int:
        """Return the number of steps that, with the final denoising, take ``budget`` evaluations of
        the score at most."""
        return (budget - 1) // max(1, self.evaluations_per_step(corrector_steps))


def parse_sampler(name: str) -> SamplerSpec:
    """Return the sampler of a name, importing the module of a plugin.

    Raises InputError for an unknown name.
    """
    require_known(name)
    if name == "ode":
        return SamplerSpec(name)
    if name in SOLVERS:
        return SamplerSpec(name, solver=name)
    predictor, plus, corrector = name.partition("+")
    if not plus and is_plugin(name) and not resolve(name, {}, "sampler").stochastic:
        return SamplerSpec(name, solver=name)
    return SamplerSpec(name, predictor=predictor, corrector=corrector if plus else "none")


def require_known(name: str) -> None:
    """Raise InputError for a name that cannot be a sampler. Imports nothing."""
    predictor, plus, corrector = name.partition("+")
    corrector = corrector if plus else "none"
    if predictor == corrector == "none":
        raise InputError(
            f"sampler '{name}': predictor none with corrector none returns the prior; name one"
        )
    predicts = predictor in PREDICTORS or is_plugin(predictor)
    corrects = corrector in CORRECTORS or is_plugin(corrector)
    if name == "ode" or name in SOLVERS or (predicts and corrects):
        return
    pairs = [f"{one}+{other}" for one in PREDICTORS for other in CORRECTORS]
    nearest = did_you_mean(name, ["ode", *SOLVERS, *PREDICTORS, *pairs])
    raise InputError(
        f"unknown sampler {shown(name)}{nearest or ';'} known: ode, {', '.join(SOLVERS)}, or a "
        f"predictor ({', '.join(PREDICTORS)}), alone or with + and a corrector "
        f"({', '.join(CORRECTORS)}); or one of your own as package.module:name"
    )
