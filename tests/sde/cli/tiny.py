"""A configuration that trains in a second."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs" / "sde" / "toy" / "eight_gaussians.yaml")
TINY = [
    "data.train=200",
    "data.heldout=100",
    "model.hidden_dim=16",
    "model.depth=1",
    "optimiser.batch_size=32",
    "optimiser.iterations=6",
    "evaluation.every=3",
]
