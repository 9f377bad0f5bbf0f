"""A working folder with articles, images and families."""

import numpy as np
import pytest
from PIL import Image

from tests.cizsl.prepare.pieces import NAMES

NETWORK = """
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.AdaptiveAvgPool2d(2), nn.Flatten())
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Nine classes with articles; all but the last with four images each; their families."""
    random = np.random.default_rng(0)
    for number, name in enumerate(NAMES, 1):
        own, family = name.lower().split("_")
        article = tmp_path / "articles" / f"{number}.{name}.txt"
        article.parent.mkdir(exist_ok=True)
        article.write_text(f"The {own} {family} is a bird like every {family}; {own} wings.")
        for image in range(4 if number < 9 else 0):
            path = tmp_path / "images" / name / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colours = random.integers(0, 255, (9, 12, 3), np.uint8)
            Image.fromarray(colours).save(path)
    lines = [f"{name},{name.split('_')[1]}" for name in NAMES]
    (tmp_path / "families.csv").write_text("\n".join(["class,family", *lines]))
    (tmp_path / "network.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path
