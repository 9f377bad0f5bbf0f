"""A sampler by one name, in configurations and on the command line:

solver               heun, dpm_solver_pp_2m, ddim     few evaluations, deterministic
ode                  the adaptive probability flow    to a tolerance; steps are its own
PREDICTOR            euler_maruyama, ...              the reverse SDE
PREDICTOR+CORRECTOR  reverse_diffusion+langevin, ...  none+langevin is Langevin dynamics alone
"""

from dataclasses import dataclass

from repro.errors import InputError
from sde.samplers.registry import CORRECTORS, PREDICTORS, SOLVERS


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler by its parts: a solver, or a pair, or neither for the adaptive flow."""

    name: str
    solver: str | None = None
    predictor: str | None = None
    corrector: str = "none"

    def evaluations_per_step(self, corrector_steps: int) -> int:
        """Evaluations of the score in one step; 0 for the flow, which has no fixed steps."""
        if self.solver:
            return SOLVERS[self.solver].evaluations
        if self.predictor is None:
            return 0
        return (self.predictor != "none") + corrector_steps * (self.corrector != "none")

    def steps_within(self, budget: int, corrector_steps: int) -> int:
        """How many steps, and the final denoising, ``budget`` evaluations pay for."""
        return (budget - 1) // max(1, self.evaluations_per_step(corrector_steps))


def parse_sampler(name: str) -> SamplerSpec:
    """The sampler of this name. Raises InputError for a name that is none, saying what is."""
    if name == "ode":
        return SamplerSpec(name)
    if name in SOLVERS:
        return SamplerSpec(name, solver=name)
    predictor, plus, corrector = name.partition("+")
    corrector = corrector if plus else "none"
    if predictor in PREDICTORS and corrector in CORRECTORS:
        if predictor == corrector == "none":
            raise InputError(f"sampler {name!r}: none with none would return the prior: name one")
        return SamplerSpec(name, predictor=predictor, corrector=corrector)
    raise InputError(
        f"unknown sampler {name!r}: choose from ode, {', '.join(SOLVERS)}, or a predictor "
        f"({', '.join(PREDICTORS)}), alone or with + and a corrector ({', '.join(CORRECTORS)})"
    )
