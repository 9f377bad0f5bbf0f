"""Predictions of images: those of the features that the same network made of them."""

import importlib
import json

import pytest
import torch
from PIL import Image

import cizsl
from cizsl import build
from repro.config import validate
from repro.errors import InputError
from tests.cizsl.prepare.pieces import IMAGES, SPLITS, TEXT, call
from tests.cizsl.training.runs import run

NETWORK = "network:network"


@pytest.fixture
def trained(place, capsys, request):
    """A dataset from articles and images, and a run on it; the layout may be another."""
    layout = getattr(request, "param", "published")
    for command in (TEXT, IMAGES, f"{SPLITS} --layout {layout}"):
        assert call(capsys, command)[0] == 0
    where = {"root": "data", "dataset": "coast", "layout": layout, "normalisation": "standardise"}
    values = {"data": where, "generator": "gaussian", "evaluation": {"validation_share": 0.4}}
    run(validate(values, build.CIZSLConfig, "test"), place / "run")
    return place


@pytest.mark.parametrize("trained", ["published", "npz"], indirect=True)
def test_images_are_predicted_as_their_features(trained):
    model = cizsl.load("run", device="cpu")
    expected = model.predict("data/coast/images.npz")
    found = model.predict("images", backbone=NETWORK)
    assert len(found) == 32 and found.items == sorted(expected.items)
    order = [expected.items.index(item) for item in found.items]
    assert torch.equal(found.classes, expected.classes[order])
    # float32 sums of the network in batches of 16 in place of 5, then scores of order 1
    torch.testing.assert_close(found.scores, expected.scores[order], rtol=0, atol=1e-5)
    one = model.predict(f"images/{found.items[7]}", backbone=NETWORK)
    assert one.items == [found.items[7].split("/")[1]]
    assert one.names[0] == found.names[7]
    image = Image.open(f"images/{found.items[7]}").convert("RGB").quantize(16)
    image.save("palette.png")
    image.convert("RGB").save("plain.png")
    pair = [model.predict(f"{name}.png", backbone=NETWORK) for name in ("palette", "plain")]
    assert torch.equal(pair[0].scores, pair[1].scores)


def test_another_network_is_refused(trained, capsys):
    record = json.loads((trained / "data/coast/images.json").read_text())
    code, said = call(capsys, "predict run images")
    assert code == 2 and said.endswith("--backbone says where it is") and "network:network" in said
    (trained / "other.py").write_text((trained / "network.py").read_text().replace("6, 4", "6, 3"))
    code, said = call(capsys, "predict run images --backbone other:network")
    assert code == 2 and "has other parameters than the one of the run's features" in said
    for place, value, expected in (
        ("preprocessing", {"parts": {}}, "squares around parts"),
        ("preprocessing", {"crop": 7}, "preprocessing: not settings of ours"),
        ("dtype", "int8", "plan.dtype"),
        ("backbone", {"name": "x"}, "parameters_sha256"),
    ):
        changed = record | {"plan": record["plan"] | {place: value}}
        (trained / "data/coast/images.json").write_text(json.dumps(changed))
        code, said = call(capsys, f"predict run images --backbone {NETWORK}")
        assert code == 2 and expected in said and said.count("\n") == 0, said
    (trained / "data/coast/images.json").write_text(json.dumps(record | {"feature_dim": 3}))
    assert "of 3 features; the run has 24" in call(capsys, "predict run images")[1]


def test_an_image_that_cannot_be_read(trained, capsys):
    bad = trained / "images" / "Big_Gull" / "0.png"
    bad.write_bytes(b"no image")
    command = f"predict run images --backbone {NETWORK} --out out.csv --top 1"
    code, said = call(capsys, command)
    assert code == 2 and f"{bad.relative_to(trained)}: cannot be read" in said
    assert "--skip-bad leaves it out" in said and not (trained / "out.csv").exists()
    code, said = call(capsys, f"{command} --skip-bad")
    assert code == 0 and "31 items" in said and str(bad.relative_to(trained)) in said
    assert len((trained / "out.csv").read_text().splitlines()) == 32


def test_weights_in_a_file(trained, capsys, tmp_path):
    """The file has to be given, and its weights have to be those of the features."""
    state = importlib.import_module("network").network().state_dict()
    torch.save(state, "weights.pt")
    torch.save({name: value + 1 for name, value in state.items()}, "others.pt")
    command = f"{IMAGES} --overwrite --weights weights.pt"
    assert call(capsys, command)[0] == 0
    assert call(capsys, f"{SPLITS} --overwrite")[0] == 0
    with pytest.raises(InputError, match="are not those of the run"):
        cizsl.load("run")
    config = build.CIZSLConfig.model_validate(
        {"data": {"root": "data", "dataset": "coast"}, "generator": "gaussian"}
    )
    run(config, tmp_path / "new")
    told = f"predict new images/Big_Gull --backbone {NETWORK}"
    assert "--weights says where they are" in call(capsys, told)[1]
    assert "has other parameters" in call(capsys, f"{told} --weights others.pt")[1]
    assert call(capsys, f"{told} --weights weights.pt")[0] == 0
