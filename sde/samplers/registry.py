"""The predictors, correctors and solvers by name.

To add one: write a class in a file of its own, and a line here. Without a change here, name it as
``package.module:name``.
"""

from sde.samplers.adams_bashforth import AdamsBashforth2, AdamsBashforth3, AdamsBashforth4
from sde.samplers.ancestral import Ancestral
from sde.samplers.ddim import DDIM
from sde.samplers.dpm_solver_pp import DPMSolverPP2M, DPMSolverPP2MSDE, DPMSolverPP3M
from sde.samplers.euler_maruyama import EulerMaruyama
from sde.samplers.heun import EDM, Heun
from sde.samplers.identity import NoCorrector, NoPredictor
from sde.samplers.langevin import AnnealedLangevin, Langevin, LangevinPerSample
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
    "dpm_solver_pp_3m": DPMSolverPP3M,
    "dpm_solver_pp_2m_sde": DPMSolverPP2MSDE,
    "adams_bashforth_2": AdamsBashforth2,
    "adams_bashforth_3": AdamsBashforth3,
    "adams_bashforth_4": AdamsBashforth4,
    "edm": EDM,
}
