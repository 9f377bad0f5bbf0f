"""Numbers out of pickles: as Python 2 and 3 wrote them, and nothing that they ask for is run."""

import io
import os
import pickle

import numpy as np
import pytest

from repro.errors import InputError
from repro.safe_pickle import NumberUnpickler

PYTHON_2 = (  # {"labels": [1, 2], "data": array of 2 x 3 bytes}, as cPickle wrote CIFAR-10
    b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x01K\x02eU\x04dataq\x04"
    b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07"
    b"U\x01bq\x08\x87q\tRq\n(K\x01K\x02K\x03\x86q\x0bcnumpy\ndtype\nq\x0cU\x02u1q\rK\x00K\x01\x87"
    b"q\x0eRq\x0f(K\x03U\x01|q\x10NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x11b\x89"
    b"U\x06abcdefq\x12tq\x13bu."
)


def read(content, encoding="latin1"):
    return NumberUnpickler(io.BytesIO(content), encoding=encoding).load()


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


def test_objects_are_no_numbers():
    with pytest.raises(InputError, match=r"expected numbers, found the type .*O8"):
        read(pickle.dumps(np.array([None]), 2))
