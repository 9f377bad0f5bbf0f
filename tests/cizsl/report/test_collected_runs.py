"""Runs that the tables take, list as unfinished or refuse."""

import pytest

from cizsl.cli.table import show
from cizsl.report.markdown import report as table
from cizsl.report.runs import collect
from repro.errors import InputError
from tests.cizsl.report.report_text import overview
from tests.helpers.run_folders import write_run


def test_a_repeated_seed_counts_once(make, runs):
    make("a", 0.10)
    make("b", 0.30)
    text = table(collect([runs, runs / "a"]))
    assert overview(text, "A1")[3:5] == ["1", "10.00"]
    assert f"`{runs / 'b'}`: repeats seed 0 of {runs / 'a'}" in text


def test_unfinished_and_foreign_runs_are_listed(make, runs):
    make("done")
    for name in ("new", "half", "other"):
        (runs / name).mkdir()
    (runs / "new" / "config.yaml").write_text("optimiser: {iterations: 80}\n")
    (runs / "half" / "config.yaml").write_text("optimiser: {iterations: 80}\n")
    (runs / "half" / "metrics.jsonl").write_text('{"stage": "test", "iteration": 40}\n{"sta')
    (runs / "other" / "config.yaml").write_text("sampler: euler\n")
    text = table(collect([runs]))
    assert f"`{runs / 'new'}`: unfinished: no evaluation yet of 80 iterations" in text
    assert f"`{runs / 'half'}`: unfinished: stage test, iteration 40 of 80" in text
    assert f"`{runs / 'other'}`: not a run of cizsl: it sets sampler" in text


def test_nothing_finished_is_no_error(runs, capsys):
    (runs / "new").mkdir(parents=True)
    (runs / "new" / "config.yaml").write_text("seed: 0\n")
    assert show([runs]) == 0
    assert "No finished runs." in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, said",
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object"),
        ('{"dataset": "CUB"}', "split"),
        (None, "metrics: should be a finite number, got nan"),
    ],
)
def test_broken_results_are_named(make, runs, content, said):
    folder = make("a")
    file = folder / "results.json"
    if content is None:
        content = file.read_text().replace('"top1": 0.1', '"top1": NaN')
    file.write_text(content)
    make("good")
    text = table(collect([runs]))
    (line,) = [line for line in text.splitlines() if str(file) in line]
    assert line.startswith(f"- `{folder}`: ") and said in line
    assert overview(text, "A1")[3] == "1"  # the other run is in the table


def test_scores_of_the_other_protocol_are_not_taken(make):
    file = make("a") / "results.json"
    file.write_text(file.read_text().replace('"reference"', '"strict"'))
    (run,) = collect([file.parent])
    assert run.results is None and "selected missing" in run.note


def test_runs_inside_runs_and_behind_links_count_once(make, runs):
    inner = make("outer/inner", seed=0)
    write_run(runs / "elsewhere", 0.1, seed=1)
    (runs / "outer" / "config.yaml").write_text("base: mine.yaml\n")  # somebody's own file
    (runs / "outer" / "link").symlink_to(runs / "elsewhere")
    (inner / "up").symlink_to(runs / "outer")
    seeds = [run.summary.seed for run in collect([runs / "outer"]) if run.results]
    assert sorted(seeds) == [0, 1]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_path_without_runs_is_an_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name):
        collect([tmp_path / name])
