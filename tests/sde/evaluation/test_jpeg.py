"""A model of JPEG images is measured on images without loss, and its results say what it is."""

import json

import numpy as np
import pytest
from PIL import Image

from sde.cli.parser import main
from sde.evaluation.table import find, make_tables, text
from tests.sde.conftest import run, tiny_config
from tests.sde.data.image_folders import load, zipped

pytestmark = pytest.mark.usefixtures("undrawn")
NOTE = "the training images are JPEG files: no number here is one of the originals"
SMOOTH = np.linspace(60, 180, 64).reshape(8, 8, 1)  # what JPEG is made for, with noise


def write(folder, ending, seed, count=12):
    """Images of two classes; the same seed gives the same images before they are compressed."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        pixels = (SMOOTH + rng.normal(0, 20, (8, 8, 3))).clip(0, 255).astype(np.uint8)
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "ab"[i % 2] / f"{i}.{ending}")
    return folder


@pytest.fixture
def images(tmp_path):
    """JPEG images to train on; test images as JPEG and, in a zip, without loss."""
    parts = {"train": ("jpg", 0), "test": ("JPEG", 1), "png": ("png", 1)}
    paths = {name: write(tmp_path / name, *how) for name, how in parts.items()}
    return {**paths, "png": zipped(paths["png"])}


def test_which_parts_are_lossy(images, tmp_path):
    train, test, png = (str(images[name]) for name in ("train", "test", "png"))
    both = load(images["train"], heldout_path=test, root=str(tmp_path))
    assert both.from_jpeg == ("training", "held-out")
    mixed = load(images["train"], heldout_path=png, root=str(tmp_path))
    assert mixed.from_jpeg == ("training",) and f"note      {NOTE}" in mixed.in_words()
    assert load(images["train"]).from_jpeg == ("training", "held-out")
    lossless = load(images["png"])
    assert lossless.from_jpeg == () and lossless.noted == {}
    assert "note" not in lossless.in_words()
    difference = both.heldout.values.double() - mixed.heldout.values.double()
    assert both.heldout.sha256 != mixed.heldout.sha256 and difference.abs().mean() > 1
    assert load(images["train"], heldout_path=train).noted == both.noted


def test_a_model_of_jpeg_images_is_measured_on_images_without_loss(images, tmp_path, capsys):
    config = tiny_config(
        data={
            "name": "folder",
            "path": str(images["train"]),
            "heldout_path": str(images["test"]),
            "root": str(tmp_path),
        },
        model={"network": "small_conv", "hidden_dim": 8},
        optimiser={"iterations": 2, "batch_size": 4},
        evaluation={
            "samples": 8,
            "likelihoods": 2,
            "probes": 1,
            "rtol": 9.0,
            "atol": 9.0,
            "compare": (),
        },
        sampling={"steps": 2},
    )
    folder = tmp_path / "run"
    run(config, folder)
    said = json.loads((folder / "results.json").read_text())
    assert said["warnings"] == [NOTE.replace("training", "training and held-out")]

    where, out = f"data.heldout_path={images['png']}", tmp_path / "on_png"
    assert main(["evaluate", str(folder), where, "--out", str(out), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert f"  {NOTE}\n" in printed.out and "heldout_loss" not in printed.err
    results = json.loads((out / "results.json").read_text())["evaluation"]
    assert results["warnings"] == [NOTE] and NOTE in (out / "page.html").read_text()
    assert results["data"] == "train, held out: png.zip"
    lossless = load(images["train"], heldout_path=str(images["png"]), root=str(tmp_path / "other"))
    assert set(results["data_sha256"].values()) == set(lossless.checksums.values())
    assert results["likelihood"]["data"] == results["data"]
    assert NOTE in text(make_tables(find([out])), "markdown")

    assert main(["likelihood", str(folder), where, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(NOTE)
