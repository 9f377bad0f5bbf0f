"""Finished runs are evaluated again."""

import json
import shutil

import pytest

from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from cizsl.training.evaluate_run import evaluate_again
from repro.config import validate
from repro.errors import InputError
from tests.cizsl.training.runs import CPU, run

pytestmark = pytest.mark.usefixtures("undrawn")


def test_evaluate_again_repeats_the_run(tiny, tmp_path):
    config = tiny(evaluation={"protocol": "strict"})
    summary = run(config, tmp_path / "run")
    scores = evaluate_again(tmp_path / "run", "test", CPU).scores
    assert scores == summary["metrics"]["selected"]
    validation = evaluate_again(tmp_path / "run", "val", CPU).scores
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    selection = [record for record in records if record["stage"] == "validation"]
    best = max(selection, key=lambda record: record["ausuc"])
    assert validation == {name: best[name] for name in validation}
    assert best["iteration"] + 1 == summary["iterations"]
    assert [r["iteration"] for r in records if r["stage"] == "test"] == [best["iteration"]]
    with pytest.raises(InputError, match="no finished run"):
        evaluate_again(tmp_path, "test", CPU)


def test_evaluate_says_where_the_weights_give_other_numbers(tiny, tmp_path, capsys):
    """The signs of some saved weights flip: the file is whole, the numbers are not."""
    folder = tmp_path / "run"
    run(tiny(evaluation={"protocol": "strict"}), folder)
    assert main(["evaluate", str(folder), "--device", "cpu"]) == 0
    assert "recorded other numbers" not in capsys.readouterr().out
    file = folder / "generator.safetensors"
    content = bytearray(file.read_bytes())
    signs = slice(-1, -4000, -4)  # the byte of sign and exponent, little-endian
    content[signs] = bytes(byte ^ 0x80 for byte in content[signs])
    file.write_bytes(content)
    assert main(["evaluate", str(folder), "--device", "cpu"]) == 1
    said = capsys.readouterr().out
    recorded = 100 * json.loads((folder / "results.json").read_text())["metrics"]["final"]["ausuc"]
    assert "the run itself recorded other numbers" in said and f"ausuc {recorded:.3f} %" in said


@pytest.mark.parametrize("name", ["results.json", "environment.json", "config.yaml"])
@pytest.mark.parametrize("content", ["7", "[]", "null", "[[[[", '{"metrics": 1e308}', "{}"])
def test_a_damaged_run_is_evaluated_with_one_line(tmp_path, finished, name, content):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / name).write_text(content)
    with pytest.raises(InputError) as error:
        evaluate_again(folder, "val", CPU)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """A finished run of the strict protocol, with a search."""
    values = {"data": {"root": str(toy)}, "model": {"hidden_dim": 8, "text_embed_dim": 8}}
    values |= {"optimiser": {"batch_size": 32, "iterations": 3, "critic_steps": 1}}
    values |= {"evaluation": {"start": 1, "every": 1, "samples": 2}}
    config = validate(values | {"search": {"model.noise_dim": [2, 3]}}, CIZSLConfig, "test")
    run(config, path := tmp_path_factory.mktemp("finished") / "run")
    return path


def test_a_searched_run_is_evaluated_with_what_it_selected(finished):
    for split in ("val", "test"):
        again = evaluate_again(finished, split, CPU)
        assert again.recorded.keys() == again.scores.keys() and not again.differing
