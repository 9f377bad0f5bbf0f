"""The tables, on run folders made by hand."""

from cizsl.report.markdown import report as table
from cizsl.report.published_numbers import CELLS
from cizsl.report.runs import collect
from cizsl.report.tables import BESIDE
from tests.cizsl.report.report_text import lines_of, overview, sections
from tests.helpers.run_folders import LEARNED, write_baseline


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


def test_the_lead_names_the_best_method_of_every_cell(make, runs):
    make("a", 0.2, method="GAZSL", creativity=None, protocol="strict")
    make("b", 0.3, config={"name": "ours"}, protocol="strict")
    make("c", 0.9, config={"name": "others"})
    make("d", 0.1, config={"name": "ours"}, protocol="strict", split="hard")
    assert table(collect([runs])).splitlines()[0] == (
        "The highest top-1 (strict protocol): CUB easy 30.00 % by ours (B2) (chance 2.00 %); "
        "CUB hard 10.00 % by ours (B2) (chance 2.50 %)."
    )


def test_rows_are_settings_and_only_the_weight_may_differ_along_one(make, runs):
    make("a", 0.1, creativity={**LEARNED, "weight": 0.0001})
    make("b", 0.2, creativity={**LEARNED, "weight": 1.0}, dataset="NAB")
    make("c", 0.3, config={"model": {"hidden_dim": 256}})
    text = table(collect([runs]))
    rows = [overview(text, name) for name in ("A1", "A2")]
    assert sorted(row[4] for row in rows) == ["10.00", "30.00"]
    assert "creativity weight 0.0001 / 1.0, alpha learned, beta learned" in text
    assert any("hidden dim 256" in row[1] for row in rows)


def test_whitening_may_differ_along_a_row_but_splits_it_within_a_cell(make, runs):
    make("a", 0.1, config={"data": {"text_whitening": [0, 0.5]}})
    make("b", 0.2, split="hard")
    text = table(collect([runs]))
    assert {"10.00", "20.00"} <= set(overview(text, "A1")) and "| A2" not in text
    make("c", 0.3)
    rows = [overview(table(collect([runs])), name) for name in ("A1", "A2")]
    assert {(row[1].partition("whitening ")[2], row[4]) for row in rows} == {
        ("[0.0, 0.5]", "10.00"),
        ("[]", "30.00"),
    }


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
        "**Baselines.** Ridge regression beats every generator on CUB hard (25.00 % against "
        "10.00 %); A1 on CUB easy (25.00 % against 15.00 %) in top-1." in text
    )


def test_a_baseline_that_beats_nobody_says_so(make, runs):
    make("a", 0.10, protocol="strict")
    write_baseline(runs / "b", 0.10)
    assert "Ridge regression beats no generator in top-1." in table(collect([runs]))


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
