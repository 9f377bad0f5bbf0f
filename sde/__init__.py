"""Score-based generative modelling through stochastic differential equations.

    import sde
    model = sde.load("runs/digits/default")
    samples = model.sample(16, sampler="heun", steps=10)

Public names are imported when they are first used.
"""

from repro import lazy

__version__ = lazy.version()

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "CosineVPSDE": "sde.processes",
        "DrawnSamples": "sde.api",
        "Mixture": "sde.analytic",
        "Model": "sde.api",
        "RectifiedFlow": "sde.processes",
        "SDE": "sde.processes",
        "SDEConfig": "sde.config",
        "SubVPSDE": "sde.processes",
        "VESDE": "sde.processes",
        "VPSDE": "sde.processes",
        "load": "sde.api",
        "load_official": "sde.checkpoint",
        "log_prob": "sde.likelihood",
        "probability_flow": "sde.reverse",
        "probability_flow_sample": "sde.samplers",
        "reverse_sde": "sde.reverse",
        "score_fn": "sde.score",
        "solve": "sde.samplers",
    },
)
