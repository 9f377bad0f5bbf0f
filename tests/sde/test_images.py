"""Published formats: read as they are defined, refused where they are not what they should be."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.errors import InputError
from sde import data, imagefiles, images, published
from tests.oracles_sde import generator

MNIST = {"train": 50, "t10k": 20}  # images of the small stand-ins
RECORDS = 12  # of a CIFAR-10 batch of theirs
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def idx(array, magic=None):
    magic = magic or (2049 if array.ndim == 1 else 2051)
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """``root`` of a small data set in the files of MNIST, and its arrays by file."""
    arrays = {}
    for part, count in MNIST.items():
        arrays[f"{part}-images-idx3-ubyte"] = pixels(count, 28, 28, seed=count)
        arrays[f"{part}-labels-idx1-ubyte"] = pixels(count, seed=count) % 10
    sums = {name: hashlib.md5(idx(array)).hexdigest() for name, array in arrays.items()}
    monkeypatch.setitem(published.CONTENTS, "mnist", sums)
    monkeypatch.setitem(published.COUNTS, "mnist", MNIST)
    (tmp_path / "mnist").mkdir()
    for name, array in arrays.items():
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path, arrays


def load_mnist(root, **how):
    return data.load("mnist", root=str(root), download=False, **how)


def test_mnist_is_trained_on_its_training_images_and_held_out_on_its_test_images(mnist):
    root, arrays = mnist
    loaded = load_mnist(root)
    assert loaded.declaration.name == "mnist" and loaded.declaration.shape == (1, 28, 28)
    assert loaded.declaration.classes == tuple("0123456789")
    for split, part in ((loaded.train, "train"), (loaded.heldout, "t10k")):
        assert np.array_equal(split.values[:, 0], arrays[f"{part}-images-idx3-ubyte"])
        assert np.array_equal(split.labels, arrays[f"{part}-labels-idx1-ubyte"])
    assert load_mnist(root / "mnist").checksums == loaded.checksums  # the folder itself is given


@pytest.mark.parametrize(
    ("split", "part", "heldout", "count", "name"),
    [
        ("test", "t10k", 5, 5, "mnist, test images cut into 15 + 5"),
        ("test", "t10k", 0.1, 2, "mnist, test images cut into 18 + 2"),
        ("train", "train", 0.5, 25, "mnist, training images cut into 25 + 25"),
    ],
)
def test_one_part_alone_is_cut_in_two_and_says_so(mnist, split, part, heldout, count, name):
    root, arrays = mnist
    other = "train" if part == "t10k" else "t10k"
    for kind in ("images-idx3", "labels-idx1"):  # not needed, nor missed
        (root / "mnist" / f"{other}-{kind}-ubyte.gz").unlink()
    loaded, again, shuffled = (
        load_mnist(root, split=split, heldout=heldout, seed=seed) for seed in (1, 1, 2)
    )
    assert loaded.declaration.name == loaded.heldout.declaration.name == name
    assert len(loaded.heldout) == count
    assert loaded.checksums == again.checksums != shuffled.checksums
    pairs = {
        (image.tobytes(), int(label))
        for half in (loaded.train, loaded.heldout)
        for image, label in zip(half.values.numpy(), half.labels, strict=True)
    }
    stored, labels = (arrays[f"{part}-{kind}-ubyte"] for kind in ("images-idx3", "labels-idx1"))
    expected = zip(stored, labels, strict=True)
    assert pairs == {(image.tobytes(), int(label)) for image, label in expected}


def test_files_may_be_unpacked(mnist):
    root, _ = mnist
    before = load_mnist(root).checksums
    for file in (root / "mnist").iterdir():
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert load_mnist(root).checksums == before


def test_range_flips_and_dequantisation_are_as_asked(mnist):
    root, _ = mnist
    loaded = load_mnist(root, centred=False, dequantise=False, flip=True)
    assert loaded.train.flip and not loaded.heldout.flip
    drawn = loaded.train.draw(50, generator(1))
    assert torch.equal((drawn * 255).round() / 255, drawn) and drawn.min() == 0 and drawn.max() == 1
    spread = load_mnist(root).train.draw(50, generator(1))
    assert -1 <= spread.min() < -0.99 and 0.99 < spread.max() < 1


IMAGES = "t10k-images-idx3-ubyte"
FEW = pixels(20, 28, 28, seed=20)
DAMAGE = {
    "another magic number": (idx(FEW, 2052), r"not IDX: begins with 2052, 2051 expected"),
    "labels as images": (idx(pixels(16 + 20 * 784 - 8)), r"not IDX: begins with 2049, 2051 exp"),
    "another count": (idx(FEW[:19]), r"declares 19 x 28 x 28, 20 x 28 x 28 expected"),
    "another size": (idx(pixels(20, 28, 27)), r"declares 20 x 28 x 27, 20 x 28 x 28 expected"),
    "too long": (idx(FEW) + b"0", r"holds more than the 15696 bytes expected"),
    "too short": (idx(FEW)[:-1], r"damaged: 15695 bytes where its header asks for 15696"),
    "no header": (b"\0\0", r"damaged: 2 bytes, too few"),
    "empty": (b"", r"damaged: 0 bytes, too few"),
    "another pixel": (idx(FEW ^ 1), r"not the published mnist: checksum \w{32}, \w{32} expected"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_idx_files_are_named(mnist, kind):
    root, _ = mnist
    content, expected = DAMAGE[kind]
    file = root / "mnist" / f"{IMAGES}.gz"
    file.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=f"{IMAGES}.gz: {expected}") as caught:
        load_mnist(root)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked_further_than_a_whole_file_would_reach(mnist):
    """Its end is cut off, which nobody finds who does not read so far."""
    root, _ = mnist
    (root / "mnist" / f"{IMAGES}.gz").write_bytes(gzip.compress(bytes(10**7))[:-8])
    with pytest.raises(InputError, match="holds more than the 15696 bytes expected"):
        load_mnist(root)


@pytest.mark.parametrize("cut", [0, 5, 300, -9, -1])
def test_truncated_gzip_files_are_named(mnist, cut):
    root, _ = mnist
    file = root / "mnist" / f"{IMAGES}.gz"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InputError, match=f"{IMAGES}.gz: damaged"):
        load_mnist(root)


def test_files_of_another_data_set_are_known_by_their_contents(mnist, monkeypatch):
    root, arrays = mnist
    sums = {name: "0" * 32 for name in arrays}
    monkeypatch.setitem(published.CONTENTS, "fashion_mnist", sums)
    monkeypatch.setitem(published.COUNTS, "fashion_mnist", MNIST)
    (root / "mnist").rename(root / "fashion_mnist")
    with pytest.raises(InputError, match="not the published fashion_mnist: the file of mnist"):
        data.load("fashion_mnist", root=str(root), download=False)


def test_missing_files_are_asked_for_with_checksum_and_place(tmp_path):
    with pytest.raises(InputError) as caught:
        load_mnist(tmp_path)
    said = str(caught.value)
    assert str(tmp_path / "mnist" / "train-images-idx3-ubyte.gz") in said and "\n" not in said
    assert published.DISTRIBUTED["mnist"]["train-images-idx3-ubyte.gz"] in said


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A folder for sources, the batches of both versions, and the arrays."""
    monkeypatch.setattr(imagefiles, "RECORDS", RECORDS)
    values = {name: pixels(RECORDS, 3072, seed=i) for i, name in enumerate(NAMES)}
    labels = {name: pixels(RECORDS, seed=i) % 10 for i, name in enumerate(NAMES)}
    files = {}
    for name in NAMES:
        records = np.concatenate([labels[name][:, None], values[name]], 1)
        files[f"{name}.bin"] = records.tobytes()
        batch = {b"batch_label": b"x", b"labels": labels[name].tolist(), b"data": values[name]}
        files[name] = pickle.dumps(batch, protocol=2)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setitem(published.CONTENTS, "cifar10", sums)
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
    return data.load("cifar10", root=str(folder.parent), download=False, **how)


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
    assert loaded.declaration.shape == (3, 32, 32) and loaded.declaration.name == "cifar10"
    assert loaded.declaration.classes[3] == "cat"
    for split, names in ((loaded.train, NAMES[:5]), (loaded.heldout, NAMES[5:])):
        expected = np.concatenate([values[name] for name in names])
        red = split.values[:, 0].flatten(1)  # the first 1024 bytes of a record
        assert np.array_equal(red, expected[:, :1024])
        assert np.array_equal(split.values.flatten(1), expected)
        assert np.array_equal(split.labels, np.concatenate([labels[name] for name in names]))
    assert load_cifar10(folder, split="test", heldout=0.25).declaration.name == (
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


def save_npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


def test_npz_grey_and_colour_with_and_without_labels_and_test_images(tmp_path):
    grey, colour = pixels(30, 6, 5), pixels(30, 6, 5, 3)
    loaded = data.load("npz", path=save_npz(tmp_path / "grey.npz", images=grey), heldout=10)
    assert loaded.declaration.shape == (1, 6, 5)
    assert loaded.declaration.name == "grey.npz, images cut into 20 + 10"
    both = torch.cat([loaded.train.values, loaded.heldout.values])
    assert sorted(both.numpy().tobytes()) == sorted(grey.tobytes()) and loaded.train.labels is None

    labels = np.arange(30) % 4
    arrays = dict(images=colour, labels=labels, test_images=colour[:7], test_labels=labels[:7])
    path = save_npz(tmp_path / "colour.npz", **arrays)
    loaded = data.load("npz", path=path)
    assert loaded.declaration.name == "colour.npz" and loaded.declaration.classes == tuple("0123")
    assert np.array_equal(loaded.train.values[:, 2], colour[..., 2])
    assert np.array_equal(loaded.train.labels, labels) and len(loaded.heldout) == 7
    cut = data.load("npz", path=path, split="test", heldout=3)
    assert (len(cut.train), len(cut.heldout)) == (4, 3) and "test images" in cut.declaration.name
    cut = data.load("npz", path=path, split="train", heldout=3)
    assert (len(cut.train), len(cut.heldout)) == (27, 3)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x": pixels(3, 4, 4)}, "no array 'images'; it holds x"),
        ({"images": np.zeros((3, 4, 4))}, "3 x 4 x 4 of float64, expected uint8"),
        ({"images": pixels(3, 4)}, "3 x 4 of uint8, expected uint8"),
        ({"images": pixels(0, 4, 4)}, "0 x 4 x 4 of uint8"),
        ({"images": pixels(3, 4, 4), "labels": np.zeros(2, int)}, "labels is 2 of int64"),
        ({"images": pixels(3, 4, 4), "labels": np.array([0, 1, -1])}, "whole numbers from 0"),
        ({"images": pixels(3, 4, 4), "labels": np.zeros(3)}, "labels is 3 of float64"),
        ({"images": np.array([None] * 3)}, "damaged: ValueError: Object arrays cannot be loaded"),
        ({"images": pixels(3, 4, 4), "test_images": pixels(3, 4, 5)}, r"shape \(1, 4, 4\)"),
    ],
)  # fmt: skip
def test_bad_npz_files_are_named(tmp_path, arrays, expected):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=f"a.npz.*{expected}") as caught:
        data.load("npz", path=str(path), heldout=1)
    assert "\n" not in str(caught.value)


def test_an_npz_that_declares_more_than_the_memory_is_not_read(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"")
        archive.filelist[0].file_size = 2**50
        archive.filelist[0].extra = b""
    with pytest.raises(InputError, match=r"bomb.npz: declares 1125899.9 GB, more than the"):
        data.load("npz", path=str(path))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (dict(heldout=30), "data.heldout=30 of 30 images leaves none to train on"),
        (dict(heldout=4000), "give a smaller count, or a share such as 0.1"),
        (dict(split="test"), "no array 'test_images', which data.split=test asks for"),
        (dict(path="none.npz"), "none.npz: damaged or not readable: No such file or directory"),
        (dict(path=None), "data.path: npz needs one"),
    ],
)
def test_bad_requests_are_refused(tmp_path, request_, expected):
    how = dict(path=save_npz(tmp_path / "a.npz", images=pixels(30, 4, 4))) | request_
    with pytest.raises(InputError, match=expected):
        data.load("npz", **how)


@given(at=st.integers(0, 10**6), byte=st.integers(1, 255), cut=st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_damage_to_an_npz_is_one_line_or_harmless(tmp_path_factory, at, byte, cut):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, images=pixels(3, 4, 4), labels=np.arange(3))
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at] ^= byte
    path.write_bytes(content[:at] if cut else content)
    try:
        loaded, _ = imagefiles.read_npz(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert np.array_equal(loaded.values[:, 0], pixels(3, 4, 4))


def test_real_mnist_test_digits(shared):
    """The first labels and the counts of the classes are known to everyone who has seen them."""
    loaded = data.load("mnist", root=str(shared / "data"), split="test", heldout=1000)
    assert (len(loaded.train), len(loaded.heldout)) == (9000, 1000)
    labels = torch.cat([loaded.train.labels, loaded.heldout.labels])
    assert labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    folder = shared / "data/mnist"
    files = [folder / f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    whole = imagefiles.read_mnist("mnist", *files)
    assert whole.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert whole.values.mean() / 255 == pytest.approx(0.1325, abs=1e-4)


def test_the_readers_are_those_of_the_configuration():
    from sde.dataconfig import IMAGES as configured

    assert set(configured) == {"digits", *images.READERS}
