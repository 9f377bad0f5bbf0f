"""The partners that do nothing: a predictor alone and a corrector alone are the loop with these."""

from sde.samplers.base import Corrector, Predictor


class NoPredictor(Predictor):
    """Leaves x alone: Langevin dynamics along the ladder of times, as NCSN samples. Final."""

    name = "none"
    stochastic = False

    def step(self, x, transition, z):
        return x, x


class NoCorrector(Corrector):
    """Leaves x alone. Final."""

    name = "none"
    stochastic = False

    def step(self, x, transition, z):
        return x, x
