"""Files that nobody wrote: every reader gives a valid object or an `InputError`."""

import io
import pickle

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from cizsl.data import birds, birds_layout, gbu, matfile, npz
from cizsl.prepare import articles, class_names, splits
from repro.files.safe_pickle import load_numbers
from tests.cizsl.data import test_birds, test_gbu, test_npz
from tests.fuzzing import Bounded, damaged, few_examples

LABELS = np.array([3, 0, 200, 1], np.uint8)
PICKLES = [
    pickle.dumps(labels, protocol)
    for protocol in (0, 2, 4)
    for labels in (LABELS, list(LABELS), LABELS.tolist(), {"a": LABELS, "b": [1.5, "x", None]})
]


@pytest.fixture
def bounded(tmp_path):
    return Bounded(tmp_path)


def mat_files():
    matrix = np.random.default_rng(0).random((5, 4))
    variables = {"a": matrix, "words": np.array(["one", "two"]), "b": matrix.astype(np.uint8)}
    for compress in (False, True):
        file = io.BytesIO()
        scipy.io.savemat(file, variables, do_compression=compress)
        yield file.getvalue()


def mat_contents(path):
    for variable in matfile.mat_variables(path):
        if variable.dtype is None:
            variable.strings()
        else:
            assert variable.read().dtype == np.float32


@given(content=damaged(PICKLES) | st.binary(max_size=60))
@few_examples
def test_pickles(bounded, content):
    bounded(lambda: load_numbers(content))
    path = bounded.folder / "labels.pkl"
    path.write_bytes(content)
    labels = bounded(lambda: birds_layout.read_labels(path))
    assert labels is None or (labels.dtype.kind in "iu" and labels.size)


@given(content=damaged(list(mat_files())) | st.binary(max_size=200))
@few_examples
def test_mat_files(bounded, content):
    path = bounded.folder / "a.mat"
    path.write_bytes(content)
    bounded(lambda: mat_contents(path))


def npz_files():
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, **test_npz.arrays())
        yield file.getvalue()


@given(content=damaged(list(npz_files())) | st.binary(max_size=200))
@few_examples
def test_npz_files(bounded, content):
    path = bounded.folder / "wrens.npz"
    path.write_bytes(content)
    found = bounded(lambda: npz.load_npz(path, "wrens", "odd"))
    assert found is None or np.isfinite(found.train_features).all()
    bounded(lambda: npz.check_npz(path))


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 5, 8]), max_size=3).map(tuple)
TYPES = st.sampled_from(["f4", "f8", "f2", "i8", "u8", "i1", "b1", "U1", "U3", "S2", "c8", "M8[s]"])


@given(
    names=st.lists(st.sampled_from([*test_npz.arrays(), "toy", "other"]), max_size=3),
    shapes=st.lists(SHAPES, min_size=3, max_size=3),
    types=st.lists(TYPES, min_size=3, max_size=3),
    value=st.sampled_from([0, 1, -1, 4, 2**40]),
)
@few_examples
def test_npz_files_with_arrays_of_another_shape_or_type(bounded, names, shapes, types, value):
    path, arrays = bounded.folder / "wrens.npz", test_npz.arrays()
    for name, shape, dtype in zip(names, shapes, types, strict=False):
        with np.errstate(all="ignore"):
            arrays[name] = np.full(shape, value, np.int64).astype(dtype)
    np.savez(path, **arrays)
    bounded(lambda: npz.load_npz(path, "wrens", "odd"))


@given(data=st.data())
@few_examples
def test_bird_folders(bounded, data):
    """A whole folder in which one file is damaged."""
    root = bounded.folder / "birds"
    if not root.exists():
        test_birds.write(root)
    names = sorted(path.name for path in (root / "CUB2011").iterdir())
    path = root / "CUB2011" / data.draw(st.sampled_from(names))
    original = path.read_bytes()
    path.write_bytes(data.draw(damaged([original])))
    found = bounded(lambda: birds.load_birds(root))
    path.write_bytes(original)
    assert found is None or found.train_labels.max() < found.num_seen


@given(data=st.data())
@few_examples
def test_gbu_folders(bounded, data):
    root = bounded.folder / "gbu"
    if not root.exists():
        test_gbu.write(root)
    path = data.draw(st.sampled_from(sorted(root.rglob("*.mat"))))
    original = path.read_bytes()
    path.write_bytes(data.draw(damaged([original])))
    found = bounded(lambda: gbu.load_gbu(root, path.parent.name))
    path.write_bytes(original)
    assert found is None or found.test_labels.max() < found.num_unseen


NAMES = ["001.Black_footed_Albatross", "Laysan Albatross", "wren"]
LISTS = ["\n".join(NAMES).encode(), "é\n\n ü \r\nx".encode()]
TABLES = [
    b"class,family,islands\n" + b"".join(f"{n},f,seen\n".encode() for n in NAMES),
    b'class,family\n"wren","a ""b"""\n',
]


@given(content=damaged(LISTS) | st.binary(max_size=60))
@few_examples
def test_lists_of_classes_and_terms(bounded, content):
    path = bounded.folder / "list.txt"
    path.write_bytes(content)
    names = bounded(lambda: class_names.read_class_list(path))
    assert names is None or len(names) > 0
    bounded(lambda: articles.read_vocabulary(path))
    bounded(lambda: articles.read_stop_words(str(path)))


@given(content=damaged(TABLES) | st.binary(max_size=60))
@few_examples
def test_tables_of_families_and_splits(bounded, content):
    path, names = bounded.folder / "table.csv", [class_names.clean(name) for name in NAMES]
    path.write_bytes(content)
    families = bounded(lambda: splits.read_families(str(path), names))
    assert families is None or len(families) == len(names)
    bounded(lambda: splits.read_splits(path, names))
