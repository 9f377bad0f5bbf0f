"""Samplers of a process with a score function, and the registries of their parts."""

from sde.samplers.base import Samples, denoise
from sde.samplers.ode import probability_flow_sample
from sde.samplers.predictor_corrector import sample, solve
from sde.samplers.registry import CORRECTORS, PREDICTORS, SOLVERS
from sde.samplers.schedules import SCHEDULES

__all__ = [
    "CORRECTORS",
    "PREDICTORS",
    "SCHEDULES",
    "SOLVERS",
    "Samples",
    "denoise",
    "probability_flow_sample",
    "sample",
    "solve",
]
