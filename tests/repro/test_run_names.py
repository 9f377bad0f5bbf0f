"""Names of run folders: what a shell takes as it stands, and no two settings in one folder."""

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.run_names import LONGEST, default_folder


def test_a_name_tells_the_configuration_and_the_overrides():
    plain = default_folder("configs/cizsl/birds/cub_easy.yaml", [], 3)
    assert plain == Path("runs/cub_easy/seed3") == default_folder("cub_easy", ["seed=3"], 3)
    other = default_folder("x/cub_easy.yaml", ["seed=3", "creativity.weight=1e-4", "a.b=no"], 3)
    assert other == Path("runs/cub_easy-creativity.weight-1e-4-a.b-no/seed3")


@pytest.mark.parametrize(
    "text",
    [
        "creativity.mixing=[0,1]",
        "data.root=/a b/$HOME;rm",
        "no realness term",
        "name=a,b=c",
        "a='x'",
    ],
)
def test_other_characters_become_a_checksum(text):
    name = default_folder("a.yaml", [text], 0).parts[1]
    assert shlex.quote(name) == name and "=" not in name and name.startswith("a-")


def test_a_long_name_ends_in_a_checksum():
    long = [f"optimiser.iterations={n}" for n in range(20)]
    names = [default_folder("a.yaml", [*long, f"data.seed={n}"], 0).parts[1] for n in range(2)]
    assert names[0] != names[1] and max(map(len, names)) <= LONGEST


@given(st.lists(st.lists(st.text(max_size=8), max_size=3), min_size=2, max_size=2, unique_by=tuple))
@settings(max_examples=200, deadline=None)
def test_two_lists_of_overrides_have_two_names(lists):
    """Also of characters that no shell and no file system takes."""
    lists = [[text for text in given if not text.startswith("seed=")] for given in lists]
    names = [default_folder("a.yaml", given, 0).parts[1] for given in lists]
    assert (names[0] == names[1]) == (lists[0] == lists[1])
    assert all(re.fullmatch(r"[\w.+-]+", name) for name in names)
