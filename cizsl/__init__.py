"""Creativity-inspired zero-shot learning: CIZSL and GAZSL, for text and for attributes.

    import cizsl
    result = cizsl.train("toy_cub_easy", {"optimiser.iterations": 50}, out="runs/mine")
    result.metrics["final"]["top1"]
    cizsl.load("runs/mine").predict(features).names

Public names are imported when they are first used.
"""

from repro import lazy

__version__ = lazy.version()

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "CIZSLConfig": "cizsl.config",
        "Discriminator": "cizsl.networks",
        "Generator": "cizsl.networks",
        "Model": "cizsl.predict.api",
        "Predictions": "cizsl.predict.api",
        "Result": "cizsl.training.api",
        "ZSLData": "cizsl.data.dataset",
        "ausuc": "cizsl.metrics",
        "hallucinate": "cizsl.hallucination",
        "knn": "cizsl.classifiers",
        "load": "cizsl.predict.api",
        "load_birds": "cizsl.data.birds",
        "load_gbu": "cizsl.data.gbu",
        "load_npz": "cizsl.data.npz",
        "seen_unseen_curve": "cizsl.metrics",
        "sharma_mittal": "cizsl.divergences",
        "train": "cizsl.training.api",
    },
)
