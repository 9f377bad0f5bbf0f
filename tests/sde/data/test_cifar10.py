"""CIFAR-10 in every form in which it is distributed, damaged and hostile ones among them."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from repro.errors import InputError
from sde.data import catalogue, formats, registry
from tests.sde.data.test_image_datasets import pixels

RECORDS = 12  # of a CIFAR-10 batch of theirs


NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A folder for sources, the batches of both versions, and the arrays."""
    monkeypatch.setattr(formats, "RECORDS", RECORDS)
    values = {name: pixels(RECORDS, 3072, seed=i) for i, name in enumerate(NAMES)}
    labels = {name: pixels(RECORDS, seed=i) % 10 for i, name in enumerate(NAMES)}
    files = {}
    for name in NAMES:
        records = np.concatenate([labels[name][:, None], values[name]], 1)
        files[f"{name}.bin"] = records.tobytes()
        batch = {b"batch_label": b"x", b"labels": labels[name].tolist(), b"data": values[name]}
        files[name] = pickle.dumps(batch, protocol=2)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setitem(catalogue.CONTENTS, "cifar10", sums)
    (tmp_path / "cifar10").mkdir()
    return tmp_path / "cifar10", files, values, labels


def tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def unpack(path, files):
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)


def load_cifar10(folder, **how):
    return registry.load("cifar10", root=str(folder.parent), download=False, **how)


SOURCES = {
    "cifar-10-binary.tar.gz": tar,
    "cifar-10-python.tar.gz": tar,
    "cifar-10-batches-bin": unpack,
    "cifar-10-batches-py": unpack,
}


@pytest.mark.parametrize("source", SOURCES)
def test_cifar10_in_every_distributed_form(cifar, source):
    folder, files, values, labels = cifar
    binary = "bin" in source
    mine = {name: files[name] for name in files if name.endswith(".bin") == binary}
    SOURCES[source](folder / source, {"readme.html": b"hello", **mine})
    loaded = load_cifar10(folder)
    assert loaded.spec.shape == (3, 32, 32) and loaded.spec.name == "cifar10"
    assert loaded.spec.classes[3] == "cat"
    for split, names in ((loaded.train, NAMES[:5]), (loaded.heldout, NAMES[5:])):
        expected = np.concatenate([values[name] for name in names])
        red = split.values[:, 0].flatten(1)  # the first 1024 bytes of a record
        assert np.array_equal(red, expected[:, :1024])
        assert np.array_equal(split.values.flatten(1), expected)
        assert np.array_equal(split.labels, np.concatenate([labels[name] for name in names]))
    assert load_cifar10(folder, split="test", heldout=0.25).spec.name == (
        "cifar10, test images cut into 9 + 3"
    )


class Calls:
    """An object whose pickle calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def batch(labels=None, values=None):
    return {
        "labels": labels or [0] * RECORDS,
        "data": pixels(RECORDS, 3072) if values is None else values,
    }


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("data_batch_2.bin", bytes(RECORDS * 3073 - 1), "36875 bytes, 36876 expected: 12 records"),
        ("data_batch_2.bin", b"\x0a" * (RECORDS * 3073), r"labels must lie in 0\.\.9, found 10"),
        ("data_batch_2.bin", bytes(RECORDS * 3073), "not the published cifar10: checksum"),
        ("data_batch_2.bin", None, "lacks data_batch_2.bin"),
        ("data_batch_2", pickle.dumps(batch(labels=[11] * RECORDS), 2), r"lie in 0\.\.9, found 11"),
        ("data_batch_2", pickle.dumps(batch(labels=[0.5] * RECORDS), 2), "whole numbers under"),
        ("data_batch_2", pickle.dumps(batch(values=pixels(RECORDS, 3071)), 2), "3071 of uint8"),
        ("data_batch_2", pickle.dumps(batch(values=np.ones((12, 3072))), 2), "of float64"),
        ("data_batch_2", pickle.dumps([1, 2], 2), "damaged"),
        ("data_batch_2", pickle.dumps(Calls(os.system, "touch ran"), 2), "refused to call"),
        ("data_batch_2", b"", "damaged"),
    ],
)  # fmt: skip
def test_damaged_and_hostile_batches_are_named(cifar, name, content, expected, monkeypatch):
    folder, files, *_ = cifar
    monkeypatch.chdir(folder)
    files = {other: files[other] for other in files if other.endswith(".bin") == (".bin" in name)}
    files[name] = content
    if content is None:
        del files[name]
    source = "cifar-10-binary.tar.gz" if ".bin" in name else "cifar-10-python.tar.gz"
    tar(folder / source, files)
    with pytest.raises(InputError, match=expected) as caught:
        load_cifar10(folder)
    assert source in str(caught.value) and "\n" not in str(caught.value)
    assert not (folder / "ran").exists()


def test_an_archive_with_an_absurd_member_is_not_unpacked(cifar):
    folder, *_ = cifar
    member = tarfile.TarInfo("cifar/data_batch_1.bin")
    member.size = 10**12
    head = gzip.compress(member.tobuf() + bytes(10**6))
    (folder / "cifar-10-binary.tar.gz").write_bytes(head)
    with pytest.raises(
        InputError, match=r"data_batch_1\.bin declares 1000000000000 bytes: refused"
    ):
        load_cifar10(folder)
