"""The toy configurations run from an empty folder: their data are made once."""

import pytest

import cizsl
from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from cizsl.training import toy_data
from repro import locate

SHORT = {
    "optimiser.iterations": 2,
    "optimiser.batch_size": 32,
    "evaluation.start": 0,
    "evaluation.every": 2,
    "model.hidden_dim": 8,
    "model.text_embed_dim": 8,
}


def test_a_toy_configuration_trains_in_an_empty_folder(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    result = cizsl.train("toy_cub_easy", SHORT, out="runs/mine", device="cpu")
    assert 0 <= result.metrics["final"]["top1"] <= 1
    assert "data/toy: making invented data" in capfd.readouterr().err
    made = (tmp_path / "data/toy/CUB2011/labels_train.pkl").stat().st_mtime_ns
    values = [f"{key}={value}" for key, value in SHORT.items()]
    assert main(["train", "toy_nab_hard", *values, "--device", "cpu"]) == 0
    assert "making" not in capfd.readouterr().err
    assert (tmp_path / "data/toy/CUB2011/labels_train.pkl").stat().st_mtime_ns == made


def test_the_toy_attributes_are_made_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_data.make_if_missing(locate.load("toy_gbu", "cizsl", CIZSLConfig, []).data)
    assert (tmp_path / "data/toy/AWA2/att_splits.mat").is_file()


@pytest.mark.parametrize("change", ["data.root=data", "data.dataset=finches", "data.layout=npz"])
def test_other_data_are_never_invented(change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_data.make_if_missing(locate.load("toy_cub_easy", "cizsl", CIZSLConfig, [change]).data)
    assert not list(tmp_path.iterdir())
