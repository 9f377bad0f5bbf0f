"""Published numbers, chance, toy data and other data in the tables."""

import pytest

from cizsl.data.verify import SHA256
from cizsl.report.findings import meaning
from cizsl.report.grouping import group
from cizsl.report.html import page as html
from cizsl.report.markdown import report as table
from cizsl.report.published_numbers import (
    CELLS,
    GAIN_BY_TEST_CLASSES,
    GBU_CELLS,
    GBU_PUBLISHED,
    PUBLISHED,
)
from cizsl.report.runs import collect
from cizsl.report.tables import NOT_COMPARABLE
from tests.cizsl.report.report_text import QUOTED, lines_of, sections
from tests.helpers.run_folders import write_run


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


ROWS = {  # top-1 and AUSUC of the four cells; T1 and H of AWA2, SUN and aPY
    "DGRZSL": "45.48 14.29 37.62 8.91 40.20 12.29 26.09 6.58",
    "GRaWD, seed 1": "45.38 15.52 38.44 10.08 40.69 13.73 25.81 7.40",
    "LsrGAN, best evaluation": "45.24 14.21 36.57 None 40.17 12.52 23.71 None",
    "LsrGAN, last evaluation": "44.26 13.33 36.29 None 38.77 11.25 22.85 None",
    "CANZSL (quoted)": "45.8 14.3 38.1 8.9 40.2 12.5 25.6 6.8",
    "CIZSL, in DGRZSL": "68.81 61.25 39.50 34.72 27.12 23.85",
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_as_they_were_read_in_their_sources(name):
    if name in PUBLISHED:
        row = PUBLISHED[name]
        found = [*row["top1"], *row["ausuc"]]
    else:
        row = GBU_PUBLISHED[name]
        places = [GBU_CELLS.index((dataset, "PS")) for dataset in ("AWA2", "SUN", "APY")]
        found = [row[score][place] for score in ("per_class_top1", "harmonic") for place in places]
    assert [str(number) for number in found] == ROWS[name].split()
    assert any(word in row["source"] for word in ("Table", "logs", "quoted"))  # how it was read


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
