"""The command line as a user meets it: exit codes, one clear line for each mistake, resumption."""

import json
import signal
from pathlib import Path

import pytest

from cizsl.cli.parser import main
from tests.helpers.forked import Forked
from tests.helpers.waiting import ENOUGH, wait_for

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "cizsl"
TINY = [
    "model.hidden_dim=16",
    "model.text_embed_dim=8",
    "optimiser.batch_size=64",
    "optimiser.iterations=5",
    "evaluation.start=2",
    "evaluation.every=2",
]


@pytest.fixture
def arguments(toy):
    return [str(CONFIGS / "toy" / "toy_cub_easy.yaml"), f"data.root={toy}", *TINY]


def test_train_evaluate_table(arguments, tmp_path, capsys):
    run, page = tmp_path / "run", tmp_path / "table.html"
    assert main(["train", *arguments, "--out", str(run), "--device", "cpu"]) == 0
    assert "CIZSL on CUB easy (toy), reference protocol: top-1" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    final = json.loads((run / "results.json").read_text())["metrics"]["final"]
    assert f"{100 * final['top1']:7.3f}" in capsys.readouterr().out
    numbers = tmp_path / "table.csv"
    assert main(["table", str(tmp_path), "--html", str(page), "--csv", str(numbers)]) == 0
    assert "TOY" in capsys.readouterr().out.upper() and page.stat().st_size > 1000
    (chance,) = [line for line in numbers.read_text().splitlines() if ",chance," in line]
    unseen = json.loads((run / "results.json").read_text())["unseen_classes"]
    assert f",{100 / unseen:.2f}" in chance
    assert main(["train", *arguments, "--out", str(run), "--resume", "--device", "cpu"]) == 0
    assert "complete already" in capsys.readouterr().out
    (run / "results.json").write_text("3")
    assert main(["train", *arguments, "--out", str(run), "--resume", "--device", "cpu"]) == 2
    assert "results.json" in capsys.readouterr().err


def mistakes(toy, tmp_path):
    """(arguments, what the line must say)."""
    config = str(CONFIGS / "toy" / "toy_cub_easy.yaml")
    (tmp_path / "empty").mkdir(exist_ok=True)
    (tmp_path / "taken").write_text("")
    out = ["--out", str(tmp_path / "run")]
    return [
        (["train", "none.yaml"], "none.yaml: cannot be read"),
        (["train", str(tmp_path)], "expected a YAML file or the name of one, got a folder"),
        (["train", config, "optimser.iterations=5"], "did you mean 'optimiser"),
        (["train", config, "creativity.divergence=cosine", *out], "known: sharma_mittal, renyi"),
        (["train", config, f"data.root={tmp_path / 'empty'}", *out], "CUB2011"),
        (["train", config, f"data.root={toy}", "--device", "tpu", *out], "expected cpu or cuda"),
        (["train", config, "--out", str(tmp_path / "taken" / "x")], "cannot be written"),
        (["evaluate", str(tmp_path)], "holds no finished run"),
        (["table", str(tmp_path / "nowhere")], "nowhere"),
        (["sweep", config, f"data.root={toy}", "--out", str(tmp_path / "taken")], "taken: cannot"),
        (
            ["train", f"{CONFIGS}/birds/cub_easy.yaml", "creativity.divergence=renyi"],
            "it used 0.9999",
        ),
        (["data", "verify", str(tmp_path / "nowhere")], "nowhere"),
        (["data", "inspect", str(tmp_path / "nowhere")], "nowhere"),
        (["sweeep"], "unknown command 'sweeep'; did you mean 'sweep'?"),
        ([], "the following arguments are required: COMMAND"),
        (["train"], "the following arguments are required: CONFIG (see"),
        (["evaluate", str(tmp_path), "--split", "train"], "expected val or test, got 'train'"),
    ]


@pytest.mark.parametrize("number", range(17))
def test_every_mistake_is_one_line_and_exit_code_2(toy, tmp_path, capsys, number):
    arguments, expected = mistakes(toy, tmp_path)[number]
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse
        code = stop.code
    captured = capsys.readouterr()
    said = (captured.err + captured.out).strip()
    assert code == 2, said
    assert expected in said
    lines = 2 if "verify" in arguments else 1  # verify lists every finding, then counts them
    assert "Traceback" not in said and len(said.splitlines()) == lines, said


def test_nothing_is_left_of_a_run_that_could_not_start(toy, tmp_path):
    """Bad data after a good configuration: the folder does not block the corrected command."""
    config, run = str(CONFIGS / "toy" / "toy_cub_easy.yaml"), tmp_path / "run"
    bad = ["train", config, f"data.root={tmp_path}", *TINY, "--out", str(run), "--device", "cpu"]
    assert main(bad) == 2 and not run.exists()
    good = [f"data.root={toy}" if text.startswith("data.root") else text for text in bad]
    assert main(good) == 0


def test_overrides_may_stand_after_options(toy, tmp_path, capsys):
    config, run = str(CONFIGS / "toy" / "toy_cub_easy.yaml"), tmp_path / "run"
    where = [f"data.root={toy}", "--out", str(run), "--device", "cpu"]
    assert main(["train", config, *where, *TINY, "seed=4"]) == 0
    assert "seed: 4" in (run / "config.yaml").read_text()
    with pytest.raises(SystemExit) as stop:
        main(["train", config, "--out", str(run), "stray", "--sede=3"])
    assert stop.value.code == 2 and "write seed=3" not in capsys.readouterr().err


def test_help_of_every_command(capsys):
    for command in (["train"], ["evaluate"], ["table"], ["data", "verify"], ["config", "schema"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0 and "usage" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_resume(arguments, tmp_path, number):
    """The signal ends the process with code 130, after it has saved."""
    run = tmp_path / "run"
    command = ["train", *arguments, "optimiser.iterations=100000", "--out", str(run)]
    process = Forked(lambda: main([*command, "--device", "cpu"]), tmp_path)
    records = run / "metrics.jsonl"
    wait_for(lambda: records.exists() and records.read_text(), process)
    process.send_signal(number)
    said = process.said(ENOUGH)
    assert process.returncode == 130
    assert "go on with --resume" in said and "Traceback" not in said
    assert list((run / "checkpoints" / "test").glob("*.pt"))


def test_schema_and_show(arguments, capsys):
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False
    assert main(["config", "show", *arguments]) == 0
    assert "hidden_dim: 16" in capsys.readouterr().out


def test_data_commands(toy, tmp_path, capsys):
    assert main(["data", "cells", str(toy)]) == 0
    assert capsys.readouterr().out.split() == ["cub_easy", "cub_hard", "nab_easy", "nab_hard"]
    assert main(["data", "verify", str(toy)]) == 0
    assert main(["data", "toy", str(tmp_path / "again"), "--seed", "1"]) == 0
    assert main(["data", "inspect", str(tmp_path / "again")]) == 0
    assert "pfc_feat" in capsys.readouterr().out
    damaged = tmp_path / "again" / "CUB2011" / "pfc_feat_train.mat"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    assert main(["data", "verify", str(tmp_path / "again")]) == 2
    assert "pfc_feat_train.mat" in capsys.readouterr().out
