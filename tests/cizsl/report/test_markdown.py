"""The tables, on run folders made by hand."""

import pytest

from cizsl.cli.table import show
from cizsl.data.verify import SHA256
from cizsl.report.findings import meaning
from cizsl.report.grouping import group
from cizsl.report.html import page as html
from cizsl.report.markdown import report as table
from cizsl.report.published_numbers import CELLS, GAIN_BY_TEST_CLASSES, PUBLISHED
from cizsl.report.runs import collect
from cizsl.report.tables import BESIDE, NOT_COMPARABLE
from repro.errors import InputError
from tests.helpers.run_folders import LEARNED, write_baseline, write_run

QUOTED = "CIZSL, ICCV 2019 (as commonly quoted)"


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def make(runs):
    return lambda name, *args, **changes: write_run(runs / name, *args, **changes)


def lines_of(text, start):
    """The Markdown lines that begin with ``start``, as lists of cells."""
    return [
        [cell.strip() for cell in line.strip("|\n").split(" | ")]
        for line in text.splitlines()
        if line.startswith(f"| {start} ")
    ]


def overview(text, start):
    """The line of a row in the overview of its section."""
    tables = [part.split("\n\n")[1] for part in text.split("**Overview")[1:]]
    (line,) = [line for table in tables for line in lines_of(table, start)]
    return line


def sections(text):
    """Heading of each section to its text."""
    parts = text.split("## ")[1:]
    return {part.splitlines()[0]: part for part in parts}


def test_mean_and_standard_deviation_over_seeds_by_hand(make, runs):
    make("a", 0.10, seed=0)
    make("b", 0.12, seed=1)
    make("c", 0.17, seed=2)
    # mean 13; deviations -3, -1, 4: sqrt((9 + 1 + 16) / 2) = 3.61. AUSUC is the third score: + 2
    line = overview(table(collect([runs])), "A1")
    assert line[2:] == ["3584", "3", "13.00 ± 3.61", "15.00 ± 3.61"]


def test_one_seed_has_no_deviation(make, runs):
    make("a", 0.10)
    assert overview(table(collect([runs])), "A1")[4] == "10.00"


def test_columns_are_cells_in_the_published_order(make, runs):
    for place, (dataset, split) in enumerate(reversed(CELLS)):
        make(f"{place}", place / 10, dataset=dataset, split=split)
    line = overview(table(collect([runs])), "A1")
    assert [cell.split()[0] for cell in line[4::2]] == ["30.00", "20.00", "10.00", "0.00"]


def test_details_show_final_beside_best_on_test(make, runs):
    make("a", 0.20)
    details = [line for line in lines_of(table(collect([runs])), "A1") if len(line) == 10]
    best, final = details
    assert best[1:4] == ["CUB easy", "best on test", "0"]
    assert best[4:] == [f"{20 + place:.2f}" for place in range(6)]
    assert final[2] == "final"
    assert final[4:] == [f"{(20 + place) / 2:.2f}" for place in range(6)]


def test_protocols_never_share_a_table(make, runs):
    make("a", 0.10, protocol="reference", seed=0)
    make("b", 0.30, protocol="strict", seed=1)
    found = sections(table(collect([runs])))
    reference, strict = found.values()
    assert list(found) == [
        "Data of the published size: reference protocol",
        "Data of the published size: strict protocol",
    ]
    assert "10.00" in reference and "30.00" not in reference
    assert "30.00" in strict and "10.00" not in strict
    assert "selected" in strict and "best on test" not in strict
    assert "not comparable" in strict


def test_published_numbers_share_a_table_with_real_data_under_the_reference_protocol_only(
    make, runs
):
    """On toy data they have a table of their own, titled as not comparable; the strict protocol
    has none."""
    make("a", protocol="reference")
    make("b", protocol="strict")
    make("c", protocol="reference", toy=True, feature_dim=128)
    make("d", protocol="strict", toy=True, feature_dim=128)
    found = sections(table(collect([runs])))
    assert [heading for heading, text in found.items() if QUOTED in text] == [
        "Data of the published size: reference protocol",
        "TOY DATA: reference protocol",
    ]
    overview, orientation = found["TOY DATA: reference protocol"].split("Not comparable")
    assert QUOTED not in overview and QUOTED in orientation


def test_published_numbers_as_printed(make, runs):
    make("a")
    for place, (dataset, split) in enumerate(CELLS[1:], 1):
        make(f"{place}", dataset=dataset, split=split)
    lines = [line for line in lines_of(table(collect([runs])), "   ") if line[1].startswith("pub")]
    assert len(lines) == len(PUBLISHED)
    numbers = {line[1].removeprefix("published: "): line[4:] for line in lines}
    assert numbers[QUOTED] == ["44.6", "39.2", "14.4", "11.9", "36.6", "24.5", "9.3", "6.4"]
    independent = numbers["CIZSL, published code run independently"]
    assert independent == ["", "", "14.26", "11.53", "", "", "8.936", "6.715"]
    assert numbers["DGRZSL"][::2] == ["45.48", "14.29", "37.62", "8.91"]
    assert numbers["LsrGAN, last evaluation"] == [
        "44.26", "38.77", "13.33", "11.25", "36.29", "22.85", "", ""
    ]  # fmt: skip


def test_what_choosing_on_the_test_classes_gains_is_what_the_numbers_say():
    best, last = PUBLISHED["LsrGAN, best evaluation"], PUBLISHED["LsrGAN, last evaluation"]
    gains = {
        score: [float(a) - float(b) for a, b in zip(best[score][:3], last[score][:3], strict=True)]
        for score in ("top1", "ausuc")
    }
    assert f"up to {max(gains['top1']):.1f} points of top-1" in GAIN_BY_TEST_CLASSES
    assert f"{max(gains['ausuc']):.1f} points of AUSUC" in GAIN_BY_TEST_CLASSES
    ours, theirs = (PUBLISHED[f"{name}, re-run by DGRZSL"]["top1"] for name in ("CIZSL", "GAZSL"))
    by_creativity = [float(a) - float(b) for a, b in zip(ours, theirs, strict=True)]
    said = f"{min(by_creativity):.1f} to {max(by_creativity):.1f} points of top-1"
    assert said in GAIN_BY_TEST_CLASSES and max(gains["top1"]) > max(by_creativity)


def test_chance_is_one_over_the_unseen_classes_that_a_run_names(make, runs):
    make("a", toy=True, unseen_classes=8)
    make("b", toy=True, seed=1, unseen_classes=8)
    make("c", toy=True, dataset="NAB", unseen_classes=20)
    text = table(collect([runs]))
    assert text.startswith("On toy data, which are invented, the highest top-1")
    assert "(chance 12.50 %)" in text.splitlines()[0]
    (line,) = [line for line in text.splitlines() if "chance, 1 / unseen classes" in line]
    assert [cell.strip() for cell in line.split("|")[5:-1]] == ["12.50", "", "5.00", ""]


def test_the_lead_names_the_best_method_of_every_cell(make, runs):
    make("a", 0.2, method="GAZSL", creativity=None, protocol="strict")
    make("b", 0.3, config={"name": "ours"}, protocol="strict")
    make("c", 0.9, config={"name": "others"})
    make("d", 0.1, config={"name": "ours"}, protocol="strict", split="hard")
    assert table(collect([runs])).splitlines()[0] == (
        "The highest top-1 (strict protocol): CUB easy 30.00 % by ours (B2) (chance 2.00 %); "
        "CUB hard 10.00 % by ours (B2) (chance 2.50 %)."
    )


def test_toy_data_are_marked_loudly_and_kept_apart(make, runs):
    make("a", 0.10, seed=0)
    make("b", 0.90, seed=1, toy=True, feature_dim=128)
    real, toy = sections(table(collect([runs]))).items()
    assert "TOY" not in real[0] + real[1] and "90.00" not in real[1]
    assert toy[0].startswith("TOY DATA") and "invented" in toy[1]
    assert "toy data" in meaning(group(collect([runs]))[0])


@pytest.mark.parametrize(
    "changes",
    [{"feature_dim": 512}, {"files": {"labels_train.pkl": "f" * 64}}],
    ids=["features", "labels"],
)
def test_other_data_than_the_published_are_flagged(make, runs, changes):
    make("a", **changes)
    text = table(collect([runs]))
    assert "## NOT THE PUBLISHED DATA: reference protocol" in text
    own, published = text.index("| A1 "), text.index(NOT_COMPARABLE)
    assert own < published < text.index(QUOTED)
    assert "compare with no published number" in meaning(group(collect([runs]))[0])


def test_the_published_labels_are_known(make, runs):
    make("a", files={"labels_train.pkl": SHA256["CUB easy train_labels"]})
    assert "NOT THE PUBLISHED" not in table(collect([runs]))


def test_rows_are_settings_and_only_the_weight_may_differ_along_one(make, runs):
    make("a", 0.1, creativity={**LEARNED, "weight": 0.0001})
    make("b", 0.2, creativity={**LEARNED, "weight": 1.0}, dataset="NAB")
    make("c", 0.3, config={"model": {"hidden_dim": 256}})
    text = table(collect([runs]))
    rows = [overview(text, name) for name in ("A1", "A2")]
    assert sorted(row[4] for row in rows) == ["10.00", "30.00"]
    assert "creativity weight 0.0001 / 1.0, alpha learned, beta learned" in text
    assert any("hidden dim 256" in row[1] for row in rows)


def test_a_swept_weight_splits_the_row(make, runs):
    for weight in (0.1, 1.0):
        make(f"{weight}", weight / 10, creativity={**LEARNED, "weight": weight})
    text = table(collect([runs]))
    assert overview(text, "A1")[4] == "1.00" and "weight 0.1" in overview(text, "A1")[1]
    assert overview(text, "A2")[4] == "10.00" and "weight 1.0" in overview(text, "A2")[1]


def test_a_weight_chosen_by_each_run_is_one_row(make, runs):
    """Seeds and cells that chose differently stand together; the label says what they chose."""
    searched = {"creativity": LEARNED, "search": {"creativity.weight": [0.0, 0.1, 10.0]}}
    for name, weight, dataset, seed in [
        ("a", 0.1, "CUB", 0),
        ("b", 0.0, "CUB", 1),
        ("c", 10.0, "NAB", 0),
    ]:
        make(
            name,
            0.1 + seed / 10,
            creativity={**LEARNED, "weight": weight},
            config={**searched, "evaluation": {"protocol": "strict"}},
            protocol="strict",
            dataset=dataset,
            seed=seed,
        )
    text = table(collect([runs]))
    line = overview(text, "A1")
    assert line[1].endswith("weight chosen: 0.0, 0.1 / 10.0") and line[3] == "2 / 1"
    assert line[4] == "15.00 ± 7.07" and not lines_of(text, "A2")
    assert "(on validation classes, of 0, 0.1, 10)" in text


def test_a_name_is_the_label(make, runs):
    make("a", config={"name": "no adversarial term", "creativity": {**LEARNED, "adversarial": 0}})
    make("b", config={"name": "KL", "creativity": {**LEARNED, "divergence": "kl"}})
    text = table(collect([runs]))
    assert [overview(text, name)[1] for name in ("A1", "A2")] == ["no adversarial term", "KL"]
    assert (
        "- A1: CIZSL, Sharma-Mittal, published form, creativity weight 0.1, adversarial 0" in text
    )
    assert "- A2: CIZSL, KL, published form, creativity weight 0.1, hidden" in text


def test_runs_on_different_data_are_not_averaged(make, runs):
    make("a", 0.10, seed=0, files={"a.mat": "0" * 64})
    make("b", 0.30, seed=1, files={"a.mat": "1" * 64})
    text = table(collect([runs]))
    assert overview(text, "A1")[4] == "10.00" and overview(text, "A2")[4] == "30.00"
    assert "data " in overview(text, "A1")[1]


def test_gazsl_comes_first_and_ignores_creativity(make, runs):
    make("a", method="CIZSL")
    make("b", 0.2, method="GAZSL", seed=0, config={"creativity": {"alpha": 0.1}})
    make("c", 0.2, method="GAZSL", seed=1, config={"creativity": {"alpha": 0.9}})
    text = table(collect([runs]))
    assert overview(text, "A1")[1:4] == ["GAZSL", "3584", "2"]
    assert overview(text, "A2")[1] == "CIZSL, Sharma-Mittal, published form"


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


def test_data_of_ones_own_have_their_own_columns_and_no_published_number(runs):
    write_run(runs / "a", 0.5, dataset="my_birds", split="odd", toy=False)
    write_run(runs / "b", 0.25, dataset="my_birds", split="easy", protocol="strict")
    found = collect([runs])
    assert {run.kind for run in found} == {"own"}
    text = table(found)
    assert "my_birds odd top-1" in text and "my_birds easy AUSUC" in text
    assert "published:" not in text and "CUB easy" not in text and "chance" not in text
    assert "No published number is comparable with these" in text
    assert "Sources of the published numbers" not in html(found)
    write_run(runs / "c", 0.3)
    both = table(collect([runs]))
    own = both[both.index("OWN") : both.index("## ", both.index("OWN"))]
    assert "published:" in both and "published:" not in own


def test_a_baseline_is_a_row_of_the_strict_protocol_and_says_whom_it_beats(make, runs):
    make("a", 0.10, protocol="strict", seed=0, method="GAZSL", creativity=None)
    make("b", 0.20, protocol="strict", seed=1, method="GAZSL", creativity=None)
    make("c", 0.30, protocol="strict")
    make("d", 0.10, protocol="strict", split="hard")
    write_baseline(runs / "e", 0.25)
    write_baseline(runs / "f", 0.25, split="hard")
    text = table(collect([runs]))
    assert overview(text, "A3")[1:5] == ["ridge regression", "3584", "any", "25.00"]
    assert "chosen by ausuc on validation classes: penalty 0.5 (CUB easy, CUB hard)" in text
    assert (
        "**Baselines.** Ridge regression beats every trained GAN on CUB hard (25.00 % against "
        "10.00 %); A1 on CUB easy (25.00 % against 15.00 %) in top-1." in text
    )


def test_a_baseline_that_beats_nobody_says_so(make, runs):
    make("a", 0.10, protocol="strict")
    write_baseline(runs / "b", 0.10)
    assert "Ridge regression beats no trained GAN in top-1." in table(collect([runs]))


def test_beside_the_reference_protocol_baselines_have_a_table_of_their_own(make, runs):
    """Never in one column: and only baselines on the same data."""
    make("a", 0.20)
    write_baseline(runs / "b", 0.30)
    write_baseline(runs / "c", 0.40, files={"a.mat": "1" * 64})
    reference, _ = sections(table(collect([runs]))).values()
    before, after = reference.split(f"**{BESIDE}**")
    assert "ridge regression" not in before.split("**Baselines.**")[0]
    (line,) = [line for line in after.splitlines() if "ridge regression" in line]
    assert "30.00" in line and "40.00" not in reference
    assert "(30.00 % against 20.00 %)" in before
    assert "The numbers of the GANs are their best on the test classes" in before
    other = sections(table(collect([runs / "a", runs / "c"])))
    assert "ridge regression" not in other["Data of the published size: reference protocol"]


def test_retrieval_has_a_table_of_the_runs_that_measured_it(make, runs):
    make("a", 0.1, seed=0, protocol="strict", retrieval=(0.5, 0.4, 0.3))
    make("b", 0.1, seed=1, protocol="strict", retrieval=(0.6, 0.5, 0.3))
    make("c", 0.1, seed=2, protocol="strict")
    text = table(collect([runs]))
    (line,) = lines_of(text.split("**Retrieval**")[1].split("**Details**")[0], "A1")
    assert line[1:] == [
        "CUB easy",
        "selected",
        "0, 1",
        "55.00 ± 7.07",
        "45.00 ± 7.07",
        "30.00 ± 0.00",
    ]
    assert "**Retrieval**" not in table(collect([runs / "c"]))


def test_a_setting_that_is_newer_than_a_run_has_its_default_there(make, runs):
    """Two runs of one experiment, the second of a version with one more setting."""
    make("a", 0.10, seed=0)
    make("b", 0.20, seed=1, config={"loss": {"pivot": 1.0}})
    make("c", 0.40, seed=2, config={"loss": {"pivot": 2.0}})
    text = table(collect([runs]))
    assert overview(text, "A1")[3:5] == ["2", "15.00 ± 7.07"]
    assert overview(text, "A2")[3:5] == ["1", "40.00"]


def test_a_run_with_a_name_is_called_by_it(make, runs):
    make("a", config={"name": "no realness"})
    make("b", config={"name": "half the text"})
    text = table(collect([runs]))
    assert sorted(overview(text, name)[1] for name in ("A1", "A2")) == [
        "half the text",
        "no realness",
    ]
