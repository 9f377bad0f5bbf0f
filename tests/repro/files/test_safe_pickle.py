"""Numbers out of pickles: as Python 2 and 3 wrote them, and nothing that they ask for is run."""

import os
import pickle
import pickletools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.errors import InputError
from repro.files.safe_pickle import load_numbers

PYTHON_2 = (  # {"labels": [1, 2], "data": array of 2 x 3 bytes}, as cPickle wrote CIFAR-10
    b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x01K\x02eU\x04dataq\x04"
    b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07"
    b"U\x01bq\x08\x87q\tRq\n(K\x01K\x02K\x03\x86q\x0bcnumpy\ndtype\nq\x0cU\x02u1q\rK\x00K\x01\x87"
    b"q\x0eRq\x0f(K\x03U\x01|q\x10NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x11b\x89"
    b"U\x06abcdefq\x12tq\x13bu."
)


def read(content, encoding="latin1"):
    return load_numbers(content, encoding)


@pytest.mark.parametrize(("encoding", "key"), [("bytes", b"data"), ("latin1", "data")])
def test_a_dict_that_python_2_wrote(encoding, key):
    assert np.array_equal(pickle.loads(PYTHON_2, encoding=encoding)[key], read_array(key, encoding))
    assert read_array(key, encoding).tobytes() == b"abcdef"


def read_array(key, encoding):
    return read(PYTHON_2, encoding)[key].array


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "f4", "f8"])
def test_arrays_by_rows_and_by_columns(dtype, protocol):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    for each in (array, np.asfortranarray(array)):
        found = read(pickle.dumps(each, protocol)).array
        assert found.dtype == each.dtype and np.array_equal(found, each)


class Calls:
    """An object whose pickle calls a function when it is read."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"refused to call '\w+\.system'"):
        read(pickle.dumps({"data": Calls()}, protocol))
    assert not (tmp_path / "ran").exists()


def test_an_array_that_lies_about_its_shape():
    with pytest.raises(InputError, match=r"damaged: 6 numbers for the shape \(2, 4\)"):
        read(PYTHON_2.replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"))


def chain(link):
    """80 objects, each of which holds the one before twice."""
    return b"".join(link % (n, n, n + 1) for n in range(80))


BOMBS = {
    "2^80 entries": b"]q\x00" + chain(b"](h%ch%ceq%c") + b".",
    "keys that take 2^80 steps": b"}N\x85q\x00" + chain(b"h%ch%c\x86q%c") + b"Ns.",
    "a list in itself": b"]q\x00h\x00a.",
    "a text 4000 times": b"](X\x00\x10\x00\x00" + b"x" * 4096 + b"q\x00" + b"h\x00" * 4000 + b"e.",
    "a length beyond the file": b"\x8e" + b"\xff" * 7 + b"\x3f.",
    "deep tuples as a key": b"}N" + b"\x85" * 10**5 + b"Ns.",
    "many lists": b"](" + b"]" * 10**5 + b"e.",
    "a number of 5000 digits": b"I" + b"9" * 5000 + b"\n.",
}


def test_a_large_place_in_the_memo_takes_no_memory():
    tracemalloc.start()
    try:
        assert read(b"]r" + (2**29).to_bytes(4, "little") + b"K\x01a.") == [1]
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_that_ask_for_much_are_refused_at_once(name):
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            read(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 200


@given(
    st.recursive(st.integers() | st.text() | st.floats(allow_nan=False), st.lists, max_leaves=20),
    st.integers(0, 4),
)
def test_lists_are_what_pickle_makes_of_them(value, protocol):
    value = {"a": value, "b": [None, True]}
    assert read(pickletools.optimize(pickle.dumps(value, protocol))) == value


def test_objects_are_no_numbers():
    with pytest.raises(InputError, match=r"expected numbers, found the type .*O8"):
        read(pickle.dumps(np.array([None]), 2))
