"""The command line as a user meets it: every command, help, and a signal that saves and stops."""

import json
import shutil
import signal

import numpy as np
import pytest

from sde.cli.parser import main
from sde.samplers import CORRECTORS, PREDICTORS, SOLVERS
from sde.samplers.spec import parse_sampler
from tests.helpers.forked import Forked
from tests.helpers.waiting import ENOUGH, wait_for
from tests.sde.cli.tiny import CONFIG, ROOT, TINY

SAMPLERS = [*SOLVERS, *PREDICTORS, "ode"]
SAMPLERS += [f"{predictor}+{corrector}" for predictor in PREDICTORS for corrector in CORRECTORS]
SAMPLERS = [name for name in SAMPLERS if name not in ("none", "none+none")]


def test_train_sample_likelihood_evaluate(tmp_path, capsys):
    run = tmp_path / "run"
    train = ["train", CONFIG, *TINY, "--out", str(run), "--device", "cpu"]
    assert main(train) == 0
    assert "mlp of " in capsys.readouterr().out
    assert main([*train, "--resume"]) == 0
    assert "complete already" in capsys.readouterr().out
    results = (run / "results.json").read_text()
    for content, said in (("3", "expected"), ("{}", "not the results of a run")):
        (run / "results.json").write_text(content)
        assert main([*train, "--resume"]) == 2
        assert said in capsys.readouterr().err
    (run / "results.json").write_text(results)
    assert main(["sample", str(run), "-n", "9", "--steps", "4"]) == 0
    assert "9 samples, 5 evaluations each" in capsys.readouterr().out
    assert np.load(run / "samples_dpm_solver_pp_2m_4.npz")["x"].shape == (9, 2)
    assert (run / "samples_dpm_solver_pp_2m_4.png").exists()
    few = "evaluation.likelihoods=10"
    assert main(["likelihood", str(run), few, "--data", "moons"]) == 0
    assert "moons: " in capsys.readouterr().out
    quick = [few, "evaluation.samples=50", "evaluation.compare=[heun]", "evaluation.budgets=[5]"]
    assert main(["evaluate", str(run), *quick]) == 0
    assert str(run / "page.html") in capsys.readouterr().out
    results = json.loads((run / "results.json").read_text())
    assert results["dataset"] == "eight_gaussians" and results["evaluation"]["likelihood"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_by_its_name(plane_run, tmp_path, name, capsys):
    command = ["sample", str(plane_run), "--sampler", name, "--steps", "3", "-n", "4"]
    assert main([*command, "--out", str(tmp_path), "sampling.rtol=1e-2", "sampling.atol=1e-2"]) == 0
    (file,) = tmp_path.glob("*.npz")
    assert np.isfinite(np.load(file)["x"]).all() and "4 samples" in capsys.readouterr().out


def test_a_checkpoint_file_is_a_model_too(plane_run, digits_run, tmp_path, capsys):
    """The same samples as from its run; its results go beside it, not into the run."""
    for run in (plane_run, digits_run):
        (file,) = (run / "checkpoints").glob("*.pt")
        copy = tmp_path / f"{run.name}.pt"
        shutil.copy(file, copy)
        out = tmp_path / run.name
        assert main(["sample", str(run), "--out", str(out), "-n", "3", "--steps", "3"]) == 0
        assert main(["sample", str(copy), "-n", "3", "--steps", "3"]) == 0
        name = "samples_dpm_solver_pp_2m_3.npz"
        one, other = (np.load(folder / name)["x"] for folder in (out, copy.with_suffix("")))
        assert np.array_equal(one, other)


def test_help_of_every_command(capsys):
    commands = (["train"], ["sample"], ["likelihood"], ["evaluate"], ["config", "schema"])
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0 and "usage" in capsys.readouterr().out


def test_samplers_lists_names_that_sample_takes_and_files_that_are_there(capsys):
    assert main(["samplers"]) == 0
    kinds = {"predictor": {}, "corrector": {}, "solver": {}}
    for line in capsys.readouterr().out.splitlines():
        kind, name, file, *_ = line.replace(";", " ").split()
        kinds[kind][name] = file
    assert {*kinds["predictor"], "none"} == {*PREDICTORS}
    assert {*kinds["corrector"], "none"} == {*CORRECTORS}
    assert {*kinds["solver"]} == {*SOLVERS, "ode"}
    for name in {**kinds["predictor"], **kinds["solver"]}:
        assert parse_sampler(name)
    assert all((ROOT / file).is_file() for files in kinds.values() for file in files.values())


def test_a_signal_saves_and_stops(tmp_path, capsys):
    """SIGTERM ends the process with code 130, and what it had can be used."""
    run = tmp_path / "run"
    arguments = ["train", CONFIG, *TINY, "optimiser.iterations=100000", "--out", str(run)]
    process = Forked(lambda: main([*arguments, "--device", "cpu"]), tmp_path)
    records = run / "metrics.jsonl"
    wait_for(lambda: records.exists() and records.read_text(), process)
    process.send_signal(signal.SIGTERM)
    said = process.said(ENOUGH)
    assert process.returncode == 130
    assert "go on with --resume" in said and "Traceback" not in said
    assert list((run / "checkpoints").glob("*.pt"))
    assert main(["sample", str(run), "-n", "2", "--steps", "2"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    assert "not finished; end it with --resume" in capsys.readouterr().err


def test_schema_and_show(capsys):
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False
    assert main(["config", "show", CONFIG, *TINY]) == 0
    assert "hidden_dim: 16" in capsys.readouterr().out
