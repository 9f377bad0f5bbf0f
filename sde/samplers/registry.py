"""The predictors, correctors and solvers by name.

To add one: write a class in a file of its own, and a line here. Without a change here, name it as
``package.module:name``.
"""

from sde.samplers.ancestral import Ancestral
from sde.samplers.annealed_langevin import AnnealedLangevin
from sde.samplers.ddim import DDIM
from sde.samplers.dpm_solver_pp_2m import DPMSolverPP2M
from sde.samplers.euler_maruyama import EulerMaruyama
from sde.samplers.heun import Heun
from sde.samplers.identity import NoCorrector, NoPredictor
from sde.samplers.langevin import Langevin, LangevinPerSample
from sde.samplers.reverse_diffusion import ReverseDiffusion

PREDICTORS = {
    "euler_maruyama": EulerMaruyama,
    "reverse_diffusion": ReverseDiffusion,
    "ancestral": Ancestral,
    "none": NoPredictor,
}

CORRECTORS = {
    "langevin": Langevin,
    "langevin_per_sample": LangevinPerSample,
    "annealed_langevin": AnnealedLangevin,
    "none": NoCorrector,
}

SOLVERS = {
    "ddim": DDIM,
    "heun": Heun,
    "dpm_solver_pp_2m": DPMSolverPP2M,
}
