"""What is learnt: items of one declared kind in two parts, and how they are drawn.

What numbers stand for is declared once, by ``DataSpec``: everyone else asks it. The held-out
part is never trained on.

Images are kept as levels, one byte each: the whole of CIFAR-10 is 184 MB. So a data set lies, as
one tensor, on the device that trains, where a batch is drawn by random index, mirrored and
dequantised; no worker process feeds it. What does not fit stays in host memory, or in a file mapped
into it, and each batch is gathered there and copied. Both draw the same random numbers.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from repro.errors import InputError
from sde.data.quantisation import Quantisation

SHARE = 0.25  # of a device's memory that data may take before they are left in host memory
SHOWN = 20  # classes, in words


@dataclass(frozen=True)
class DataSpec:
    """What one item is: its shape, and the range and number of its levels, if it has levels."""

    name: str
    shape: tuple[int, ...]  # of one item
    levels: Quantisation | None = None  # None: real numbers of no declared range
    classes: tuple[str, ...] = ()  # the names of the labels, where items have labels

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True)
class Split:
    """Items of one kind. Raises InputError where they are not finite, not of the declared shape,
    or no whole levels of the declared range."""

    declaration: DataSpec
    values: Tensor  # (N, *shape): levels where the declaration has levels, else the numbers
    labels: Tensor | None = None  # (N,) long, indices of the declared classes
    flip: bool = False  # mirror each drawn image, left to right, with probability 1/2
    dequantise: bool = True  # what is drawn: spread over its level's cell, or in its place
    device: torch.device | None = None  # of what is drawn, where the values are left elsewhere

    def __post_init__(self):
        name, levels = self.declaration.name, self.declaration.levels
        if tuple(self.values.shape[1:]) != self.declaration.shape or not len(self.values):
            raise InputError(
                f"{name}: items of shape {self.declaration.shape} expected, got an array of shape "
                f"{tuple(self.values.shape)}"
            )
        if levels is not None and levels.holds_all_of(self.values.dtype):
            return  # any byte is one of 256 levels: no need to look at a hundred million
        if not bool(torch.isfinite(self.values).all()):
            raise InputError(f"{name}: the data holds values that are not finite")
        if levels is not None and not bool((self.values == self.values.floor()).all()):
            raise InputError(f"{name}: levels must be whole numbers")
        if levels is not None and not 0 <= self.values.min() <= self.values.max() < levels.levels:
            raise InputError(f"{name}: levels must lie in 0..{levels.levels - 1}")

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device, on_host: bool = False) -> "Split":
        """Drawn on ``device``; with ``on_host`` the values stay where they are."""
        labels = None if self.labels is None else self.labels.to(device)
        if on_host:
            return replace(self, labels=labels, device=torch.device(device))
        return replace(self, values=self.values.to(device), labels=labels, device=None)

    def first(self, count: int) -> "Split":
        """The first items, at most ``count``."""
        labels = None if self.labels is None else self.labels[:count]
        return replace(self, values=self.values[:count], labels=labels)

    def some(self, count: int) -> "Split":
        """At most ``count`` items, chosen at random and always the same: the order in which files
        lie may mean something. All of them stay in order."""
        if count >= len(self):
            return self
        chosen = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))[:count]
        labels = None if self.labels is None else self.labels[chosen.to(self.labels.device)]
        return replace(self, values=self.values[chosen.to(self.values.device)], labels=labels)

    def draw(self, count: int, generator: torch.Generator, rows: slice = slice(None)) -> Tensor:
        """Items drawn with replacement and dequantised anew, (count, *shape) float32.

        ``rows`` asks for a part of them: ``draw(n, g, rows)`` is ``draw(n, g)[rows]``, and takes as
        many numbers from the generator, but gathers no other item.
        """
        return self._draw(count, generator, rows)[0]

    def draw_labelled(
        self, count: int, generator: torch.Generator, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """What ``draw`` gives, and its labels (count,) long. Raises InputError without labels."""
        if self.labels is None:
            raise InputError(f"{self.declaration.name}: the items have no labels")
        points, chosen = self._draw(count, generator, rows)
        return points, self.labels[chosen]

    def points(self, generator: torch.Generator) -> Tensor:
        """Every item once, in order, dequantised where it has levels: (N, *shape) float32."""
        values = self.values.to(self.device) if self.device else self.values
        return self._dequantised(values, generator, len(self))

    @property
    def sha256(self) -> str:
        """Of the values and, where there are labels, of the labels."""
        digest = hashlib.sha256(self.values.cpu().contiguous().numpy().reshape(-1))
        if self.labels is not None:
            digest.update(self.labels.cpu().numpy())
        return digest.hexdigest()

    def _draw(self, count: int, generator: torch.Generator, rows: slice) -> tuple[Tensor, Tensor]:
        """Points and their places in ``values``: index, mirror and level's cell drawn in turn."""
        device = self.device or self.values.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)[rows]
        values = self._gather(chosen)
        if self.flip:
            side = torch.rand(count, generator=generator, device=device)[rows] < 0.5
            values = torch.where(side.reshape(-1, 1, 1, 1), values.flip(-1), values)
        if self.dequantise or self.declaration.levels is None:
            return self._dequantised(values, generator, count, rows), chosen
        return self.declaration.levels.place(values), chosen

    def _gather(self, chosen: Tensor) -> Tensor:
        if self.device is None:
            return self.values.index_select(0, chosen)
        shape, pinned = (len(chosen), *self.declaration.shape), self.device.type == "cuda"
        batch = torch.empty(shape, dtype=self.values.dtype, pin_memory=pinned)
        torch.index_select(self.values, 0, chosen.cpu(), out=batch)
        return batch.to(self.device, non_blocking=True)

    def _dequantised(self, values: Tensor, generator, count: int, rows=slice(None)) -> Tensor:
        """``values``, which are the ``rows`` of ``count`` items, each spread over its cell."""
        if self.declaration.levels is None:
            return values
        shape = (count, *self.declaration.shape)
        u = torch.rand(shape, generator=generator, device=values.device)[rows]
        return self.declaration.levels.dequantise(values, u)


@dataclass(frozen=True)
class Dataset:
    """A training and a held-out part of the same kind; both None in an outline."""

    declaration: DataSpec
    train: Split | None
    heldout: Split | None
    # (N, *shape) on the CPU -> (N,) nats, where it is known
    log_density: Callable[[Tensor], Tensor] | None = None
    skipped: tuple[str, ...] = ()  # files left out, each with the reason

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each part, by name."""
        name = self.declaration.name
        return {f"{name} train": self.train.sha256, f"{name} held out": self.heldout.sha256}

    @property
    def size(self) -> int:
        """Bytes of both parts."""
        return sum(part.values.nbytes for part in (self.train, self.heldout))

    def in_words(self) -> str:
        """A few lines: what an item is, the parts with their checksums, the files skipped."""
        what, parts = self.declaration, {"train": self.train, "held out": self.heldout}
        lines = [f"data      {what.name}", f"item      {' x '.join(map(str, what.shape))}"]
        if what.levels:
            low, high, levels = what.levels.low, what.levels.high, what.levels.levels
            lines[-1] += f", levels 0 to {levels - 1} on [{low:g}, {high:g}]"
        for name, part in parts.items():
            lines.append(f"{name:<9} {len(part)} items, {part.values.nbytes / 1e6:.1f} MB")
            lines.append(f"          sha256 {part.sha256}")
        if what.classes:
            counts = [part.labels.bincount(minlength=len(what.classes)) for part in parts.values()]
            each = zip(what.classes, *(count.tolist() for count in counts), strict=True)
            shown = [f"{name}: {train} + {heldout}" for name, train, heldout in each]
            shown[SHOWN:] = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
            lines.append(f"classes   {len(what.classes)} ({', '.join(shown)})")
        lines += [f"skipped   {line}" for line in self.skipped]
        return "\n".join(lines)

    def to(self, device: torch.device, memory: str = "auto") -> "Dataset":
        """Drawn on ``device``, from its own memory ("device") or the host's ("host"); "auto": its
        own, where the values take at most a quarter of it. Raises InputError where they do not fit.
        """
        device = torch.device(device)
        too_large = self.size > SHARE * _memory_of(device)
        on_host = memory == "host" or (memory == "auto" and too_large)
        try:
            train, heldout = (part.to(device, on_host) for part in (self.train, self.heldout))
        except torch.cuda.OutOfMemoryError:
            raise InputError(
                f"data.memory: {self.declaration.name} takes {self.size / 1e9:.1f} GB, more than "
                f"{device} has free; set it to host"
            ) from None
        return replace(self, train=train, heldout=heldout)


def _memory_of(device: torch.device) -> float:
    """Bytes; of the CPU, which has no memory besides the host's, no limit."""
    if device.type != "cuda":
        return math.inf
    return torch.cuda.get_device_properties(device).total_memory
