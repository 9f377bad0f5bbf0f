"""The Python of the README runs as it stands, in an empty folder."""

import ast
import re
from pathlib import Path

import pytest
import torch

from cizsl.cli.parser import main as cizsl

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)


def test_there_is_a_block_of_twelve_lines_for_each_half():
    assert [re.search(r"^import (\w+)", block, re.M)[1] for block in BLOCKS] == ["cizsl", "sde"]
    assert all(len(block.splitlines()) <= 12 for block in BLOCKS)


@pytest.mark.parametrize("half", ["cizsl", "sde"])
def test_the_python_of_the_readme_runs(half, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if half == "cizsl":
        assert cizsl(["data", "toy", "data/toy"]) == 0
    capsys.readouterr()
    namespace = {}
    (block,) = (block for block in BLOCKS if f"import {half}\n" in block)
    exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    if half == "cizsl":
        accuracy = float(printed[0])
        assert 0 <= accuracy <= 1 and (tmp_path / "runs/mine/results.json").is_file()
        assert float(re.search(r"\d\.\d+", printed[1])[0]) > 0  # not uniform
        names = ast.literal_eval(printed[2])
        assert [len(row) for row in names] == [5, 5] and names[0][0].startswith("class ")
    else:
        assert printed[0] == "torch.Size([16, 1, 8, 8]) 21"
        samples = namespace["samples"]
        assert torch.isfinite(samples.x).all()  # of the digits that come with the package
