"""Image data from the command line: inspect, train, stop, resume, move the files, sample."""

import shutil

import numpy as np
import pytest

from repro.config import dump
from repro.signals import Interrupted
from sde import build
from sde.cli.parser import main
from tests.sde.conftest import CPU, StopAfter, run, tiny_config
from tests.sde.training.test_train import assert_same, outcome

pytestmark = pytest.mark.usefixtures("undrawn")

IMAGES = np.random.default_rng(0).integers(256, size=(40, 8, 8), dtype=np.uint8)


@pytest.fixture
def config(tmp_path):
    """A configuration of seconds on 40 images of noise, of which 10 are held out."""
    np.savez(tmp_path / "noise.npz", images=IMAGES, labels=np.arange(40) % 3)
    return tiny_config(
        data={"name": "npz", "path": str(tmp_path / "noise.npz"), "heldout": 0.25, "flip": True},
        model={"network": "small_conv", "hidden_dim": 8},
        optimiser={"iterations": 7},
        evaluation={"every": 4, "samples": 10, "likelihoods": 2, "probes": 1, "budgets": (5,)},
    )


@pytest.mark.parametrize("memory", ["device", "host"])
def test_stopping_anywhere_changes_nothing_with_images(config, tmp_path, memory):
    """Nor does it matter where the images lie, but for the setting itself."""
    data = config.data.model_copy(update={"memory": memory})
    config = config.model_copy(update={"data": data})
    run(config, tmp_path / "whole")
    stops = 0
    while True:
        try:
            run(config, tmp_path / "pieces", resume=True, stop=StopAfter(3))
            break
        except Interrupted:
            stops += 1
    assert stops >= 2
    assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "pieces"))


def test_the_configuration_decides_how_images_are_drawn(config):
    data = build.dataset(config, CPU)
    assert (len(data.train), len(data.heldout)) == (30, 10)
    assert data.train.flip and data.train.dequantise and not data.heldout.flip
    changes = {"memory": "host", "dequantise": False, "centred": False, "flip": False}
    settings = config.data.model_copy(update=changes)
    data = build.dataset(config.model_copy(update={"data": settings}), CPU)
    assert data.train.device == CPU and not data.train.flip and not data.train.dequantise
    assert (data.spec.quantisation.low, data.spec.quantisation.high) == (0, 1)
    assert data.train.spec == data.heldout.spec == data.spec


def test_inspect(config, tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text(dump(config))
    assert main(["data", "inspect", str(file)]) == 0
    said = capsys.readouterr().out
    assert "noise.npz, images cut into 30 + 10" in said and "30 examples" in said
    assert "1 x 8 x 8, grey levels 0 to 255 on [-1, 1]" in said and said.count("sha256 ") == 2
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "notes.txt").write_text("hello")
    from PIL import Image

    for i in range(4):
        Image.fromarray(IMAGES[i]).save(photos / f"{i}.png")
    folder = ["data.name=folder", f"data.path={photos}", f"data.root={tmp_path}"]
    folder += ["data.heldout=1", "data.channels=1"]
    assert main(["data", "inspect", str(file), *folder]) == 2
    assert "1 of 5 files cannot be used: notes.txt (no image)" in capsys.readouterr().err
    assert main(["data", "inspect", str(file), *folder, "--skip-bad"]) == 0
    said = capsys.readouterr().out
    assert "skipped   notes.txt: no image" in said and "3 examples" in said


def test_images_may_move_but_stay_the_same_data(config, tmp_path, capsys):
    path = tmp_path / "run"
    run(config, path)
    shutil.move(tmp_path / "noise.npz", tmp_path / "moved.npz")
    sample = ["sample", str(path), "-n", "2", "--steps", "3"]
    assert main(sample) == 2
    assert "noise.npz: cannot be read: No such file" in capsys.readouterr().err
    assert main([*sample, f"data.path={tmp_path / 'moved.npz'}"]) == 0
    assert main([*sample, "data.seed=1"]) == 2
    assert "a trained model keeps its data.seed of 0, not 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.name=mnist", "path: mnist does not use it, only folder, npz"),
        ("data.image_size=4", "image_size: npz does not use it, only folder"),
        ("data.path=null", "path: npz needs one"),
        ("data.heldout=1.5", "data.heldout: should be"),
        ("data.split=val", "data.split: should be 'official', 'train' or 'test'"),
        ("data.heldout=40", "leaves none to train on"),
        ("data.split=test", "no array 'test_images'"),
    ],
)
def test_bad_settings_are_one_line(config, tmp_path, override, expected, capsys):
    file = tmp_path / "config.yaml"
    file.write_text(dump(config))
    assert main(["train", str(file), override, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1
