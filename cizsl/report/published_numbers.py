"""The published numbers, in %, as printed: of the birds top-1 and seen-unseen area (AUSUC), of the
attribute benchmarks (GBU) T1, u, s and H.

All were chosen on the test classes: the best of about 300 evaluations on them (GBU: 73), accuracy
and area (GBU: T1 and H) each on its own (train_CIZSL.py, lines 533 to 552; train_GBU.py of GAZSL).
They compare with ``best_on_test`` of the reference protocol on the published features, and with
nothing else. What CIZSL reports on attributes could not be had.
"""

from dataclasses import dataclass

CELLS = (("CUB", "easy"), ("CUB", "hard"), ("NAB", "easy"), ("NAB", "hard"))
UNSEEN_CLASSES = (50, 40, 81, 81)  # of the real data, in the order of CELLS
FEATURE_DIM = 3584

QUOTED = "as commonly quoted"
RERUN = (
    "third-party re-run of both methods: DGRZSL, Table 2 (Kousha, Zero-shot Learning with Class "
    "Description Regularization; github.com/shayan-kousha/DGRZSL)"
)

# strings keep the digits as printed; the order is that of CELLS; None: not reported
PUBLISHED = {
    "GAZSL, CVPR 2018 (as commonly quoted)": {
        "source": f"Zhu et al., arXiv:1712.01381; {QUOTED}",
        "top1": ("43.7", "10.3", "35.6", "8.6"),
        "ausuc": ("35.4", "8.7", "20.4", "5.8"),
    },
    "CIZSL, ICCV 2019 (as commonly quoted)": {
        "source": f"Elhoseiny and Elfeki, arXiv:1904.01109; {QUOTED}",
        "top1": ("44.6", "14.4", "36.6", "9.3"),
        "ausuc": ("39.2", "11.9", "24.5", "6.4"),
    },
    "GAZSL, re-run by DGRZSL": {
        "source": RERUN,
        "top1": ("44.08", "14.46", "36.36", "8.74"),
        "ausuc": ("39.69", "12.49", "24.68", "6.48"),
    },
    "CIZSL, re-run by DGRZSL": {
        "source": RERUN,
        "top1": ("44.42", "14.80", "36.85", "9.04"),
        "ausuc": ("39.46", "11.85", "24.83", "6.48"),
    },
    "CIZSL, published code run independently": {
        "source": "an independent run of the published code, 3001 iterations: CUB hard "
        "in 2 h 15 min 51 s, NAB hard in 8 h 51 min 46 s",
        "top1": (None, "14.26", None, "8.936"),
        "ausuc": (None, "11.53", None, "6.715"),
    },
}

GBU_CELLS = tuple((name, "PS") for name in ("AWA1", "AWA2", "CUB", "SUN", "APY", "FLO"))
GBU_PUBLISHED = {  # the order is that of GBU_CELLS
    "GAZSL, its authors' later results": {
        "source": "README of github.com/EthanZhu90/ZSL_GAN, the code of Zhu et al. "
        "(arXiv:1712.01381); its CUB is a folder CUB1",
        "per_class_top1": ("68.2", "70.2", "55.8", "61.3", "41.13", "60.5"),
        "unseen": ("29.6", "35.4", "31.68", "22.1", "14.17", "28.1"),
        "seen": ("84.2", "86.9", "61.34", "39.3", "78.63", "77.4"),
        "harmonic": ("43.8", "50.3", "41.78", "28.3", "24.01", "41.2"),
    },
}


@dataclass(frozen=True)
class Benchmark:
    """What a table of one kind of problem has: ``scores``, the columns of its overview for each
    cell; ``unseen_classes`` and the tuples of ``published`` are in the order of ``cells``."""

    cells: tuple[tuple[str, str], ...]
    scores: tuple[str, ...]
    feature_dim: int
    unseen_classes: tuple[int, ...]
    published: dict[str, dict]


BENCHMARKS = {
    "text": Benchmark(CELLS, ("top1", "ausuc"), FEATURE_DIM, UNSEEN_CLASSES, PUBLISHED),
    "gbu": Benchmark(
        GBU_CELLS,
        ("per_class_top1", "unseen", "seen", "harmonic"),
        2048,
        (10, 10, 50, 72, 12, 20),
        GBU_PUBLISHED,
    ),
}
