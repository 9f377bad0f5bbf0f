"""The public names of the package, and training from Python as the README shows it."""

import json
import subprocess
import sys

import pytest

import cizsl
from repro.errors import InputError
from tests.helpers.waiting import ENOUGH


def test_importing_the_package_imports_no_torch():
    code = "import sys, cizsl; sys.exit('torch' in sys.modules or not cizsl.__version__)"
    assert subprocess.run([sys.executable, "-c", code], timeout=ENOUGH).returncode == 0


@pytest.mark.parametrize("name", cizsl.__all__)
def test_public_names_are_there(name):
    assert getattr(cizsl, name).__doc__


def test_training_by_name(toy, tmp_path):
    settings = {"data.root": str(toy), "optimiser.iterations": 21, "evaluation.start": 20}
    settings |= {"model.hidden_dim": 32, "creativity.mixing": (0.3, 0.7)}
    result = cizsl.train("toy_cub_easy", settings, out=tmp_path / "mine", device="cpu")
    written = json.loads((tmp_path / "mine" / "results.json").read_text())
    assert result.metrics == written["metrics"]
    assert 0 <= result.metrics["final"]["top1"] <= 1 and result.summary["iterations"] == 21
    assert result.config.creativity.mixing == (0.3, 0.7)
    assert "\n" not in repr(result) and "CUB easy" in repr(result)
    again = cizsl.train("toy_cub_easy", settings, out=tmp_path / "mine", resume=True)
    assert again == result
    with pytest.raises(InputError, match="holds a run already"):
        cizsl.train("toy_cub_easy", settings, out=tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("toy_cub_esy", {}, "did you mean 'toy_cub_easy'"),
        ("toy_cub_easy", {"optimiser.iteration": 5}, "did you mean 'optimiser.iterations'"),
        ("toy_cub_easy", {"data.dataset": None}, "data.dataset"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(tmp_path, name, settings, said):
    with pytest.raises(InputError, match=said):
        cizsl.train(name, settings, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
