"""Resumable extraction of features from a folder of images.

The images are divided into batches of a fixed size; the last one is filled up with zeros. Each
finished batch is written to a file of its own, so that an extraction that was killed computes only
the batches that are missing. The result is the same to the last bit, because no batch depends on
another. `plan.json` beside these files describes the extraction, and another extraction refuses to
continue it.

The result is `images.npz`: features (N, D), float16 or float32; labels (N,), the class of each
image, counted from 0; image_names (N,); and `images.json`, the record of the extraction.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor
from tqdm import tqdm

from cizsl.data.birds_layout import EXTRACTED
from cizsl.data.matfile import damage
from cizsl.prepare.backbones import Backbone
from cizsl.prepare.images import Preparation, read_image
from cizsl.prepare.parts import PartBackbone
from repro.errors import InputError, InputErrors
from repro.files.atomic import write_arrays, write_atomically
from repro.signals import Interrupted, StopRequest

RESULT, RECORD, PARTS = EXTRACTED, "images.json", ".features"


@dataclass(frozen=True)
class Images:
    """The images of a dataset: their folder, N paths, and labels (N,)."""

    source: Path
    paths: Sequence[Path]
    labels: np.ndarray

    @cached_property
    def names(self) -> list[str]:
        return [path.relative_to(self.source).as_posix() for path in self.paths]

    def sha256(self) -> str:
        """Return a digest of names, classes, sizes and times of change."""
        lines = zip(self.names, self.labels, (path.stat() for path in self.paths), strict=True)
        text = "".join(f"{n} {c} {s.st_size} {s.st_mtime_ns}\n" for n, c, s in lines)
        return hashlib.sha256(text.encode()).hexdigest()


def extract(
    images: Images,
    folder: Path,
    backbone: Backbone | PartBackbone,
    preprocessing: Preparation,
    *,
    device: torch.device,
    batch: int = 64,
    dtype: str = "float32",
    workers: int = 4,
    skip_bad: bool = False,
    overwrite: bool = False,
) -> dict:
    """Write `RESULT` and `RECORD` into `folder`, and return the record.

    Args:
        images: the images and their labels.
        folder: the dataset's folder.
        backbone: the network.
        preprocessing: how images are prepared for it.
        device: where it runs.
        batch: images of a batch.
        dtype: "float32"; or "float16", of the file and, on CUDA, of the computation (autocast).
        workers: threads that decode images.
        skip_bad: leave out images that cannot be decoded.
        overwrite: replace the result of another extraction.

    Nothing is computed where the result of the same extraction is there. Raises `Interrupted` after
    a signal, with all finished batches kept, and `InputError` for the result of another extraction,
    images that cannot be decoded (all listed), and features with NaN.
    """
    plan = {
        "images": {"count": len(images.paths), "sha256": images.sha256()},
        "backbone": backbone.origin,
        "preprocessing": preprocessing.settings(),
        "batch": batch,
        "dtype": dtype,
        "device": device.type,
        "versions": {"torch": torch.__version__, "pillow": PIL.__version__},
    }
    plan = json.loads(json.dumps(plan))  # tuples become the lists that a file would hold
    if (folder / RESULT).exists():
        record = _record_of(folder / RECORD)
        if not (changes := _changes(plan, record.get("plan", {}))):
            return record
        if not overwrite:
            what = f"is there, of other {', '.join(changes)}"
            raise InputError(f"{folder / RESULT}: {what}; --overwrite replaces it")
    with _parts_of(folder, plan) as parts:
        _fill(parts, images, backbone, preprocessing, device, batch, dtype, workers)
        record = _gather(parts, images, folder, plan, skip_bad)
        shutil.rmtree(parts)
    return record


def _record_of(path: Path) -> dict:
    try:
        with damage("JSON"):
            found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            return found if isinstance(found, dict) else {}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _changes(plan: dict, other: dict) -> list[str]:
    return [name for name in plan if plan[name] != other.get(name)]


@contextlib.contextmanager
def _parts_of(folder: Path, plan: dict) -> Iterator[Path]:
    """Hold the folder of finished batches of this plan, which one process may use at a time."""
    parts = folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    with open(parts / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process is extracting into it") from None
        there = _record_of(parts / "plan.json")
        if there and (changes := _changes(plan, there)):
            raise InputError(
                f"{parts}: holds batches of other {', '.join(changes)}; give the same options and "
                "images to go on with them, or remove the folder"
            )
        text = json.dumps(plan, indent=2) + "\n"
        write_atomically(parts / "plan.json", lambda file: file.write(text), mode="w")
        for leftover in folder.glob(".images.*.part"):  # of a process that was killed while writing
            leftover.unlink()
        yield parts


def _fill(
    parts: Path,
    images: Images,
    backbone: Backbone | PartBackbone,
    preprocessing: Preparation,
    device: torch.device,
    batch: int,
    dtype: str,
    workers: int,
) -> None:
    """Compute and write every batch that has no file yet."""
    starts = range(0, len(images.paths), batch)
    todo = [start for start in starts if not _part(parts, start).exists()]
    read = partial(read_image, preparation=preprocessing)
    blank = torch.zeros(preprocessing.shape)
    with (
        StopRequest() as stop,
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(images.paths), unit="image", desc="features") as bar,
    ):
        bar.update(len(images.paths) - sum(len(images.paths[s : s + batch]) for s in todo))
        for start, found in _ahead(pool, read, images.paths, todo, batch):
            faults = ["" if isinstance(image, Tensor) else image for image in found]
            good = [image if isinstance(image, Tensor) else blank for image in found]
            stacked = torch.stack(good + [blank] * (batch - len(good))).to(device)
            with torch.autocast(device.type, torch.float16, enabled=_halves(dtype, device)):
                features = backbone(stacked)[: len(good)].float().cpu().numpy()
            with np.errstate(over="ignore"):
                features = features.astype(dtype)
            for row, name in enumerate(images.names[start : start + batch]):
                if not faults[row] and not np.isfinite(features[row]).all():
                    hint = "; float32 may hold them" if dtype == "float16" else ""
                    raise InputError(f"{name}: its features hold NaN or infinities{hint}")
            arrays = {"features": features, "faults": np.array(faults, np.str_)}
            write_arrays(_part(parts, start), arrays)
            bar.update(len(good))
            if stop.requested:
                pool.shutdown(cancel_futures=True)
                raise Interrupted(f"the same command goes on after {bar.n} of {bar.total} images")


def _halves(dtype: str, device: torch.device) -> bool:
    return dtype == "float16" and device.type == "cuda"


def _part(parts: Path, start: int) -> Path:
    return parts / f"{start:09d}.npz"


def _ahead(
    pool: ThreadPoolExecutor, read, paths: Sequence[Path], starts: Sequence[int], batch: int
) -> Iterator[tuple[int, list[Tensor | str]]]:
    """Yield the decoded images of each batch, while threads decode the next two."""
    waiting: deque[tuple[int, list[Future]]] = deque()
    for start in starts:
        waiting.append((start, [pool.submit(read, p) for p in paths[start : start + batch]]))
        if len(waiting) > 2:
            first, futures = waiting.popleft()
            yield first, [future.result() for future in futures]
    for first, futures in waiting:
        yield first, [future.result() for future in futures]


def _read_parts(parts: Path, starts: Sequence[int]) -> tuple[list[np.ndarray], list[str]]:
    """Return the features of each batch, and for each image why it could not be read, or ""."""
    features, faults = [], []
    for start in starts:
        try:
            with damage("a batch of features"), np.load(_part(parts, start)) as part:
                features.append(part["features"])
                faults += part["faults"].tolist()
        except InputError as error:
            raise InputError(f"{_part(parts, start)}: {error}; remove it") from None
    return features, faults


def _gather(parts: Path, images: Images, folder: Path, plan: dict, skip_bad: bool) -> dict:
    """Write all batches into one file, without the images that could not be decoded."""
    features, faults = _read_parts(parts, range(0, len(images.paths), plan["batch"]))
    bad = {name: fault for name, fault in zip(images.names, faults, strict=True) if fault}
    if bad and not skip_bad:
        lines = [f"{images.source / name}: {fault}" for name, fault in bad.items()]
        raise InputErrors([*lines, f"{len(bad)} images cannot be read; --skip-bad leaves them out"])
    good = np.array([not fault for fault in faults])
    if not good.any():
        raise InputError(f"{images.source}: none of the {len(good)} images can be read")
    arrays = {
        "features": np.concatenate(features)[good],
        "labels": images.labels[good],
        "image_names": np.array(images.names)[good],
    }
    record = {
        "plan": plan,
        "images": int(good.sum()),
        "classes": len(np.unique(arrays["labels"])),
        "feature_dim": arrays["features"].shape[1],
        "skipped": bad,
    }
    (folder / RESULT).unlink(missing_ok=True)  # so that the record never tells of another result
    text = json.dumps(record, indent=2) + "\n"
    write_atomically(folder / RECORD, lambda file: file.write(text), mode="w")
    write_arrays(folder / RESULT, arrays)
    return record
