"""Extraction: features known by hand, and the same bytes after any interruption."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cizsl.prepare import extract as extraction
from cizsl.prepare.backbones import Backbone
from cizsl.prepare.extract import Images, extract
from cizsl.prepare.images import Preprocessing
from repro.errors import InputError, InputErrors
from repro.signals import Interrupted
from tests.helpers.rounding import float32_bound

PLAIN = Preprocessing(4, 4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
CPU = torch.device("cpu")


class Means(nn.Module):
    """(B, 3) mean colours; counts the batches, and calls `after` when one is done."""

    def __init__(self, after=lambda count: None):
        super().__init__()
        self.count, self.after = 0, after

    def forward(self, images):
        self.count += 1
        self.after(self.count)
        return images.mean((2, 3))


def backbone(after=lambda count: None, **origin):
    return Backbone(Means(after), origin or {"name": "means"})


@pytest.fixture
def images(tmp_path):
    """Ten images of three classes, image i of one colour (i, 2 i, 3 i)."""
    source = tmp_path / "images"
    paths = [source / f"class{i % 3}" / f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 5), (i, 2 * i, 3 * i)).save(path)
    return Images(source, paths, np.arange(10) % 3)


def run(images, folder, network=None, **options):
    network = network or backbone()
    return extract(images, folder, network, PLAIN, device=CPU, **{"batch": 4} | options)


def result(folder):
    return (folder / extraction.RESULT).read_bytes()


COLOURS = np.arange(10)[:, None] * [1, 2, 3] / 255
ROUNDING = {"float32": float32_bound(20), "float16": 2e-3}  # a mean of 4 x 5 pixels; 4 x 2^-11


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_labels_and_names_in_their_order(images, tmp_path, dtype):
    record = run(images, tmp_path / "out", dtype=dtype)
    with np.load(tmp_path / "out" / extraction.RESULT) as found:
        assert found["features"].dtype == dtype
        np.testing.assert_allclose(found["features"], COLOURS, rtol=ROUNDING[dtype], atol=1e-7)
        assert found["labels"].tolist() == (np.arange(10) % 3).tolist()
        assert found["image_names"].tolist() == [f"class{i % 3}/{i}.png" for i in range(10)]
    assert json.loads((tmp_path / "out" / extraction.RECORD).read_text()) == record
    assert (record["images"], record["classes"], record["feature_dim"]) == (10, 3, 3)
    assert record["plan"]["preprocessing"]["resize"] == 4 and record["plan"]["dtype"] == dtype
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        extraction.RECORD,
        extraction.RESULT,
    ]


def test_an_interrupted_extraction_goes_on_where_it_was(images, tmp_path):
    run(images, tmp_path / "whole")
    stops = backbone(lambda count: os.kill(os.getpid(), signal.SIGINT) if count == 2 else None)
    with pytest.raises(Interrupted, match="goes on after 8 of 10 images"):
        run(images, tmp_path / "out", stops)
    assert not (tmp_path / "out" / extraction.RESULT).exists()
    network = backbone()
    run(images, tmp_path / "out", network)
    assert network.module.count == 1
    assert result(tmp_path / "out") == result(tmp_path / "whole")


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
from tests.cizsl.prepare.test_extract import *
paths = sorted(Path({source!r}).rglob("*.png"), key=lambda path: int(path.stem))
images = Images(Path({source!r}), paths, np.arange(10) % 3)
def slow(count):
    if count == 3:
        print("two are done", flush=True)
        time.sleep(600)  # it is killed long before
run(images, Path({out!r}), backbone(slow))
"""


def test_a_killed_extraction_goes_on_with_the_same_bits(images, tmp_path):
    """kill -9 in the third of five batches; the other three are then done, and no more."""
    run(images, tmp_path / "whole", batch=2)
    out, root = tmp_path / "out", os.fspath(extraction.Path(__file__).parents[4])
    script = KILLED.format(paths=[root, f"{root}/tests"], source=str(images.source), out=str(out))
    script = script.replace("backbone(slow))", "backbone(slow), batch=2)")
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"two are done\n"
    child.kill()
    child.wait()
    (out / ".images.npz.x.part").touch()  # as if it had been killed while writing
    network = backbone()
    run(images, out, network, batch=2)
    assert network.module.count == 3
    assert result(out) == result(tmp_path / "whole")
    assert len(list(out.iterdir())) == 2


def test_two_processes_do_not_mix(images, tmp_path):
    def second(count):
        with pytest.raises(InputError, match="another process is extracting into it"):
            run(images, tmp_path / "out")

    run(images, tmp_path / "out", backbone(second))


def test_another_extraction_does_not_mix_with_the_batches_there(images, tmp_path):
    stops = backbone(lambda count: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        run(images, tmp_path / "out", stops)
    with pytest.raises(InputError, match=r"holds batches of other backbone, dtype; give the same"):
        run(images, tmp_path / "out", backbone(name="other"), dtype="float16")
    with pytest.raises(InputError, match="holds batches of other batch;"):
        run(images, tmp_path / "out", batch=5)
    Image.new("RGB", (6, 5)).save(images.paths[0])
    os.utime(images.paths[0], (0, 0))  # another date, however soon after the first
    with pytest.raises(InputError, match="holds batches of other images;"):
        run(images, tmp_path / "out")


def test_a_finished_extraction_is_not_done_again(images, tmp_path):
    record, network = run(images, tmp_path / "out"), backbone()
    assert run(images, tmp_path / "out", network) == record and network.module.count == 0
    with pytest.raises(InputError, match=r"images.npz: is there, of other batch; --overwrite"):
        run(images, tmp_path / "out", batch=5)
    assert run(images, tmp_path / "out", batch=5, overwrite=True)["plan"]["batch"] == 5
    (tmp_path / "out" / extraction.RECORD).write_text("junk")
    with pytest.raises(InputError, match=r"images.json: not JSON"):
        run(images, tmp_path / "out")


def test_bad_images_are_named_at_once_or_skipped(images, tmp_path):
    images.paths[2].write_bytes(b"no image")
    images.paths[9].write_bytes(images.paths[9].read_bytes()[:40])
    with pytest.raises(InputErrors) as caught:
        run(images, tmp_path / "out")
    first, second, last = caught.value.problems
    assert first.startswith(f"{images.paths[2]}: UnidentifiedImageError")
    assert second.startswith(f"{images.paths[9]}: ")
    assert last == "2 images cannot be read; --skip-bad leaves them out"
    network = backbone()
    record = run(images, tmp_path / "out", network, skip_bad=True)
    assert network.module.count == 0  # all the work was kept
    assert list(record["skipped"]) == ["class2/2.png", "class0/9.png"] and record["images"] == 8
    with np.load(tmp_path / "out" / extraction.RESULT) as found:
        expected = COLOURS[[0, 1, 3, 4, 5, 6, 7, 8]]
        np.testing.assert_allclose(found["features"], expected, rtol=ROUNDING["float32"])
        assert found["labels"].tolist() == [0, 1, 0, 1, 2, 0, 1, 2]


def test_no_image_at_all(images, tmp_path):
    for path in images.paths:
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the 10 images can be read"):
        run(images, tmp_path / "out", skip_bad=True)


def test_features_must_be_finite(images, tmp_path):
    class Overflows(nn.Module):
        def forward(self, found):
            return found.mean((2, 3)) * 3e6

    network = Backbone(Overflows(), {})
    with pytest.raises(InputError, match=r"class2/2.png: its features hold NaN.*float32 may hold"):
        run(images, tmp_path / "out", network, dtype="float16")
    run(images, tmp_path / "other", network)


def test_a_damaged_batch_is_named(images, tmp_path):
    images.paths[0].write_bytes(b"")
    with pytest.raises(InputErrors):
        run(images, tmp_path / "out")
    part = tmp_path / "out" / ".features" / "000000004.npz"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(InputError, match=r"000000004.npz: not a batch of features.*; remove it"):
        run(images, tmp_path / "out", skip_bad=True)
    part.unlink()
    assert run(images, tmp_path / "out", skip_bad=True)["images"] == 9


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_gpu_gives_the_same_features(images, tmp_path, dtype):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = nn.Sequential(*layers).eval()
    found = []
    for device in (CPU, torch.device("cuda")):
        where = Backbone(network.to(device), {})
        extract(images, tmp_path / device.type, where, PLAIN, device=device, batch=4, dtype=dtype)
        with np.load(tmp_path / device.type / extraction.RESULT) as file:
            found.append(file["features"].astype(np.float32))
    # 27 products and a mean in float32; float16 keeps 11 binary digits
    rounding = float32_bound(27 + 20) if dtype == "float32" else 2e-3
    np.testing.assert_allclose(*found, rtol=0, atol=rounding)
