"""Loggers: what reaches TensorBoard and Weights & Biases, and what is said where they are missing.

Neither needs to be installed: stand-ins with the few calls of each record what they are given.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from repro.errors import InputError
from repro.loggers import LOGGERS, make_logger

RECORD = {"iteration": 4, "loss": 0.5, "name": "run", "done": True}
NUMBERS = {"iteration": 4, "loss": 0.5}


class FakeWriter:
    """The calls of ``SummaryWriter`` that a logger makes."""

    def __init__(self, folder):
        self.folder, self.scalars, self.figures, self.closed = folder, [], [], False

    def add_scalar(self, *scalar):
        self.scalars.append(scalar)

    def add_figure(self, name, figure, step, close):
        self.figures.append((name, figure, step))

    def flush(self):
        return None

    def close(self):
        self.closed = True


def test_tensorboard_gets_numbers_and_figures(tmp_path, monkeypatch):
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = FakeWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    logger = make_logger("tensorboard", tmp_path, {})
    logger.log(RECORD, 4)
    logger.figure("samples", "a figure", 6)
    logger.close()
    writer = logger.writer
    assert writer.folder == tmp_path / "tensorboard"
    assert writer.scalars == [(name, value, 4) for name, value in NUMBERS.items()]
    assert writer.figures == [("samples", "a figure", 6)] and writer.closed


def test_wandb_gets_numbers_and_figures(tmp_path, monkeypatch):
    logged, begun = [], {}
    run = SimpleNamespace(log=lambda values, step: logged.append((step, values)), finish=list)

    def init(**settings):
        begun.update(settings)
        return run

    module = ModuleType("wandb")
    module.init, module.Image = init, lambda figure: ("image", figure)
    monkeypatch.setitem(sys.modules, "wandb", module)
    logger = make_logger("wandb", tmp_path / "digits" / "seed0", {"seed": 0})
    logger.log(RECORD, 4)
    logger.figure("samples", "a figure", 6)
    logger.close()
    assert begun["name"] == "digits/seed0" and begun["config"] == {"seed": 0}
    assert begun["dir"] == str(tmp_path / "digits" / "seed0") and begun["resume"] == "auto"
    assert logged == [(4, NUMBERS), (6, {"samples": ("image", "a figure")})]


def test_no_logger_writes_nothing(tmp_path):
    logger = make_logger("none", tmp_path, {})
    logger.log(RECORD, 4)
    logger.figure("samples", "a figure", 6)
    logger.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name, module", [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")]
)
def test_what_is_not_installed_is_one_clear_line(name, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert name in LOGGERS
    with pytest.raises(InputError, match=r"^compute\.logger: .* is not installed; .*pip install"):
        make_logger(name, tmp_path, {})
    assert list(tmp_path.iterdir()) == []
