"""The identity predictor and corrector: with them the loop runs the other part alone."""

from sde.samplers.base import Corrector, Predictor


class NoPredictor(Predictor):
    """Return x unchanged. With a corrector: Langevin dynamics at decreasing times, as in NCSN.
    Final."""

    stochastic = False
    reads_table = False

    def step(self, x, transition, z):
        return x, x


class NoCorrector(Corrector):
    """Return x unchanged. Final."""

    stochastic = False
    reads_table = False

    def step(self, x, transition, z):
        return x, x
