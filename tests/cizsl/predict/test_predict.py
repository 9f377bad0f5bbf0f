"""Predictions of features: the recorded accuracies come back from names and numbers."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import scipy.io
import torch

import cizsl
from cizsl import build
from cizsl.cli.parser import main
from cizsl.predict import api
from cizsl.training import fit_baselines
from repro.config import load as load_config
from repro.errors import InputError
from repro.run import RunFolder
from tests.cizsl.training.runs import CPU, run

STRICT = "configs/cizsl/toy/toy_cub_easy_strict.yaml"
TINY = ["model.hidden_dim=16", "model.text_embed_dim=8", "optimiser.batch_size=64"]
TINY += ["optimiser.iterations=1", "evaluation.start=0", "optimiser.critic_steps=1"]
TINY += ["evaluation.samples=4", "score.hidden_dim=8", "score.evaluations=2"]


def over_classes(predicted, labels):
    return np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)])


def make(toy, path, *values):
    """A finished run; `baseline=NAME` is one of a baseline."""
    name = next((v.split("=")[1] for v in values if v.startswith("baseline=")), None)
    given = [f"data.root={toy}", *TINY, *(v for v in values if not v.startswith("baseline="))]
    config = load_config(STRICT, build.CIZSLConfig, given)
    if name is None:
        return run(config, path)
    with RunFolder(path, build.baseline(config, name)) as folder:
        return fit_baselines.fit(folder.settings, folder, CPU)


@pytest.mark.parametrize(
    "values",
    [
        ["generator=gan"],
        ["generator=gaussian", "evaluation.generalised=classifier", "data.normalisation=minmax"],
        ["generator=score", "evaluation.classifier=diffusion", "evaluation.generalised=classifier"],
        ["baseline=ridge"],
        ["baseline=gaussian"],
    ],
    ids=" ".join,
)
def test_the_recorded_accuracies_come_back(toy, tmp_path, values):
    """Raw features of the data give the accuracies that the run measured on its own tensors."""
    scores = make(toy, tmp_path / "run", *values)["metrics"]["selected"]
    model = cizsl.load(tmp_path / "run", device="cpu")
    data = model.data
    found = model.predict(data.test_features, top=1)
    labels = data.test_labels + data.num_seen
    unseen = over_classes(found.classes[:, 0].numpy(), labels)
    assert unseen == pytest.approx(scores["calibrated_unseen"], abs=1e-12)
    names = np.array(data.names)[found.classes[:, 0].numpy()]
    assert [row[0] for row in found.names] == names.tolist()
    task = build.task(model.config, data, "test", CPU)  # its images of seen classes are held out
    normalised = build.normaliser(model.config, data, CPU)(torch.from_numpy(data.train_features))
    held = torch.cdist(task.seen_features, normalised).argmin(1)
    chosen = model.predict(data.train_features[held.numpy()], top=1).classes[:, 0].numpy()
    seen = over_classes(chosen, task.seen_labels.numpy())
    assert seen == pytest.approx(scores["calibrated_seen"], abs=1e-12)


def test_scores_are_those_of_the_run_with_the_offset(finished_strict):
    model = cizsl.load(finished_strict)
    found = model.predict(model.data.test_features[:9], top=1000)
    assert found.classes.shape == (9, len(model.class_names)) and len(found) == 9
    assert (found.scores.diff(dim=1) <= 0).all()
    task = build.task(model.config, model.data, "test", CPU)
    expected = model.run.answers(task).score(task.unseen_features[:9]).double()
    expected[:, model.num_seen :] += json.loads((finished_strict / "results.json").read_text())[
        "offset"
    ]
    at = expected.gather(1, found.classes)
    # the same float32 products in blocks of other sizes
    torch.testing.assert_close(found.scores, at, rtol=0, atol=1e-5)
    assert found.is_unseen.sum(1).tolist() == [len(model.class_names) - model.num_seen] * 9


def test_blocks_do_not_change_the_answers(finished_strict, monkeypatch):
    model = cizsl.load(finished_strict)
    whole = model.predict(model.data.test_features[:50])
    monkeypatch.setattr(api, "BLOCK_ENTRIES", 7 * model.feature_dim)
    source = api.FeatureSource(api.Features.unnamed(model.data.test_features[:50]), 7)
    parts = list(model.predictions(source))
    assert [len(part) for part in parts] == [7] * 7 + [1] and model._block_size == 7
    assert torch.equal(torch.cat([part.classes for part in parts]), whole.classes)


def test_every_form_of_file_gives_the_same(finished_strict, tmp_path, capsys):
    model = cizsl.load(finished_strict)
    features = model.data.test_features[:6].astype(np.float64)
    np.save(tmp_path / "a.npy", features)
    np.savez(tmp_path / "a.npz", features=features, image_names=np.array(list("uvwxyz")))
    scipy.io.savemat(tmp_path / "birds.mat", {"pfc_feat": features})
    scipy.io.savemat(tmp_path / "gbu.mat", {"features": features.T}, do_compression=True)
    scale = np.linspace(0.5, 1, features.shape[1])
    steps = np.round(features / scale).clip(-127, 127).astype(np.int8)
    np.savez(tmp_path / "compact.npz", features=steps, scale=scale)
    expected = model.predict(features)
    for name in ("a.npy", "a.npz", "birds.mat", "gbu.mat"):
        found = model.predict(tmp_path / name)
        assert torch.equal(found.classes, expected.classes), name
        assert found.items[0] == ("u" if name == "a.npz" else "row 0")
    compact, units = model.predict(tmp_path / "compact.npz"), model.predict(steps * scale)
    assert torch.equal(compact.classes, units.classes)
    assert main(["predict", str(finished_strict), str(tmp_path / "a.npz"), "--top", "1"]) == 0
    first, line, *_ = capsys.readouterr().out.splitlines()
    assert "chosen on validation classes" in first
    assert line.startswith(f"u: {expected.names[0][0]} (")


def test_a_csv_file_is_written_whole_or_not_at_all(finished_strict, tmp_path, capsys, monkeypatch):
    model, out = cizsl.load(finished_strict), tmp_path / "new" / "predictions.csv"
    features = model.data.test_features[:20].copy()
    np.save(tmp_path / "good.npy", features)
    command = [
        "predict",
        str(finished_strict),
        str(tmp_path / "good.npy"),
        "--top=2",
        f"--out={out}",
    ]
    assert main(command) == 0
    rows = list(csv.DictReader(out.open()))
    found = model.predict(features, top=2)
    assert [row["class"] for row in rows] == [name for names in found.names for name in names]
    assert [float(row["score"]) for row in rows] == pytest.approx(found.scores.ravel(), rel=1e-8)
    assert [row["rank"] for row in rows] == ["1", "2"] * 20
    before = out.read_bytes()
    features[-1, 3] = np.nan
    np.save(tmp_path / "good.npy", features)
    monkeypatch.setattr(api, "BLOCK_ENTRIES", model.feature_dim)  # one item at a time
    capsys.readouterr()
    assert main(command) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cizsl")]
    assert said == ["cizsl: error: 'row 19': its features hold NaN or infinities"]
    assert out.read_bytes() == before and len(os.listdir(out.parent)) == 1


def test_a_run_that_recorded_no_offset_finds_it_again(finished_strict, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(finished_strict, folder)
    results = json.loads((folder / "results.json").read_text())
    recorded = results.pop("offset")
    (folder / "results.json").write_text(json.dumps(results))
    assert cizsl.load(folder).offset == recorded != 0


def test_the_reference_protocol_has_no_offset(tiny, tmp_path, capsys):
    run(tiny(generator="gaussian"), tmp_path / "run")
    model = cizsl.load(tmp_path / "run")
    assert model.offset == 0 and "Gaussian generator" in repr(model)
    np.save(tmp_path / "one.npy", model.data.test_features[:1])
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "one.npy")]) == 0
    assert "has no validation classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.npy", None, "cannot be read: No such file"),
        ("none", None, "no such file or folder"),
        ("text.txt", b"x", "expected features (.npy, .npz, .mat), an image, or a folder"),
        ("text.npy", b"x", "not an array of numbers"),
        ("text.npz", b"x", "not an .npz file"),
        ("text.mat", b"x", "cut short, or damaged"),
        ("folder", None, "no image in this folder"),
        ("flat.npy", np.zeros(4), "expected numbers (N, "),
        ("words.npy", np.array([["a"]]), "expected numbers (N, "),
        ("wide.npy", np.zeros((2, 3)), "features of each item"),
        ("empty.npy", None, "no item"),
        ("other.npz", {"x": np.zeros(2)}, "no array features (N, D); arrays in the file: x"),
        ("other.mat", {"x": np.zeros((2, 2))}, "no variable pfc_feat or features"),
        ("bird.png", b"x", "its features were not made by `cizsl data images`"),
    ],
)
def test_bad_input_is_one_line(finished_strict, tmp_path, name, content, said):
    model, path = cizsl.load(finished_strict), tmp_path / name
    (tmp_path / "folder").mkdir()
    if name == "empty.npy":
        content = np.zeros((0, model.feature_dim))
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, dict):
        np.savez(path, **content) if path.suffix == ".npz" else scipy.io.savemat(path, content)
    with pytest.raises(InputError) as error:
        model.predict(path)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value) or name == "bird.png"


def test_other_arrays_and_folders_are_refused(finished_strict, tmp_path, capsys):
    model = cizsl.load(finished_strict)
    with pytest.raises(InputError, match="expected features"):
        model.predict(np.zeros((2, model.feature_dim + 1)))
    few = {"features": np.zeros((2, model.feature_dim)), "image_names": np.array(["one"])}
    np.savez(tmp_path / "few.npz", **few)
    with pytest.raises(InputError, match=r"few.npz: names: expected 2 strings, got <U3 \(1,\)"):
        model.predict(tmp_path / "few.npz")
    with pytest.raises(InputError, match="NaN or infinities"):
        model.predict(torch.full((1, model.feature_dim), 1e39, dtype=torch.float64))
    with pytest.raises(InputError, match="no finished run"):
        cizsl.load(tmp_path)
    assert main(["predict", str(finished_strict), str(tmp_path / "none.npy")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert main(["predict", str(finished_strict), str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "expected the name of a file to write" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["predict", str(finished_strict), "x.npy", "--top", "0"])
    assert "expected a whole number from 1" in capsys.readouterr().err
