"""Easy and hard splits: what defines them, for any families; the published ones; faulty files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cizsl.data.birds_layout import read_role
from cizsl.prepare.class_names import clean
from cizsl.prepare.splits import (
    easy_split,
    hard_split,
    random_split,
    read_families,
    read_splits,
    with_seen_relatives,
)
from repro.errors import InputError, InputErrors

FAMILIES = st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=40)
SHARES = st.floats(0.05, 0.95)


@settings(max_examples=40, deadline=None)
@given(FAMILIES, SHARES, st.integers(0, 5))
def test_every_unseen_class_of_an_easy_split_has_a_seen_relative(families, share, seed):
    count, room = round(share * len(families)), len(families) - len(set(families))
    if not 0 < count <= room:
        with pytest.raises(InputError):
            easy_split(families, share, seed)
        return
    unseen = easy_split(families, share, seed)
    assert unseen.sum() == count
    assert {f for f, u in zip(families, unseen, strict=True) if not u} == set(families)
    np.testing.assert_array_equal(unseen, easy_split(families, share, seed))
    given_up = [
        sum(u for f, u in zip(families, unseen, strict=True) if f == own) for own in "abcdefgh"
    ]
    sizes = [families.count(own) for own in "abcdefgh"]
    for one, size in zip(given_up, sizes, strict=True):  # in turn: none more than one ahead
        assert one == size - 1 or one >= max(given_up) - 1 or size == 0


@settings(max_examples=40, deadline=None)
@given(FAMILIES, SHARES, st.integers(0, 5))
def test_whole_families_of_a_hard_split_are_unseen(families, share, seed):
    count, sizes = round(share * len(families)), {f: families.count(f) for f in families}
    if count == len(families) or min(sizes.values()) > count or len(sizes) == 1:
        with pytest.raises(InputError):
            hard_split(families, share, seed)
        return
    unseen = hard_split(families, share, seed)
    gone = {f for f, u in zip(families, unseen, strict=True) if u}
    assert 0 < unseen.sum() <= count
    assert not with_seen_relatives(families, np.flatnonzero(unseen), np.flatnonzero(~unseen)).any()
    left = count - unseen.sum()  # and no other family would have fitted in
    assert all(size > left for family, size in sizes.items() if family not in gone)
    np.testing.assert_array_equal(unseen, hard_split(families, share, seed))


def test_the_seed_draws_another_split():
    families = ["a", "b", "c", "d"] * 5
    assert len({tuple(easy_split(families, 0.3, seed)) for seed in range(5)}) > 1
    assert len({tuple(hard_split(families, 0.3, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, 0.01, 0.99])
def test_a_share_that_leaves_no_class_on_one_side(share):
    for split in (easy_split, hard_split):
        with pytest.raises(InputError, match="--unseen"):
            split(["a", "a", "b", "b"], share, 0)
    with pytest.raises(InputError, match="--unseen"):
        random_split(4, share, 0)


def test_every_class_is_unseen_in_its_share_of_random_splits():
    """400 splits of which each has 3 of 10 classes unseen: deviation sqrt(0.3 0.7 / 400) = 0.023;
    the largest of ten stays within four of them."""
    drawn = np.array([random_split(10, 0.3, seed) for seed in range(400)])
    assert set(drawn.sum(1)) == {3} and len({tuple(row) for row in drawn}) > 80
    assert (np.abs(drawn.mean(0) - 0.3) < 4 * 0.023).all()
    np.testing.assert_array_equal(drawn[5], random_split(10, 0.3, 5))


def test_relatives_by_hand():
    families = ["gull", "gull", "wren", "tern", "wren"]
    found = with_seen_relatives(families, np.array([1, 2, 3]), np.array([0, 4]))
    assert found.tolist() == [True, True, False]


@pytest.mark.parametrize(("split", "related", "unseen"), [("easy", 38, 50), ("hard", 22, 40)])
def test_the_published_splits_with_families_by_the_last_word(shared, split, related, unseen):
    """The figures of docs/data.md."""
    birds = shared / "data" / "birds_text"
    names = [clean(path.stem) for path in sorted((birds / "cub_wikipedia").glob("*.txt"))]
    assert len(names) == 200
    ids = read_role("ids", birds / "CUB2011" / f"train_test_split_{split}.mat")
    families = read_families("last-word", names)
    kin = with_seen_relatives(families, ids["test_ids"] - 1, ids["train_ids"] - 1)
    assert (kin.sum(), len(kin)) == (related, unseen)
    if split == "hard":  # the last 40 in alphabetical order, which cuts the warblers in two
        assert ids["test_ids"].tolist() == list(range(161, 201))
        alone = {families[i - 1] for i, k in zip(ids["test_ids"], kin, strict=True) if k}
        assert alone == {"warbler"}


CLASSES = ["House_Wren", "Winter_Wren", "Sea_Eagle"]


def csv(tmp_path, *lines):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_families_from_a_file_and_from_names(tmp_path):
    path = csv(
        tmp_path, "family, class", "w,002.winter wren", "e, Sea_Eagle", "w,House_Wren", "x,Dodo"
    )
    assert read_families(str(path), CLASSES) == ["w", "w", "e"]
    assert read_families("last-word", CLASSES) == ["wren", "wren", "eagle"]


def test_faults_of_a_family_table_are_named_at_once(tmp_path):
    path = csv(tmp_path, "class,family", "House_Wren,", "Winter_Wrenn,w", "house wren,w", "A,b,c")
    with pytest.raises(InputErrors) as caught:
        read_families(str(path), CLASSES)
    assert [line.removeprefix(f"{path}: ") for line in caught.value.problems] == [
        "two lines for the class house wren",
        "no line for the class Winter_Wren",
        "no line for the class Sea_Eagle",
        "no class of the dataset is called 'Winter_Wrenn'",
        "no class of the dataset is called 'A'",
        "too many values for A",
    ]
    path = csv(tmp_path, "class,family", "House_Wren,", "Winter_Wren,w", "Sea_Eagle,")
    with pytest.raises(InputErrors) as caught:
        read_families(str(path), CLASSES)
    assert len(caught.value.problems) == 2 and "no family for the class Sea_Eagle" in str(
        caught.value
    )
    with pytest.raises(InputError, match="no column family in its first line"):
        read_families(str(csv(tmp_path, "class,group", "House_Wren,w")), CLASSES)
    with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
        read_families(str(tmp_path / "nowhere"), CLASSES)
    path.write_bytes(b"class,family\ncaf\xe9,b\n")
    with pytest.raises(InputError, match=r"cannot be read: .*utf-8"):
        read_families(str(path), CLASSES)


def test_splits_from_a_file(tmp_path):
    path = csv(
        tmp_path,
        "class,a,b",
        "Sea Eagle,unseen,Seen",
        "House_Wren,seen,unseen",
        "Winter_Wren,seen,",
    )
    found = read_splits(path, CLASSES)
    assert {name: [side.tolist() for side in sides] for name, sides in found.items()} == {
        "a": [[0, 1], [2]],
        "b": [[2], [0]],
    }
    path = csv(
        tmp_path, "class,a,b", "Sea Eagle,x,seen", "House_Wren,seen,seen", "Winter_Wren,unseen,"
    )
    with pytest.raises(InputErrors) as caught:
        read_splits(path, CLASSES)
    assert [line.removeprefix(f"{path}: ") for line in caught.value.problems] == [
        "a of Sea_Eagle is 'x'; expected seen, unseen or nothing",
        "b has no class that is seen, or none that is unseen",
    ]
    with pytest.raises(InputError, match="no column of a split beside class"):
        read_splits(csv(tmp_path, "class", *CLASSES), CLASSES)
