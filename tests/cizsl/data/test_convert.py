"""From the published layouts to npz and back: nothing is lost, what cannot be kept is refused."""

import dataclasses

import numpy as np
import pytest

from cizsl.data import birds_write, layouts
from cizsl.data.convert import _gather, convert, read_folder
from cizsl.data.npz import Dataset, Split, read_npz, write_npz
from cizsl.prepare.toy_gbu import make_gbu_toy
from cizsl.report.runs import collect
from repro.errors import InputError
from tests.cizsl.data.test_birds import bird_split
from tests.helpers.run_folders import write_run


def same(one, two):
    """Two `ZSLData`, bit for bit, but for the names and sums of their files."""
    for field in dataclasses.fields(one):
        if field.name == "files":
            continue
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.tobytes() == b.tobytes() and a.shape == b.shape
            assert a.flags.c_contiguous == b.flags.c_contiguous
        else:
            assert a == b


@pytest.mark.parametrize("dataset", ["CUB", "finches"])
def test_published_to_npz_and_back_is_bit_identical(tmp_path, dataset):
    """Both splits show the same images, in another order; one image stands in a split twice."""
    easy = bird_split()
    order = np.random.default_rng(3).permutation(13)
    ids = np.array([1, 3, 4, 6])
    train = easy.train_features[order], easy.train_labels[order]
    hard = birds_write.BirdSplit(
        ids, np.array([2, 5]), *train, easy.test_features, 1 - easy.test_labels
    )
    easy.train_features[:] = np.vstack([easy.train_features[:1], easy.train_features[:-1]])
    easy.train_labels[1] = easy.train_labels[0]
    text = np.random.default_rng(1).random((7, 5)).astype(np.float32)  # a class in neither split
    splits = {"easy": easy, "hard": hard}
    folder = birds_write.write_birds(tmp_path / "one", dataset, text, list("abcde"), splits)
    file = convert(folder, tmp_path / f"{dataset}.npz")
    back = convert(file, tmp_path / "two" / folder.name)
    assert sorted(p.name for p in back.iterdir()) == sorted(p.name for p in folder.iterdir())
    for path in folder.iterdir():
        assert path.read_bytes() == (back / path.name).read_bytes(), path.name
    for split in splits:
        before = layouts.load(tmp_path / "one", dataset, split)
        same(before, layouts.load(tmp_path, dataset, split, "npz"))
        same(before, layouts.load(tmp_path / "two", dataset, split))
    assert len(read_npz(file).features) < sum(map(len, (easy.train_features, *train[:1]))) + 13


def full(**changes):
    """A `Dataset` with everything the published layout can take, in the order of its splits."""
    random = np.random.default_rng(5)
    splits = {"a": Split(*map(np.array, ([4, 1, 0], [3, 2], [0, 1, 2, 3], [4, 5])))}
    splits["b"] = Split(*map(np.array, ([0, 2], [4], [1, 6, 5], [0])))
    labels = np.array([4, 0, 1, 1, 3, 2, 2])
    return Dataset(
        **{
            "text": random.random((5, 3)).astype(np.float32),
            "features": random.random((7, 2)).astype(np.float32),
            "labels": labels,
            "splits": splits,
            "class_names": np.array(["é", "b", "c", "d", "e"]),
            "terms": np.array(["fli", "wing", "x"]),
            "image_names": np.array([f"{label}/{i}.png" for i, label in enumerate(labels)]),
            "toy": True,
        }
        | changes
    )


def test_npz_to_published_and_back_is_the_same_file(tmp_path):
    """Names, terms and the mark of invented data included."""
    write_npz(tmp_path / "wrens.npz", full())
    folder = convert(tmp_path / "wrens.npz", tmp_path / "wrens")
    assert (folder / "classes.txt").read_text(encoding="utf-8").split() == ["é", "b", "c", "d", "e"]
    assert (folder / "images_train_b.txt").read_text().split() == ["0/1.png", "2/6.png", "2/5.png"]
    back = convert(folder, tmp_path / "back.npz")
    assert back.read_bytes() == (tmp_path / "wrens.npz").read_bytes()
    for split in "ab":
        one = layouts.load(tmp_path, "wrens", split, "npz")
        same(one, layouts.load(tmp_path, "wrens", split))
        assert one.toy


def with_twin(read):
    """The data with a training image among those that measure seen accuracy."""
    features, labels = read.seen_test_features.copy(), read.seen_test_labels.copy()
    features[0], labels[0] = read.train_features[3], read.train_labels[3]
    return dataclasses.replace(read, seen_test_features=features, seen_test_labels=labels)


def test_an_attribute_benchmark_keeps_its_split(tmp_path):
    """Images that measure seen accuracy, and validation classes, included; and an image of these
    that equals one to train on is another image."""
    (folder,) = make_gbu_toy(tmp_path)
    twice = layouts.load(tmp_path, "AWA2", "PS", "gbu")
    gathered = _gather(np.zeros((0, 0)), {"PS": with_twin(twice)}, {})
    assert not np.intersect1d(gathered.splits["PS"].train, gathered.splits["PS"].seen_test).size
    file = convert(folder, tmp_path / "AWA2.npz")
    same(layouts.load(tmp_path, "AWA2", "PS", "gbu"), layouts.load(file, "AWA2", "PS", "npz"))
    with pytest.raises(InputError, match="no place for seen_test, validation"):
        convert(file, tmp_path / "other")


def test_half_precision_survives_as_numbers(tmp_path):
    half = full(features=full().features.astype(np.float16))
    write_npz(tmp_path / "wrens.npz", half)
    assert read_npz(tmp_path / "wrens.npz").features.dtype == np.float16
    convert(tmp_path / "wrens.npz", tmp_path / "wrens")
    same(layouts.load(tmp_path, "wrens", "a", "npz"), layouts.load(tmp_path, "wrens", "a"))


def test_equal_features_of_two_names_or_classes_stay_two_images(tmp_path):
    same_rows = full(features=np.ones((7, 2), np.float32))
    write_npz(tmp_path / "wrens.npz", same_rows)
    folder = convert(tmp_path / "wrens.npz", tmp_path / "wrens")
    assert len(read_folder(folder).features) == 7
    for path in folder.glob("images_*"):
        path.unlink()
    assert len(read_folder(folder).features) == 5  # as many as classes: nothing tells them apart


def test_what_cannot_be_converted(tmp_path):
    file = tmp_path / "wrens.npz"
    write_npz(file, full())
    cases = [
        (file, tmp_path / "b.npz", "expected the dataset's folder"),
        (file, tmp_path, "is there already; --overwrite"),
        (tmp_path, tmp_path / "b.npz", "no dataset here"),
        (tmp_path / "nowhere.npz", tmp_path / "new", "cannot be read|not an .npz file"),
        (tmp_path / "nowhere", tmp_path / "b.npz", "no dataset here"),
        (tmp_path, tmp_path / "b", "expected a file with the ending .npz"),
        (file, tmp_path / "CUB2011", "CUB has the splits easy and hard only, not a"),
    ]
    for source, target, message in cases:
        with pytest.raises(InputError, match=message):
            convert(source, target)
    convert(file, tmp_path / "wrens")
    convert(file, tmp_path / "finches")
    with pytest.raises(InputError, match=r"more than one dataset; give one of .*finches, .*wrens"):
        convert(tmp_path, tmp_path / "b.npz")
    with pytest.raises(InputError, match="is there already; --overwrite replaces it"):
        convert(tmp_path / "wrens", file)
    assert convert(tmp_path / "wrens", file, overwrite=True) == file
    split = dataclasses.replace(
        full().splits["a"], train=np.array([0, 2, 3]), seen_test=np.array([1])
    )
    write_npz(file, full(splits={"a": split}))
    with pytest.raises(InputError, match="no place for seen_test, validation"):
        convert(file, tmp_path / "new")
    (tmp_path / "wrens" / "images_train_a.txt").write_text("one\n")
    with pytest.raises(InputError, match="1 names for 4 images: a train"):
        read_folder(tmp_path / "wrens")


def test_a_converted_file_passes_for_no_published_one(tmp_path):
    """Even with the published name and size, for nothing in it has a known checksum."""
    for name, layout in (("a", "published"), ("b", "npz")):
        write_run(tmp_path / name, config={"data": {"layout": layout}})
    assert [run.kind for run in collect([tmp_path])] == ["published", "other"]
