"""One process, or the several that torchrun started: the same code runs either.

The leader, rank 0, writes; every rank computes. What is random is drawn whole on every rank from
the same generator, of which each takes its share, so that the result does not depend on the number
of ranks. Gradients are averaged by torch's DistributedDataParallel; everything else that ranks tell
one another, small things, goes through a gloo group on the CPU.
"""

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from repro.errors import InputError

# the longest wait for a word from a rank, and for its gradients; of a process that died, its closed
# connection tells at once, or torchrun ends the others
PATIENCE, GRADIENT_PATIENCE = timedelta(days=2), timedelta(minutes=30)

_KNOWN = inspect.signature(DistributedDataParallel).parameters  # torch 2.13 renames the argument
SYNC_BUFFERS = next(n for n in ("forward_sync_buffers", "broadcast_buffers") if n in _KNOWN)


@dataclass(frozen=True)
class DistributedContext:
    """Which process this is, of how many."""

    rank: int = 0
    size: int = 1
    group: dist.ProcessGroup | None = None  # for words between ranks, on the CPU

    @property
    def leader(self) -> bool:
        return self.rank == 0

    def share(self, count: int, parts: int = 1) -> slice:
        """The rows of a batch of ``count`` that are this rank's. Raises InputError where they do
        not divide among the ranks and, of each, the parts."""
        if count % (self.size * parts):
            raise InputError(
                f"a batch of {count} does not divide into {self.size} processes x {parts} parts"
            )
        own = count // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            dist.barrier(self.group)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank: the same answer on all."""
        if self.size == 1:
            return flag
        word = torch.tensor(int(flag))
        dist.all_reduce(word, dist.ReduceOp.MAX, self.group)
        return bool(word)

    def agree(self, number: int) -> bool:
        """Whether every rank has the same number."""
        if self.size == 1:
            return True
        ends = torch.tensor([number, -number])
        dist.all_reduce(ends, dist.ReduceOp.MAX, self.group)
        return bool(ends[0] == -ends[1])

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean over ranks of a number on the device, on all of them."""
        if self.size > 1:
            dist.all_reduce(value)
            value = value / self.size
        return value

    def scatter_map(self, work: Callable, items: Sequence, bar: str | None = None) -> list | None:
        """[work(item) for item in items] on the leader, None on the others.

        The items are dealt out, so ``work`` must not depend on which rank runs it, nor return what
        lies on a device. ``bar`` names a progress bar.
        """
        own = range(self.rank, len(items), self.size)
        hidden = bar is None or not self.leader
        mine = {i: work(items[i]) for i in tqdm(own, desc=bar, disable=hidden)}
        if self.size == 1:
            return list(mine.values())
        parts = [None] * self.size if self.leader else None
        dist.gather_object(mine, parts, group=self.group)
        if not self.leader:
            return None
        results = {i: result for part in parts for i, result in part.items()}
        return [results[i] for i in range(len(items))]

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network with its gradients averaged over ranks; itself where there is one rank."""
        if self.size == 1:
            return network
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(network, devices, **{SYNC_BUFFERS: False})  # they are fixed


SINGLE_PROCESS = DistributedContext()


@contextlib.contextmanager
def init_distributed(device: torch.device) -> Iterator[tuple[DistributedContext, torch.device]]:
    """The world that torchrun started, and this rank's device; one process alone without it.

    A rank that loses another raises InputError: the run stops, and can be resumed.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield SINGLE_PROCESS, device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if device.index >= torch.cuda.device_count():
            raise InputError(
                f"process {device.index} of this machine finds no GPU of its own: expected at most "
                f"{torch.cuda.device_count()} processes, or --device cpu"
            )
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=GRADIENT_PATIENCE)
    world = DistributedContext(
        dist.get_rank(), size, dist.new_group(backend="gloo", timeout=PATIENCE)
    )
    try:
        yield world, device
    except RuntimeError as error:
        if (reason := _loss(error)) is None:
            raise
        raise InputError(
            f"rank {world.rank} of {size} lost another rank ({reason}), whose last line may say "
            "why; what was saved stays: --resume goes on, on any number of processes"
        ) from None
    dist.destroy_process_group()


def _loss(error: RuntimeError) -> str | None:
    """What is said of a connection between ranks that broke; None of any other error."""
    said = str(error).lower()
    signs = ("connection closed", "connection reset", "timed out", "aborted", "nccl", "gloo")
    found = next((sign for sign in signs if sign in said), None)
    return "no answer" if found is None and isinstance(error, dist.DistError) else found
