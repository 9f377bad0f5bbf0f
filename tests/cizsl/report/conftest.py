"""A folder of runs made by hand."""

import pytest

from tests.helpers.run_folders import write_run


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def make(runs):
    return lambda name, *args, **changes: write_run(runs / name, *args, **changes)
