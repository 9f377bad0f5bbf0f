"""Data sets in memory: examples of one declared kind in a training and a held-out part.

``DataSpec`` declares once what an example is; all other code asks it. The held-out part is never
trained on.

Images are stored as grey levels, one byte each: all of CIFAR-10 takes 184 MB. A data set is
therefore one tensor on the device that trains. A batch is drawn there by random index, mirrored
and dequantised, without worker processes. A data set too large for the device stays in host memory
or in a memory-mapped file; each batch is gathered there and copied. Both ways draw the same random
numbers.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from repro.errors import InputError
from sde.data.quantisation import Quantisation

DEVICE_SHARE = 0.25  # of a device's memory; larger data stays in host memory
NAMES = ("training", "held-out")  # of the two parts
SHOWN = 20  # classes listed by ``in_words``


@dataclass(frozen=True)
class DataSpec:
    """The kind of a data set's examples: shape, quantisation and classes."""

    name: str
    shape: tuple[int, ...]  # of one example
    quantisation: Quantisation | None = None  # None: real numbers of no declared range
    classes: tuple[str, ...] = ()  # names of the classes, where examples are labelled
    vector: int = 0  # entries of the vector of each example, where they have one

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Raises InputError where the values are not finite, not of the declared shape, or no grey levels
    of the declared quantisation.
    """

    spec: DataSpec
    values: Tensor  # (N, *shape): grey levels where the spec has a quantisation, else real numbers
    labels: Tensor | None = None  # (N,) long, indices into ``spec.classes``
    vectors: Tensor | None = None  # (N, ``spec.vector``) float32: another kind of label
    flip: bool = False  # mirror each drawn image left to right with probability 1/2
    dequantise: bool = True  # draw uniformly within a grey level's cell; else scale it exactly
    device: torch.device | None = None  # where draws go, if the values are kept elsewhere

    def __post_init__(self):
        name, quantisation = self.spec.name, self.spec.quantisation
        if tuple(self.values.shape[1:]) != self.spec.shape or not len(self.values):
            raise InputError(
                f"{name}: examples of shape {self.spec.shape} expected, got an array of shape "
                f"{tuple(self.values.shape)}"
            )
        if quantisation is not None and quantisation.holds_all_of(self.values.dtype):
            return  # every byte is one of 256 grey levels: spares a pass over all images
        if not bool(torch.isfinite(self.values).all()):
            raise InputError(f"{name}: the data holds values that are not finite")
        if quantisation is None:
            return
        if not bool((self.values == self.values.floor()).all()):
            raise InputError(f"{name}: grey levels must be whole numbers")
        if not 0 <= self.values.min() <= self.values.max() < quantisation.grey_levels:
            raise InputError(f"{name}: grey levels must lie in 0..{quantisation.grey_levels - 1}")

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device, on_host: bool = False) -> "Split":
        """Return a split that draws on ``device``; with ``on_host`` the values are not moved."""
        labels = self._labels(lambda label: label.to(device))
        if on_host:
            return replace(self, **labels, device=torch.device(device))
        return replace(self, values=self.values.to(device), **labels, device=None)

    def first(self, count: int) -> "Split":
        """Return the first ``count`` examples, or all if there are fewer."""
        labels = self._labels(lambda label: label[:count])
        return replace(self, values=self.values[:count], **labels)

    def some(self, count: int) -> "Split":
        """Return at most ``count`` examples: a random subset, the same at every call, because files
        may be sorted. If ``count`` covers all, they stay in order."""
        if count >= len(self):
            return self
        chosen = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))[:count]
        labels = self._labels(lambda label: label[chosen.to(label.device)])
        return replace(self, values=self.values[chosen.to(self.values.device)], **labels)

    def draw(self, count: int, generator: torch.Generator, rows: slice = slice(None)) -> Tensor:
        """Draw examples with replacement, mirrored and dequantised anew: (count, *shape) float32.

        ``draw(n, g, rows)`` equals ``draw(n, g)[rows]`` and advances the generator as far, but
        gathers only those rows; processes that share a batch use it.
        """
        return self._draw(count, generator, rows)[0]

    def draw_labelled(
        self, count: int, generator: torch.Generator, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Return what ``draw`` returns, and the labels (count,) long. Raises InputError where the
        examples have no labels."""
        points, labels = self.draw_conditioned("class", count, generator, rows)
        assert labels is not None  # of every class
        return points, labels

    def draw_conditioned(
        self, kind: str, count: int, generator: torch.Generator, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor | None]:
        """Return what ``draw`` returns, and the labels of a kind of ``model.condition``.

        They are (count,) long for "class", (count, K) for "vector" and None for "none". Raises
        InputError where the examples have no labels of this kind.
        """
        labels = {"none": None, "class": self.labels, "vector": self.vectors}[kind]
        if labels is None and kind != "none":
            missing = "labels" if kind == "class" else "vectors"
            raise InputError(f"{self.spec.name}: the examples have no {missing}")
        points, chosen = self._draw(count, generator, rows)
        return points, None if labels is None else labels[chosen]

    def points(self, generator: torch.Generator) -> Tensor:
        """Return every example once, in order, as it is drawn: (N, *shape) float32."""
        values = self.values.to(self.device) if self.device else self.values
        return self._placed(values, generator, len(self))

    @property
    def sha256(self) -> str:
        """SHA-256 of the values followed by the labels, if any."""
        digest = hashlib.sha256(self.values.cpu().contiguous().numpy().reshape(-1).data)
        if self.labels is not None:
            digest.update(self.labels.cpu().numpy().data)
        if self.vectors is not None:
            digest.update(self.vectors.cpu().numpy().data)
        return digest.hexdigest()

    def _labels(self, of: Callable[[Tensor], Tensor]) -> dict[str, Tensor | None]:
        found = {"labels": self.labels, "vectors": self.vectors}
        return {name: None if each is None else of(each) for name, each in found.items()}

    def _draw(self, count: int, generator: torch.Generator, rows: slice) -> tuple[Tensor, Tensor]:
        """Points and their indices in ``values``; draws index, side, then cell."""
        device = self.device or self.values.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)[rows]
        values = self._gather(chosen)
        if self.flip:
            side = torch.rand(count, generator=generator, device=device)[rows] < 0.5
            values = torch.where(side.reshape(-1, 1, 1, 1), values.flip(-1), values)
        return self._placed(values, generator, count, rows), chosen

    def _gather(self, chosen: Tensor) -> Tensor:
        if self.device is None:
            return self.values.index_select(0, chosen)
        shape, pinned = (len(chosen), *self.spec.shape), self.device.type == "cuda"
        batch = torch.empty(shape, dtype=self.values.dtype, pin_memory=pinned)
        torch.index_select(self.values, 0, chosen.cpu(), out=batch)
        return batch.to(self.device, non_blocking=True)

    def _placed(self, values: Tensor, generator, count: int, rows=slice(None)) -> Tensor:
        """``values``, the ``rows`` of ``count`` examples, as numbers: each at random within its
        cell, or scaled exactly."""
        if self.spec.quantisation is None:
            return values
        if not self.dequantise:
            return self.spec.quantisation.place(values)
        shape = (count, *self.spec.shape)
        u = torch.rand(shape, generator=generator, device=values.device)[rows]
        return self.spec.quantisation.dequantise(values, u)


@dataclass(frozen=True)
class Dataset:
    """A training and a held-out part of one kind; `sde.build.dataset` can omit them."""

    spec: DataSpec
    train: Split
    heldout: Split
    # the true log density, (N, *shape) on the CPU -> (N,) nats, where it is known
    log_density: Callable[[Tensor], Tensor] | None = None
    skipped: tuple[str, ...] = ()  # files left out, each with the reason
    from_jpeg: tuple[str, ...] = ()  # those of NAMES that come from JPEG files

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each part, by the part's name."""
        name = self.spec.name
        return {f"{name} train": self.train.sha256, f"{name} held out": self.heldout.sha256}

    @property
    def noted(self) -> dict[str, list[str]]:
        """What results on these data must say, {"warnings": [...]}: that JPEG changed images."""
        which = " and ".join(self.from_jpeg)
        said = f"the {which} images are JPEG files: no number here is one of the originals"
        return {"warnings": [said]} if which else {}

    @property
    def size(self) -> int:
        """Bytes of both parts together."""
        return sum(part.values.nbytes for part in (self.train, self.heldout))

    def in_words(self) -> str:
        """Describe the data in a few lines: shape, parts, checksums, classes, skipped files."""
        what, parts = self.spec, {"train": self.train, "held out": self.heldout}
        lines = [f"data      {what.name}", f"example   {' x '.join(map(str, what.shape))}"]
        if cells := what.quantisation:
            lines[-1] += f", grey levels 0 to {cells.grey_levels - 1}"
            lines[-1] += f" on [{cells.low:g}, {cells.high:g}]"
        for name, part in parts.items():
            lines.append(f"{name:<9} {len(part)} examples, {part.values.nbytes / 1e6:.1f} MB")
            lines.append(f"          sha256 {part.sha256}")
        if what.classes:
            labels = [part.labels for part in parts.values() if part.labels is not None]
            counts = [each.bincount(minlength=len(what.classes)) for each in labels]
            each = zip(what.classes, *(count.tolist() for count in counts), strict=True)
            shown = [f"{name}: {train} + {heldout}" for name, train, heldout in each]
            shown[SHOWN:] = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
            lines.append(f"classes   {len(what.classes)} ({', '.join(shown)})")
        lines += [f"note      {line}" for line in self.noted.get("warnings", [])]
        lines += [f"skipped   {line}" for line in self.skipped]
        return "\n".join(lines)

    def to(self, device: torch.device, memory: str = "auto") -> "Dataset":
        """Return the data set drawn on ``device``.

        Args:
            memory: "device" keeps the values on it, "host" in host memory; "auto" on the device
                if they take at most a quarter of its memory.

        Raises InputError where the values do not fit.
        """
        device = torch.device(device)
        too_large = self.size > DEVICE_SHARE * _memory_of(device)
        on_host = memory == "host" or (memory == "auto" and too_large)
        try:
            train, heldout = (part.to(device, on_host) for part in (self.train, self.heldout))
        except torch.cuda.OutOfMemoryError:
            raise InputError(
                f"data.memory: {self.spec.name} takes {self.size / 1e9:.1f} GB, more than "
                f"{device} has free; set it to host"
            ) from None
        return replace(self, train=train, heldout=heldout)


def _memory_of(device: torch.device) -> float:
    """Memory of a device in bytes; infinite for the CPU, whose memory is the host's."""
    if device.type != "cuda":
        return math.inf
    return torch.cuda.get_device_properties(device).total_memory
