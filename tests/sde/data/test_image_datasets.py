"""The files of MNIST: read as they are defined, refused where they are not what they should be."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
import torch

from repro.errors import InputError
from sde.data import catalogue, formats, image_datasets, registry
from tests.helpers.oracles_sde import generator

MNIST = {"train": 50, "t10k": 20}  # images of the small stand-ins


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
    monkeypatch.setitem(catalogue.CONTENTS, "mnist", sums)
    monkeypatch.setitem(catalogue.COUNTS, "mnist", MNIST)
    (tmp_path / "mnist").mkdir()
    for name, array in arrays.items():
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path, arrays


def load_mnist(root, **how):
    return registry.load("mnist", root=str(root), download=False, **how)


def test_mnist_is_trained_on_its_training_images_and_held_out_on_its_test_images(mnist):
    root, arrays = mnist
    loaded = load_mnist(root)
    assert loaded.spec.name == "mnist" and loaded.spec.shape == (1, 28, 28)
    assert loaded.spec.classes == tuple("0123456789")
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
    assert loaded.spec.name == loaded.heldout.spec.name == name
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
    monkeypatch.setitem(catalogue.CONTENTS, "fashion_mnist", sums)
    monkeypatch.setitem(catalogue.COUNTS, "fashion_mnist", MNIST)
    (root / "mnist").rename(root / "fashion_mnist")
    with pytest.raises(InputError, match="not the published fashion_mnist: the file of mnist"):
        registry.load("fashion_mnist", root=str(root), download=False)


def test_missing_files_are_asked_for_with_checksum_and_place(tmp_path):
    with pytest.raises(InputError) as caught:
        load_mnist(tmp_path)
    said = str(caught.value)
    assert str(tmp_path / "mnist" / "train-images-idx3-ubyte.gz") in said and "\n" not in said
    assert catalogue.DISTRIBUTED["mnist"]["train-images-idx3-ubyte.gz"] in said


def test_real_mnist_test_digits(shared):
    """The first labels and the counts of the classes are known to everyone who has seen them."""
    loaded = registry.load("mnist", root=str(shared / "data"), split="test", heldout=1000)
    assert (len(loaded.train), len(loaded.heldout)) == (9000, 1000)
    labels = torch.cat([loaded.train.labels, loaded.heldout.labels])
    assert labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    folder = shared / "data/mnist"
    files = [folder / f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    whole = formats.read_mnist("mnist", *files)
    assert whole.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert whole.values.mean() / 255 == pytest.approx(0.1325, abs=1e-4)


def test_the_readers_are_those_of_the_configuration():
    from sde.config.data import IMAGES as configured

    assert set(configured) == {"digits", *image_datasets.READERS}
