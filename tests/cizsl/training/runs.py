"""Runs in the process of the test, and what they leave."""

import json

import numpy as np
import torch
from safetensors.torch import load_file

from cizsl.training.run import train
from repro.run import RunFolder
from repro.signals import StopRequest

CPU = torch.device("cpu")


def run(config, path, resume=False, stop=None):
    with RunFolder(path, config, resume) as folder, StopRequest() as never:
        return train(config, folder, CPU, stop or never)


class StopAfter:
    """A stop request that comes after so many looks at it."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def requested(self):
        self.looks -= 1
        return self.looks < 0


def outcome(path):
    """Everything a run leaves that must not depend on interruptions."""
    results = json.loads((path / "results.json").read_text())
    results.pop("seconds")
    weights = {
        f"{file.name}/{name}": tensor
        for file in sorted(path.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    curves = dict(np.load(path / "curves.npz"))
    return results, (path / "metrics.jsonl").read_text(), weights, curves


def assert_same_outcome(one, other):
    for mine, theirs in zip(outcome(one)[:2], outcome(other)[:2], strict=True):
        assert mine == theirs
    for mine, theirs in zip(outcome(one)[2:], outcome(other)[2:], strict=True):
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
