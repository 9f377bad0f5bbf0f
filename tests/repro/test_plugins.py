"""Registries and plugins: what a name in a configuration may be, and what is said if it is not."""

import json
import sys
from typing import Annotated

import pytest

from repro import config, plugins
from repro.errors import InputError

SHAPES = {"square": len, "circle": abs}
Shape = Annotated[str, plugins.Registered(lambda: SHAPES, "shape")]


class Drawing(config.Settings):
    """A configuration with a registered name, alone and in a list."""

    shape: Shape = "square"
    others: tuple[Shape, ...] = ()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the current folder that counts how often it was imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_to_draw.py").write_text("def star():\n    return 5\n")
    (tmp_path / "broken_to_draw.py").write_text("def star(:\n")
    (tmp_path / "raising_to_draw.py").write_text("1 / 0\n")
    (tmp_path / "run.yaml").write_text("shape: mine_to_draw:star\n")
    yield tmp_path
    for name in ("mine_to_draw", "broken_to_draw", "raising_to_draw"):
        sys.modules.pop(name, None)


def test_an_entry_of_the_registry_or_of_a_module(module):
    assert plugins.resolve("circle", SHAPES, "shape") is abs
    assert plugins.resolve("mine_to_draw:star", SHAPES, "shape")() == 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sqare", "unknown shape 'sqare'; did you mean 'square'? known: square, circle; or one of"),
        ("xyz", "unknown shape 'xyz'; known: square, circle; or one of your own as package.mod"),
        ("../x:star", "unknown shape '../x:star'"),
        ("x y:star", "unknown shape 'x y:star'"),
        ("no_such_module:star", "cannot be imported (ModuleNotFoundError: No module named"),
        ("broken_to_draw:star", "shape broken_to_draw:star: cannot be imported (SyntaxError: "),
        ("raising_to_draw:star", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("mine_to_draw:sta", "mine_to_draw has no 'sta'; did you mean 'star'?"),
    ],
)
def test_each_mistake_is_one_line(module, name, expected):
    with pytest.raises(InputError) as caught:
        plugins.resolve(name, SHAPES, "shape")
    assert expected in str(caught.value) and "\n" not in str(caught.value)
    for overrides in ([f"shape={name}"], [f"others=['{name}']"]):
        with pytest.raises(InputError) as caught:
            config.load(module / "run.yaml", Drawing, overrides)
        assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_a_module_is_imported_for_a_command_and_not_for_a_record(module):
    config.validate({"shape": "mine_to_draw:star"}, Drawing, "config.yaml")
    assert "mine_to_draw" not in sys.modules
    assert config.load(module / "run.yaml", Drawing).shape == "mine_to_draw:star"
    assert "mine_to_draw" in sys.modules


def test_the_schema_names_the_entries():
    field = json.loads(config.schema(Drawing))["properties"]["shape"]
    assert field["examples"] == field["anyOf"][0]["enum"] == list(SHAPES)
    assert field["default"] == "square"
