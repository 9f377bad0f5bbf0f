"""Data-parallel training: the same code runs in one process, or in several that torchrun started.

The leader, rank 0, writes; every rank computes. Every rank draws all random numbers of a batch from
the same generator and uses those of its own rows, so that the result does not depend on the number
of ranks. DistributedDataParallel averages the gradients. All other messages between ranks are small
and go through a gloo group on the CPU.
"""

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from repro.errors import InputError

# the longest wait for a message of another rank, and for its gradients; a process that dies is
# noticed at once, by its closed connection or by torchrun
PATIENCE, GRADIENT_PATIENCE = timedelta(days=2), timedelta(minutes=30)

_KNOWN = inspect.signature(DistributedDataParallel).parameters  # torch 2.13 renames the argument
SYNC_BUFFERS = next(n for n in ("forward_sync_buffers", "broadcast_buffers") if n in _KNOWN)


@dataclass(frozen=True)
class DistributedContext:
    """The rank of this process, the number of ranks, and how to talk to the others.

    ``group`` carries messages between ranks on the CPU; None where there is one rank.
    """

    rank: int = 0
    size: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def leader(self) -> bool:
        """Whether this is rank 0, which writes the files."""
        return self.rank == 0

    def shard(self, count: int, parts: int = 1) -> slice:
        """Return the rows of this rank in a batch.

        Args:
            count: rows of the batch.
            parts: of equal size in which each rank takes its rows.

        Raises InputError where the batch does not divide into ranks and parts.
        """
        if count % (self.size * parts):
            raise InputError(
                f"a batch of {count} does not divide into {self.size} processes x {parts} parts"
            )
        own = count // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            dist.barrier(self.group)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set on any rank: the same answer on every rank."""
        if self.size == 1:
            return flag
        word = torch.tensor(int(flag))
        dist.all_reduce(word, dist.ReduceOp.MAX, self.group)
        return bool(word)

    def agree(self, number: int) -> bool:
        """Return whether every rank has the same number."""
        if self.size == 1:
            return True
        ends = torch.tensor([number, -number])
        dist.all_reduce(ends, dist.ReduceOp.MAX, self.group)
        return bool(ends[0] == -ends[1])

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return, on every rank, the mean over ranks of a number on the device."""
        if self.size > 1:
            dist.all_reduce(value)
            value = value / self.size
        return value

    def scatter_map(self, work: Callable, items: Sequence, bar: str | None = None) -> list | None:
        """Return ``[work(item) for item in items]`` on the leader, and None on the other ranks.

        Args:
            work: computes one result; it must not depend on the rank, nor return tensors on a
                device.
            items: dealt out to the ranks in turn.
            bar: name of a progress bar; None shows none.
        """
        own = range(self.rank, len(items), self.size)
        hidden = bar is None or not self.leader
        mine = {i: work(items[i]) for i in tqdm(own, desc=bar, disable=hidden)}
        if self.size == 1:
            return list(mine.values())
        parts: list[Any] | None = [None] * self.size if self.leader else None
        dist.gather_object(mine, parts, group=self.group)
        if parts is None:
            return None
        results = {i: result for part in parts for i, result in part.items()}
        return [results[i] for i in range(len(items))]

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return the network with gradients averaged over ranks; itself where there is one rank."""
        if self.size == 1:
            return network
        devices = [device] if device.type == "cuda" else None
        options: dict[str, Any] = {SYNC_BUFFERS: False}  # they are fixed
        return DistributedDataParallel(network, devices, **options)


SINGLE_PROCESS = DistributedContext()


@contextlib.contextmanager
def init_distributed(device: torch.device) -> Iterator[tuple[DistributedContext, torch.device]]:
    """Join the ranks that torchrun started, and yield them with the device of this rank.

    Without torchrun that is ``SINGLE_PROCESS``. A rank that loses another raises InputError: the
    run stops and can be resumed.
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
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    assert isinstance(group, dist.ProcessGroup)  # every rank is in it
    ranks = DistributedContext(dist.get_rank(), size, group)
    try:
        yield ranks, device
    except RuntimeError as error:
        if (reason := _loss(error)) is None:
            raise
        raise InputError(
            f"rank {ranks.rank} of {size} lost another rank ({reason}), whose last line may say "
            "why; the last checkpoint remains: --resume continues on any number of processes"
        ) from None
    dist.destroy_process_group()


def _loss(error: RuntimeError) -> str | None:
    """The sign of a broken connection between ranks in an error; None for any other error."""
    said = str(error).lower()
    signs = ("connection closed", "connection reset", "timed out", "aborted", "nccl", "gloo")
    found = next((sign for sign in signs if sign in said), None)
    return "no answer" if found is None and isinstance(error, dist.DistError) else found
