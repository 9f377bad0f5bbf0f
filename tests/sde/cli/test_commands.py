"""Commands that only look, the forms of tables, help texts, and samplers of one's own."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest

from sde.cli.parser import main, parser
from sde.evaluation.evaluate import evaluate
from sde.trained_model import load
from tests.sde.conftest import CPU

PLUGIN = """
from sde.samplers.base import Predictor
from sde.samplers.ddim import move_along, predicted_noise


class Mine(Predictor):
    stochastic = False

    def step(self, x, transition, z):
        noise = predicted_noise(self.score_fn, x, transition.t, transition.std_t)
        x = move_along(noise, x, transition)
        return x, x
"""


def subcommands(command):
    """Every command below a parser, with the words that call it."""
    for action in command._actions:
        for name, below in (action.choices or {}).items() if action.nargs == "A..." else ():
            inner = list(subcommands(below))
            yield from ([name, *words] for words in inner)
            if not inner:
                yield [name]


COMMANDS = list(subcommands(parser()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example_that_is_understood(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "usage: sde" in said
    example = said.split("example:\n")[1].split(">")[0].split()
    assert example[: 1 + len(words)] == ["sde", *words]
    options, rest = parser().parse_known_args(example[1:])
    assert callable(options.run) and all("=" in text for text in rest)


def test_the_commands_are_all_found():
    assert ["data", "download"] in COMMANDS and ["config", "new"] in COMMANDS and len(COMMANDS) > 14


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["smaple", "x"], "did you mean 'sample'"),
        (["train", "eight_gausians"], "did you mean 'eight_gaussians'"),
        (["train", "toy_cub_easy"], "a configuration of cizsl, not of sde"),
        (["train", "eight_gaussians", "--seed", "1"], "write seed=1 (see"),
        (["train", "eight_gaussians", "sampling.sampler=huen"], "did you mean 'heun'"),
        (["train", "eight_gaussians", "optimiser.iteration=1"], "'optimiser.iterations'"),
        (["data", "download", "minst"], "did you mean 'mnist'"),
        (["sample", "RUN", "--steps", "9" * 400], "--steps: expected a whole number from 1 to"),
        (["sample", "RUN", "-n", str(10**18)], "-n: expected a whole number from 1 to"),
        (["sample", "RUN", "--strength", "1e300"], "--strength: expected a number from 0 to"),
        (["sample", "RUN", "--strength", "nan"], "--strength: expected a number from 0 to"),
        (["sample", "a\0b"], "expected a path, which holds no NUL"),
        (["sample", "~nosuchuser/run"], "no such user"),
        (["table", "x" * 300], "a name of 300 bytes"),
        (["samplers", "math:sin"], "expected a class that extends Predictor or Corrector"),
        (["samplers", "nowhere.at_all:Mine"], "cannot be imported"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_write(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1 and said in lines[0]
    assert not os.listdir()


@pytest.fixture
def evaluated(plane_run, tmp_path):
    few = ["evaluation.samples=20", "evaluation.likelihoods=5", "evaluation.compare=[]"]
    evaluate(load(plane_run, CPU, few), tmp_path / "run")
    return tmp_path


def test_tables_in_every_form_say_the_same(evaluated, capsys):
    files = {form: evaluated / f"table.{form}" for form in ("html", "csv", "latex")}
    options = [text for form, file in files.items() for text in (f"--{form}", str(file))]
    assert main(["table", str(evaluated), *options]) == 0
    said, content = capsys.readouterr().out, {f: p.read_text() for f, p in files.items()}
    results = json.loads((evaluated / "run" / "results.json").read_text())["evaluation"]
    bits = results["likelihood"]["bits_per_dim"]
    energy = results["distances"]["energy_distance"]["value"]
    assert f"{bits:.4f} ± " in said and f"{energy:.4g}" in said
    assert f"{bits:.4f}" in content["html"] and f"has {bits:.4f} bits per dim" in content["html"]
    assert f"{bits:.4f} $\\pm$" in content["latex"] and "\\toprule" in content["latex"]
    rows = list(csv.DictReader(io.StringIO(content["csv"])))
    assert [row["bits per dimension"] for row in rows] == ["", f"{bits:.4f}"]
    assert rows[0]["energy distance"] == f"{energy:.4g}"


def test_likelihood_writes_nothing(plane_run, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = sorted(plane_run.rglob("*"))
    assert main(["likelihood", str(plane_run), "evaluation.likelihoods=3"]) == 0
    assert "bits per dimension" in capsys.readouterr().out
    assert sorted(plane_run.rglob("*")) == before and not os.listdir()


def test_shapes_are_compared_before_anything_is_fetched(plane_run, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["likelihood", str(plane_run), "--data", "mnist"]) == 2
    assert "its examples have shape (1, 28, 28)" in capsys.readouterr().err
    assert not os.listdir()


def test_a_solver_of_ones_own(plane_run, tmp_path, monkeypatch, capsys):
    """The scheme of ddim under another name draws the samples of ddim."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schemes_of_a_test.py").write_text(PLUGIN)
    name = "schemes_of_a_test:Mine"
    try:
        assert main(["samplers", name]) == 0
        assert f"solver     {name} schemes_of_a_test.py" in capsys.readouterr().out
        drawn = []
        for sampler in ("ddim", name):
            command = ["sample", str(plane_run), "--sampler", sampler, "--steps", "4", "-n", "6"]
            assert main([*command, "--out", str(tmp_path / sampler[:4])]) == 0
            (file,) = (tmp_path / sampler[:4]).glob("*.npz")
            drawn.append(np.load(file)["x"])
        assert np.array_equal(*drawn)
    finally:
        sys.modules.pop("schemes_of_a_test", None)
