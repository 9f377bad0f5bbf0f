"""The birds of CUB-200-2011 and NABirds with their Wikipedia text, as CIZSL reads them.

A dataset is the text of C classes, a TF-IDF matrix (C, V), and two splits of the classes into S
seen and U unseen ones: in the easy split an unseen bird has seen relatives, in the hard split whole
super-classes are unseen (Elhoseiny et al., CVPR 2017, arXiv 1709.01148). A split is five files: the
one-based ids of both groups and, for each group, the visual features (N, D) and the labels (N,) of
its images, where label k means the k-th id of the group. `read_split` alone opens and checks them:
`load_birds` raises the first error that it finds, `cizsl.verify` lists them all.

The published code normalises features by two numbers taken over the whole training matrix X,

    x -> (x - mean(X)) / var(X)

a division by the variance, not by the standard deviation. Its results depend on it, hence
`NORMALISATIONS["published"]`. The pivots of the GAN are the class means m_c = mean of x in class c.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.io
import torch
from torch import Tensor

from repro.errors import InputError

LAYOUTS = {
    "CUB": {
        "folder": "CUB2011",
        "text": "CUB_Porter_7551D_TFIDF_new.mat",
        "terms": "CUB_Porter_7551D_TFIDF_term.mat",
        "easy": {
            "ids": "train_test_split_easy.mat",
            "train_features": "pfc_feat_train.mat",
            "test_features": "pfc_feat_test.mat",
            "train_labels": "labels_train.pkl",
            "test_labels": "labels_test.pkl",
        },
        "hard": {
            "ids": "train_test_split_hard.mat",
            "train_features": "pfc_feat_train_hard.mat",
            "test_features": "pfc_feat_test_hard.mat",
            "train_labels": "labels_train_hard.pkl",
            "test_labels": "labels_test_hard.pkl",
        },
    },
    "NAB": {
        "folder": "NABird",
        "text": "NAB_Porter_13217D_TFIDF_new.mat",
        "terms": "NAB_Porter_13217D_TFIDF_term.mat",
        "easy": {
            "ids": "train_test_split_NABird_easy.mat",
            "train_features": "pfc_feat_train_easy.mat",
            "test_features": "pfc_feat_test_easy.mat",
            "train_labels": "labels_train.pkl",
            "test_labels": "labels_test.pkl",
        },
        "hard": {
            "ids": "train_test_split_NABird_hard.mat",
            "train_features": "pfc_feat_train_hard.mat",
            "test_features": "pfc_feat_test_hard.mat",
            "train_labels": "labels_train_hard.pkl",
            "test_labels": "labels_test_hard.pkl",
        },
    },
}


SOURCES = "data/README.md says where to get it, `cizsl data toy` makes a stand-in"


@dataclass(frozen=True)
class Finding:
    """One line of a report: `level` "error" (`load_birds` refuses) or "note" (it loads anyway)."""

    level: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.file}: {self.message}"


@dataclass(frozen=True, eq=False)
class SplitFiles:
    """What the files of one split hold; a file that cannot be read leaves a finding instead.

    arrays: by role. "text" (C, V), "train_features" (N, D), "test_features" (M, D): float32,
    C-contiguous. "train_labels" (N,), "test_labels" (M,), "train_ids" (S,), "test_ids" (U,): int64.
    sha256: file name to hex digest. findings: what is wrong, file by file.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class ZSLData:
    """One split of one dataset, as read: features are raw, not normalised.

    train_features: (N, D) float32, C-contiguous; train_labels: (N,) int64 in [0, S).
    test_features: (M, D) float32, C-contiguous; test_labels: (M,) int64 in [0, U).
    seen_text: (S, V), unseen_text: (U, V) float32; a class without an article is a row of zeros.
    seen_ids: (S,), unseen_ids: (U,) int64 class ids, one-based: label k is the class ids[k].
    files: file name to SHA-256 (hex) of each file read; toy: a `TOY.md` marks invented data.
    """

    dataset: str
    split: str
    train_features: np.ndarray
    train_labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray
    seen_text: np.ndarray
    unseen_text: np.ndarray
    seen_ids: np.ndarray
    unseen_ids: np.ndarray
    files: dict[str, str]
    toy: bool

    @property
    def num_seen(self) -> int:
        return len(self.seen_ids)

    @property
    def num_unseen(self) -> int:
        return len(self.unseen_ids)

    @property
    def feature_dim(self) -> int:
        return self.train_features.shape[1]

    @property
    def text_dim(self) -> int:
        return self.seen_text.shape[1]


def load_birds(root: str | Path, dataset: str = "CUB", split: str = "easy") -> ZSLData:
    """Read one split of "CUB" or "NAB"; `root` holds their folders, or is the dataset's own folder.

    Files are hashed and converted piece by piece: of a NABirds folder at full size (685 MiB) the
    peak memory was 1.03 times the arrays returned, stored as float32 and as float64 alike.

    Raises `InputError` for an unknown dataset or split, for missing files (all named at once), and
    for whatever `read_split` finds.
    """
    if dataset not in LAYOUTS or split not in ("easy", "hard"):
        names = " or ".join(LAYOUTS)
        raise InputError(f"no split {split!r} of {dataset!r}: expected easy or hard of {names}")
    folder = dataset_folder(root, dataset)
    if folder is None:
        raise InputError(f"{root}: no folder {LAYOUTS[dataset]['folder']} here; {SOURCES}")
    paths = split_files(folder, dataset, split).values()
    if missing := [path.name for path in paths if not path.is_file()]:
        raise InputError(f"{folder}: missing {', '.join(missing)}; {SOURCES}")
    read = read_split(folder, dataset, split)
    if errors := [finding for finding in read.findings if finding.level == "error"]:
        more = f" (`cizsl data verify` lists {len(errors) - 1} more)" if errors[1:] else ""
        raise InputError(f"{errors[0].file}: {errors[0].message}{more}")
    arrays = read.arrays
    text, seen, unseen = (arrays.pop(role) for role in ("text", "train_ids", "test_ids"))
    return ZSLData(
        dataset=dataset,
        split=split,
        seen_text=text[seen - 1],
        unseen_text=text[unseen - 1],
        seen_ids=seen,
        unseen_ids=unseen,
        files=read.sha256,
        toy=any((place / "TOY.md").is_file() for place in (folder, Path(root))),
        **arrays,
    )


def dataset_folder(root: str | Path, dataset: str) -> Path | None:
    """The folder of `dataset` in `root`, or `root` itself where that is the dataset's folder."""
    root, layout = Path(root), LAYOUTS[dataset]
    if (root / layout["folder"]).is_dir():
        return root / layout["folder"]
    named = root.is_dir() and root.resolve().name == layout["folder"]
    return root if named or (root / layout["text"]).is_file() else None


def split_files(folder: Path, dataset: str, split: str) -> dict[str, Path]:
    """The six files that a split needs, by role."""
    names = {"text": LAYOUTS[dataset]["text"], **LAYOUTS[dataset][split]}
    return {role: folder / name for role, name in names.items()}


def read_split(folder: Path, dataset: str, split: str) -> SplitFiles:
    """Hash, read and check the files of one split. It never raises for what is in a file."""
    paths, read = split_files(folder, dataset, split), SplitFiles()
    for role, path in paths.items():
        try:
            read.sha256[path.name] = sha256(path)
            read.arrays.update(_read(role, path))
        except InputError as error:
            read.findings.append(Finding("error", str(path), str(error)))
    for level, role, message in _problems(read.arrays):
        path = paths["ids" if role.endswith("ids") else role]
        read.findings.append(Finding(level, str(path), message))
    return read


def sha256(path: Path) -> str:
    """Hex digest of a file, read in small pieces."""
    if not path.is_file():
        raise InputError(f"missing; {SOURCES}")
    with _damage("readable"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(role: str, path: Path) -> dict[str, np.ndarray]:
    if role == "ids":
        return {f"{part}_ids": _ids(path, f"{part}_cid") for part in ("train", "test")}
    if role.endswith("labels"):
        return {role: read_labels(path).astype(np.int64)}
    return {role: _matrix(path, "PredicateMatrix" if role == "text" else "pfc_feat")}


def _ids(path: Path, variable: str) -> np.ndarray:
    ids = _matrix(path, variable).ravel()
    if not ((ids == np.round(ids)) & (np.abs(ids) < 2**24)).all():
        raise InputError(f"{variable} must hold whole numbers, exact in float32")
    return ids.astype(np.int64)


def _matrix(path: Path, variable: str) -> np.ndarray:
    names = []
    for found in mat_variables(path):
        if found.name == variable:
            return found.read()
        names.append(found.name)
    raise InputError(f"no variable {variable}; variables in the file: {names}")


def mat_variables(path: Path) -> Iterator[MatVariable]:
    """The variables of a MAT-file of version 5 to 7.2, each to be read before the next is taken.

    `scipy.io.loadmat` would die of a segmentation fault on many a damaged file, and would hold the
    whole matrix, transposed and in the type of the file, beside the one wanted.
    """
    with _damage("a MAT-file"), path.open("rb") as file:
        length = path.stat().st_size
        order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(_take(file, 128)[124:])
        if order is None:
            raise InputError("not a MAT-file of version 5 to 7.2 (MATLAB: save with -v7)")
        while file.tell() < length:
            kind, size = struct.unpack(order + "II", _take(file, 8))
            stop = file.tell() + size
            if stop > length:
                raise InputError(f"cut short: {length} bytes, expected {stop} or more")
            stream = Inflated(file, size) if kind == COMPRESSED else file
            if kind == COMPRESSED:
                kind, size = struct.unpack(order + "II", _take(stream, 8))
            if kind == MATRIX and size:
                yield _variable(stream, order)
            file.seek(stop)


MATRIX, COMPRESSED = 14, 15  # types of the elements of a MAT-file, and those of numbers:
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}


def _variable(stream: BinaryIO, order: str) -> MatVariable:
    flags, dims, name = (_short_element(stream, order) for _ in range(3))
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    (kind,) = struct.unpack(order + "I", flags[:4])
    dtype = None
    if 6 <= kind & 0xFF <= 15 and not kind & 0x800:  # numeric and not complex
        kind, size, stream = _element(stream, order)
        dtype = np.dtype(order + NUMBERS[kind])
        if min(shape) < 0 or math.prod(shape) * dtype.itemsize != size:
            raise InputError(f"damaged: {size} bytes of {dtype} for the shape {shape}")
    return MatVariable(name.decode("latin1"), shape, dtype, stream)


def _element(stream: BinaryIO, order: str) -> tuple[int, int, BinaryIO]:
    """Type, length and source of the next element: up to four bytes lie in its tag."""
    tag = _take(stream, 8)
    kind, size = struct.unpack(order + "II", tag)
    small = struct.unpack(order + "HH", tag[:4])[:: 1 if order == ">" else -1]
    return (small[1], small[0], io.BytesIO(tag[4:])) if small[0] else (kind, size, stream)


def _short_element(stream: BinaryIO, order: str) -> bytes:
    _, size, source = _element(stream, order)
    data = _take(source, min(size, 4096))
    if source is stream:
        _take(stream, -size % 8)
    return data


def _take(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise InputError("cut short, or damaged")
    return data


class Inflated(io.RawIOBase):
    """The next `size` bytes of a file, decompressed as they are read."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.left, self.inflate = file, size, zlib.decompressobj()

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count and not self.inflate.eof:
            packed = self.inflate.unconsumed_tail or self.file.read(min(self.left, 2**16))
            if not self.inflate.unconsumed_tail:
                self.left -= len(packed)
            if not packed:
                break
            data += self.inflate.decompress(packed, count - len(data))
        return data


@dataclass(frozen=True, eq=False)
class MatVariable:
    """A variable of a MAT-file. dtype: as stored, None for what is no dense matrix of reals."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype | None
    stream: BinaryIO

    def read(self) -> np.ndarray:
        """The matrix (rows, columns) as float32, C-contiguous, a few columns at a time."""
        if self.dtype is None or len(self.shape) != 2 or 0 in self.shape:
            raise InputError(f"{self.name} must be a dense matrix of real numbers, not empty")
        (rows, columns), size = self.shape, self.dtype.itemsize
        block = max(1, 2**22 // (rows * size))
        with _damage("a MAT-file"), np.errstate(over="ignore"):  # an infinity is reported later
            matrix = np.empty(self.shape, np.float32)
            for start in range(0, columns, block):
                count = min(block, columns - start)
                data = np.frombuffer(_take(self.stream, rows * count * size), self.dtype)
                matrix[:, start : start + count] = data.reshape(count, rows).T
            self.stream.read(64)  # what is compressed ends with a checksum, which this compares
        return matrix


def read_labels(path: Path) -> np.ndarray:
    """The labels (N,) in the file's own integer type; `LabelUnpickler` says what is admitted."""
    with _damage("a pickle of labels"), path.open("rb") as file:
        found = LabelUnpickler(file, encoding="latin1").load()
        labels = found.values if isinstance(found, PickledArray) else np.asarray(found).ravel()
    if labels.dtype.kind not in "iu" or not labels.size:
        raise InputError(f"labels must be integers, found {labels.size} of type {labels.dtype}")
    return labels


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Whatever goes wrong inside is the fault of the file, and becomes one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:100]
        raise InputError(f"not {what}, or cut short or damaged ({reason})") from error


class LabelUnpickler(pickle.Unpickler):
    """Reads arrays of integers, and lists of them, and runs nothing that the file names.

    A pickle is a program: it names functions and calls them. Those of labels need four of numpy's
    (numpy 2 moved `numpy.core` to `numpy._core`). A protocol-2 pickle written by Python 3 needs a
    fifth, since that protocol has no bytes and spells them `_codecs.encode(text, "latin1")`. They
    are replaced by the few lines below, since numpy's own can be made to corrupt memory. Any other
    name raises `InputError` before it is looked up, let alone called.
    """

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return ADMITTED[module.replace("numpy._core.", "numpy.core."), name]
        except KeyError:
            called = f"{module}.{name}"
            raise InputError(f"refused to call {called!r}, as labels need no such thing") from None


class PickledType:
    """numpy.dtype("u2", ...), whose byte order follows as the second item of its state."""

    def __init__(self, code: str, *_: object):
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def decode(self, data: bytes | str) -> np.ndarray:
        if self.code not in NUMBERS.values() or self.order not in "<>=|":
            raise InputError(f"labels must be integers, found the type {self.order}{self.code}")
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2: str is bytes
        return np.frombuffer(data, np.dtype(self.order + self.code))


class PickledArray:
    """What numpy.core.multiarray._reconstruct(numpy.ndarray, ...) makes, before it is filled."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, _, data = state
        self.values = dtype.decode(data)
        if math.prod(shape) != self.values.size:
            raise InputError(f"damaged: {self.values.size} labels for the shape {shape}")


ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): lambda array, shape, code: array(),
    ("numpy.core.multiarray", "scalar"): lambda dtype, data: dtype.decode(data)[0],
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledType,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}


Problems = Iterator[tuple[str, str, str]]  # level, role, message


def _problems(arrays: dict[str, np.ndarray]) -> Problems:
    """Whatever is wrong with the arrays that could be read, and among them."""
    for role, array in arrays.items():
        if not np.isfinite([array.min(), array.max()]).all():
            yield "error", role, "holds NaN, infinities or numbers beyond float32"
    for part in ("train", "test"):
        yield from _part_problems(part, arrays)
    both = np.intersect1d(*(arrays.get(role, []) for role in ("train_ids", "test_ids")))
    if both.size:
        yield "error", "test_ids", f"classes both seen and unseen: {_few(both)}"
    features = [arrays[r] for r in ("train_features", "test_features") if r in arrays]
    if len({x.shape[1] for x in features}) > 1:
        seen, unseen = (x.shape[1] for x in features)
        yield "error", "test_features", f"{unseen} features an image, but training has {seen}"


def _part_problems(part: str, arrays: dict[str, np.ndarray]) -> Problems:
    roles = (f"{part}_ids", f"{part}_labels", f"{part}_features")
    ids, labels, features = (arrays.get(role) for role in roles)
    if ids is not None:
        yield from _id_problems(part, ids, arrays.get("text"))
    if ids is not None and labels is not None:
        yield from _label_problems(part, labels, len(ids))
    if labels is not None and features is not None and len(labels) != len(features):
        yield "error", roles[1], f"{len(labels)} labels, but features of {len(features)} images"


def _id_problems(part: str, ids: np.ndarray, text: np.ndarray | None) -> Problems:
    unique, times = np.unique(ids, return_counts=True)
    if (times > 1).any():
        yield "error", f"{part}_ids", f"{part}_cid repeats the classes {_few(unique[times > 1])}"
    last = ids.max() if text is None else len(text)
    outside = unique[(unique < 1) | (unique > last)]
    if outside.size:
        expected = f"expected 1 to {last}, the rows of the text"
        yield "error", f"{part}_ids", f"{part}_cid holds {_few(outside)}; {expected}"


def _label_problems(part: str, labels: np.ndarray, classes: int) -> Problems:
    outside = np.setdiff1d(labels, np.arange(classes))
    if outside.size:
        expected = f"expected 0 to {classes - 1}, as {part}_cid has {classes} classes"
        yield "error", f"{part}_labels", f"labels {_few(outside)} are out of range; {expected}"
    empty = np.setdiff1d(np.arange(classes), labels)
    if empty.size:
        yield "note", f"{part}_labels", f"no images for the labels {_few(empty)}"


def _few(values: np.ndarray) -> str:
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(str, values[:5])) + more


def normalise(features: Tensor, reference: Tensor, kind: str) -> Tensor:
    """`NORMALISATIONS[kind]`: features (N, D), statistics from `reference` (M, D) only -> (N, D).

    `reference` is the training features, also where the features of unseen classes are normalised.
    Raises `InputError` for an unknown kind.
    """
    if kind not in NORMALISATIONS:
        raise InputError(f"no normalisation {kind!r}: expected {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[kind](features, reference)


def _published(features: Tensor, reference: Tensor) -> Tensor:
    variance, mean = torch.var_mean(reference, correction=0)
    if variance == 0:
        raise InputError("the training features are all one number: nothing to normalise by")
    return (features - mean) / variance


def _standardise(features: Tensor, reference: Tensor) -> Tensor:
    std, mean = torch.std_mean(reference, dim=0, correction=0)
    varies = std > 1e-6 * mean.abs()  # what is left of a constant feature is rounding
    return (features - mean) / torch.where(varies, std, 1)


def _l2(features: Tensor, reference: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features, dim=1)


def _none(features: Tensor, reference: Tensor) -> Tensor:
    return features


NORMALISATIONS = {
    "published": _published,  # (x - mean) / variance, two numbers for the whole matrix
    "standardise": _standardise,  # each feature to mean 0 and deviation 1; a constant one to 0
    "l2": _l2,  # each image to unit length; zero stays zero
    "none": _none,
}


def class_centroids(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """m_c = mean of the features (N, D) whose label (N,) is c -> (num_classes, D).

    A class without images gets zeros. On CUDA the order of the sum, hence the last bit, varies
    unless torch.use_deterministic_algorithms is on.
    """
    sums = features.new_zeros(num_classes, features.shape[1]).index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    return sums / counts[:, None]


@dataclass(frozen=True, eq=False)
class BirdSplit:
    """What `write_birds` writes for one split of the classes.

    train_ids, test_ids: (S,), (U,) one-based class ids, rows of the text counted from one.
    train_features, test_features: (N, D), (M, D) float.
    train_labels, test_labels: (N,), (M,) integers in [0, S), [0, U), in the order of the ids.
    """

    train_ids: np.ndarray
    test_ids: np.ndarray
    train_features: np.ndarray
    train_labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray


def write_birds(
    root: str | Path,
    dataset: str,
    text: np.ndarray,
    terms: Sequence[str],
    splits: Mapping[str, BirdSplit],
    *,
    compress: bool = False,
) -> Path:
    """Write the published layout under `root` and return the dataset's folder.

    text: (classes, V); terms: V strings; splits: "easy" and "hard" to a `BirdSplit` (either may be
    left out). The published file names are kept whatever V is, because readers look for those
    names: a `7551D` in a name says nothing about the number of terms in the file.
    """
    layout = LAYOUTS[dataset]
    folder = Path(root) / layout["folder"]
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, variables: dict[str, np.ndarray]) -> None:
        scipy.io.savemat(folder / name, variables, do_compression=compress)

    save(layout["text"], {"PredicateMatrix": text})
    save(layout["terms"], {"TFIDF_Term": np.array(terms, dtype=np.str_)})
    for name, split in splits.items():
        files = layout[name]
        ids = {"train_cid": split.train_ids, "test_cid": split.test_ids}
        save(files["ids"], {key: np.asarray(value)[None] for key, value in ids.items()})
        for part in ("train", "test"):
            save(files[f"{part}_features"], {"pfc_feat": getattr(split, f"{part}_features")})
            labels = np.asarray(getattr(split, f"{part}_labels"), dtype=np.uint16)
            (folder / files[f"{part}_labels"]).write_bytes(_published_pickle(labels))
    return folder


def _published_pickle(labels: np.ndarray) -> bytes:
    """Protocol 2 under numpy's old module name, which numpy 1 and the published code can read."""
    data = pickle.dumps(labels, protocol=2)
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
