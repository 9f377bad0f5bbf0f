"""Run folders that hold valid files of other content: each is one line in the report."""

import io
import json

import numpy as np
import pytest
import yaml

from cizsl.cli.parser import main
from cizsl.report.html import page
from cizsl.report.runs import collect
from tests.helpers.run_folders import write_run

DEEP = "[" * 100_000
OTHER = ["", "7", "null", "[1]", '"text"', "1e308", '{"a": {"b": [1]}}', DEEP, "\x00", "é" * 1000]
NOT_NEEDED = [("config.yaml", ""), ("config.yaml", "null"), ("environment.json", OTHER[6])]
WRONG = {
    "seed": [-1, 1e308, "x", None, [0]],
    "seconds": [-1, 1e308, "long", {}],
    "iterations": [10**30, -1, 0.5],
    "dataset": ["../CUB", 7, "x" * 5000 + "/"],
    "method": [7, None, "m" * 2000],
    "metrics": [7, [], {"final": 3}, {"final": {"top1": 2}}],
    "feature_dim": ["many", -3, 1e400],
    "unseen_classes": [0, -1, "few"],
    "creativity": [3, "high"],
    "chosen": [4, ["a"]],
}


@pytest.mark.parametrize("name", ["results.json", "environment.json", "config.yaml"])
@pytest.mark.parametrize("content", OTHER)
def test_other_content_leaves_the_run_out_or_is_not_needed(tmp_path, name, content):
    write_run(tmp_path / "good", seed=1)
    (write_run(tmp_path / "bad") / name).write_text(content)
    bad, good = collect([tmp_path])
    assert good.summary is not None
    if (name, content) not in NOT_NEEDED:
        assert bad.results is None and "\n" not in bad.note and len(bad.note) < 1500
    assert page([bad, good]).endswith("</html>\n")


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in WRONG.items() for v in values])
def test_a_wrong_value_is_named(tmp_path, key, value):
    folder = write_run(tmp_path / "run")
    summary = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**summary, key: value}))
    (run,) = collect([folder])
    assert run.results is None and f"results.json: {key}" in run.note
    assert "\n" not in run.note and len(run.note) < 1500


@pytest.mark.parametrize("content", OTHER)
def test_other_content_of_a_log_is_no_progress(tmp_path, content):
    tmp_path.joinpath("config.yaml").write_text("seed: 0\n")
    tmp_path.joinpath("metrics.jsonl").write_text(content)
    (run,) = collect([tmp_path])
    assert run.note.startswith("unfinished: no evaluation yet")


def archive(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


CURVES = {
    "text": b"text",
    "other": archive(other=np.zeros((2, 3))),
    "number": archive(best_on_test=np.float64(1)),
    "shape": archive(best_on_test=np.zeros((3, 2))),
    "empty": archive(best_on_test=np.zeros((2, 0))),
    "range": archive(best_on_test=np.full((2, 3), 1e308)),
    "nan": archive(best_on_test=np.full((2, 3), np.nan)),
    "words": archive(best_on_test=np.array([["a"], ["b"]])),
    "objects": archive(best_on_test=np.array([[{}], [{}]])),
    "large": archive(best_on_test=np.zeros((2, 2**23))),
}


@pytest.mark.parametrize("kind", CURVES)
def test_other_content_of_the_curves_is_one_line(tmp_path, capsys, kind):
    (write_run(tmp_path / "run") / "curves.npz").write_bytes(CURVES[kind])
    assert main(["table", str(tmp_path), "--html", str(tmp_path / "page.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "curves.npz: " in line and not (tmp_path / "page.html").exists()


def exit_code(arguments):
    try:
        return main(arguments)
    except SystemExit as stop:  # of argparse
        return stop.code


@pytest.mark.parametrize("name", ["x" * 300, "a\udc80", "~nosuchuser/runs", "none"])
@pytest.mark.parametrize("option", ["--html", "--csv", "--latex", "--compare", "path"])
def test_paths_no_file_has_are_one_line(tmp_path, capsys, monkeypatch, name, option):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "a")
    arguments = {"path": [name], "--compare": ["runs", "--compare", "runs/a", name]}
    if option in ("--html", "--csv", "--latex") and name not in ("x" * 300,):
        return  # a file of this name can be written
    assert exit_code(["table", *arguments.get(option, ["runs", option, name])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cizsl") and ": error: " in line


def test_a_configuration_of_another_program_is_named(tmp_path):
    tmp_path.joinpath("config.yaml").write_text(yaml.safe_dump({"sampler": {"steps": 3}}))
    (run,) = collect([tmp_path])
    assert run.note == "not a run of cizsl: it sets sampler"
