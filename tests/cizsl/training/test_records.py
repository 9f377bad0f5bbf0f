"""Lines of the training log: read through a typed model, so that others are refused."""

import json

import pytest

from cizsl.training.records import SCORES, read_log
from repro.errors import InputError

LINE = {"stage": "test", "iteration": 3, "real": 1.0, "fake": 0.5, "pivot": 2.0}
LINE |= dict.fromkeys(SCORES, 0.25)


@pytest.mark.parametrize("term", [-2.0, float("inf")])
def test_a_line_is_read_as_it_was_written(tmp_path, term):
    """A training that diverges logs infinite terms before it stops."""
    line = LINE | {"pivot": term}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert read_log(tmp_path) == [line]


@pytest.mark.parametrize(
    "changed",
    [{"stage": None}, {"iteration": -1}, {"pivot": "high"}, {"fake": []}, {"top1": 1e308}],
)
def test_a_line_of_other_content_is_refused_by_its_key(tmp_path, changed):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(LINE | changed) + "\n")
    with pytest.raises(InputError, match=f"metrics.jsonl: {next(iter(changed))}: "):
        read_log(tmp_path)


@pytest.mark.parametrize("name", LINE)
def test_only_loss_terms_may_be_missing(tmp_path, name):
    line = {key: value for key, value in LINE.items() if key != name}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    if name in ("pivot", "real", "fake"):
        assert read_log(tmp_path) == [line]
    else:
        with pytest.raises(InputError, match=f"metrics.jsonl: {name}: Field required"):
            read_log(tmp_path)
