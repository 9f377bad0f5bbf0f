"""FID through a stand-in for torch-fidelity, and tables that keep unlike numbers apart."""

import json
import sys
import types

import numpy as np
import pytest
import torch

from repro.errors import InputError
from sde.cli.parser import main
from sde.data.dataset import DataSpec, Split
from sde.data.quantisation import Quantisation
from sde.evaluation.evaluate import evaluate
from sde.evaluation.fid import fid, to_bytes, to_grey_levels
from sde.evaluation.table import find, make_tables, text
from sde.trained_model import load
from tests.helpers.oracles_sde import generator
from tests.sde.conftest import CPU

pytestmark = pytest.mark.usefixtures("undrawn")

CALLS = []


def stand_in(input1, input2, **how):
    """Frechet distance of the mean colour of each image, by definition, in one dimension."""
    CALLS.append((input1, input2, how))
    pair = [[images[i] for i in range(len(images))] for images in (input1, input2)]
    features = [np.array([image.double().mean().item() for image in images]) for images in pair]
    means, spreads = [x.mean() for x in features], [x.std(ddof=1) for x in features]
    value = (means[0] - means[1]) ** 2 + (spreads[0] - spreads[1]) ** 2
    return {
        "frechet_inception_distance": value,
        "inception_score_mean": 2.0,
        "inception_score_std": 0.5,
    }


@pytest.fixture
def fidelity(monkeypatch):
    module = types.ModuleType("torch_fidelity")
    module.calculate_metrics = stand_in
    monkeypatch.setitem(sys.modules, "torch_fidelity", module)
    CALLS.clear()


def grey(count, levels, seed=0):
    values = torch.randint(0, levels.grey_levels, (count, 1, 4, 4), generator=generator(seed))
    return Split(DataSpec("grey", (1, 4, 4), levels), values.to(torch.uint8))


def test_images_become_bytes():
    levels = Quantisation(-1, 1, 17)
    values = torch.arange(17, dtype=torch.uint8).reshape(1, 1, 1, 17)
    found = to_bytes(values, levels).flatten()
    assert found[0] == 0 and found[8] == 128 and found[16] == 255 and found.dtype == torch.uint8
    wide = torch.arange(256).reshape(1, 1, 16, 16)
    assert torch.equal(to_bytes(wide, Quantisation(0, 1, 256)).long(), wide)


@pytest.mark.parametrize("dequantise", [True, False])
@pytest.mark.parametrize("count", [17, 256])
def test_levels_as_they_are_drawn_for_training_come_back(count, dequantise):
    """So data compared with themselves have FID 0; beyond the range are the end levels."""
    spec = DataSpec("grey", (1, 1, count), Quantisation(-1, 1, count))
    values = torch.arange(count).reshape(1, 1, 1, count)
    split = Split(spec, values, dequantise=dequantise)
    for seed in range(20):
        assert torch.equal(to_grey_levels(split.draw(1, generator(seed)), split).long(), values)
    ends = to_grey_levels(torch.tensor([-3.0, 3.0]), split)
    assert ends.tolist() == [0, count - 1]


def test_the_library_gets_three_channels_of_bytes_and_the_right_pair(fidelity):
    levels = Quantisation(-1, 1, 17)
    real, fake = grey(40, levels), 2 * torch.rand(30, 1, 4, 4, generator=generator(1)) - 1
    found = fid(fake, real, device=CPU)
    first, second, how = CALLS[0]
    assert len(first) == 30 and len(second) == 40 and how["fid"] and how["isc"] and not how["cuda"]
    assert first[0].shape == (3, 4, 4) and first[0].dtype == torch.uint8
    assert torch.equal(second[5][2], to_bytes(real.values, levels)[5, 0])
    mean = [
        to_bytes(images, levels).double().mean((1, 2, 3))
        for images in (to_grey_levels(fake, real), real.values)
    ]
    expected = (mean[0].mean() - mean[1].mean()) ** 2 + (mean[0].std() - mean[1].std()) ** 2
    assert found["value"] == pytest.approx(expected.item(), rel=1e-9)
    assert found["samples"] == 30 and found["reference_images"] == 40


def test_the_protocol_is_recorded_and_unlike_numbers_stand_apart(fidelity, digits_run, tmp_path):
    def measured(name, *overrides):
        trained = load(digits_run, CPU, ["evaluation.compare=[ddim]", *overrides])
        evaluate(trained, tmp_path / name)
        file = tmp_path / name / "results.json"
        run = json.loads((digits_run / "results.json").read_text())
        file.write_text(json.dumps(run | json.loads(file.read_text())))
        return json.loads(file.read_text())["evaluation"]

    one = measured("a", "evaluation.fid=40")
    measured("b", "evaluation.fid=40", "sampling.steps=7")
    measured("c", "evaluation.fid=30", "evaluation.probes=1")
    protocol = {"samples": 40, "reference": "train", "reference_images": 1500, "nfe": 51}
    assert protocol.items() <= one["fid"].items()
    assert "FID " in (tmp_path / "a" / "page.html").read_text()
    assert one["weights"] == "ema" and one["final_denoising"] and one["sampler"]
    said = text(make_tables(find([tmp_path])), "markdown")
    parts = {part.split("\n")[0].split(" of digits")[0]: part for part in said.split("\n\nFID")}
    assert said.count("FID of 40 samples against 1500 images") == 1, "a and b share a table"
    assert said.count("FID of 30 samples") == 1 and len(parts) == 3
    assert said.count("Likelihood of 20 held-out examples") == 2, "2 probes and 1 probe are unlike"
    other = json.loads((tmp_path / "b" / "results.json").read_text())["evaluation"]["fid"]
    lines = [[cell.strip() for cell in line.split("|")] for line in said.splitlines()]
    expected = ["vp", "mlp", "ema", "dpm_solver_pp_2m", "8", f"{other['value']:.3f}", "2.00 ± 0.50"]
    assert any(line[1].endswith("/b") and line[2:-1] == expected for line in lines if line[1:])


def test_bad_requests(monkeypatch, tmp_path, plane_run, capsys):
    levels = Quantisation(-1, 1, 17)
    fake = torch.zeros(4, 1, 4, 4)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(InputError, match="torch-fidelity"):
        fid(fake, grey(4, levels), device=CPU)
    module = types.ModuleType("torch_fidelity")

    def offline(**_):
        raise OSError("no network")

    module.calculate_metrics = offline
    monkeypatch.setitem(sys.modules, "torch_fidelity", module)
    with pytest.raises(InputError, match=r"no network.*fid_weights"):
        fid(fake, grey(4, levels), device=CPU)
    with pytest.raises(InputError, match="no such file"):
        fid(fake, grey(4, levels), device=CPU, weights=tmp_path / "none.pth")
    with pytest.raises(InputError, match="FID needs images"):
        fid(fake, load(plane_run, CPU).data.train, device=CPU)
    asked = ["evaluate", str(plane_run), "--out", str(tmp_path / "out"), "evaluation.fid=10"]
    monkeypatch.setattr(
        "sde.evaluation.evaluate.draw", None
    )  # not called: refused before any sample is drawn
    assert main(asked) == 2
    assert "FID needs images" in capsys.readouterr().err and not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("[1, 2]")
    assert main(asked[:-1]) == 2
    assert "results.json: expected a JSON object" in capsys.readouterr().err
    assert main(["table", str(plane_run)]) == 2
    assert "no evaluated run" in capsys.readouterr().err
    assert main(["table", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "evaluation", [{}, 5, {"data": "x", "data_sha256": 7}, {"data": "x", "data_sha256": {}}]
)
def test_strange_results_are_one_line(tmp_path, capsys, evaluation):
    file = tmp_path / "results.json"
    run = {"evaluation": evaluation, "process": "vp", "network": "mlp"}
    deep = b'{"evaluation":' + b"[" * 100_000
    for content in (json.dumps(run).encode(), b"5", b"null", b"\xff", deep, b"[]", b'{"a": 1e308}'):
        file.write_bytes(content)
        assert main(["table", str(tmp_path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
