r"""Embedding of a label, the condition of a network beside the time.

    class     (B,) whole numbers: a row of a table; -1 is the null class, which has a row of its own
    vector    (B, K) real numbers: W [v, 1] + b; a row of NaN is the null vector: W [0, 0] + b

The embedding is added to that of the time (Dhariwal and Nichol 2021, arXiv:2105.05233, for
classes). A network learns the null label from examples whose label was dropped (Ho and Salimans,
arXiv:2207.12598), and takes it where it is given no label.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from repro.errors import InputError

NULL_CLASS = -1


class ClassEmbedding(nn.Module):
    """label (B,) in -1 ... C - 1, or None and B -> (B, dim). Final."""

    def __init__(self, num_classes: int, dim: int):
        super().__init__()
        self.table = nn.Embedding(num_classes + 1, dim)  # the last row is the null class

    def forward(self, label: Tensor | None, count: int) -> Tensor:
        rows = self.table.num_embeddings
        if label is None:
            label = torch.full((count,), NULL_CLASS, device=self.table.weight.device)
        return self.table(label % rows)


class VectorEmbedding(nn.Module):
    """label (B, K), or None and B -> (B, dim). Final."""

    def __init__(self, entries: int, dim: int):
        super().__init__()
        self.entries, self.linear = entries, nn.Linear(entries + 1, dim)

    def forward(self, label: Tensor | None, count: int) -> Tensor:
        if label is None:
            label = self.linear.weight.new_full((count, self.entries), torch.nan)
        known = (~label.isnan().any(1, keepdim=True)).to(label.dtype)
        return self.linear(torch.cat([torch.where(known > 0, label, 0.0), known], 1))


def label_embedding(classes: int, vector: int, dim: int) -> nn.Module | None:
    """Return the embedding of one of ``classes``, or of a vector of so many entries; else None."""
    if classes:
        return ClassEmbedding(classes, dim)
    return VectorEmbedding(vector, dim) if vector else None


def add_label(embedded: Tensor, embedding: nn.Module | None, label: Tensor | None) -> Tensor:
    """Return the embedding (B, dim) of the time with that of the label added, if there is one."""
    return embedded if embedding is None else embedded + embedding(label, len(embedded))


def drop_labels(label: Tensor, dropped: Tensor) -> Tensor:
    """Return labels (B,) or (B, K) with the null label where ``dropped`` (B,) is true."""
    if label.ndim == 1:
        return torch.where(dropped, NULL_CLASS, label)
    return torch.where(dropped[:, None], torch.nan, label)


def with_label(network: Callable[..., Tensor], label: Tensor | None = None):
    """Return the network given labels: one, for every row, or as many as there are rows.

    (x (B, ...), condition (B,)) -> the shape of x. Raises InputError where the counts differ.
    """
    if label is None:
        return network

    def labelled(x: Tensor, condition: Tensor) -> Tensor:
        if len(label) not in (1, len(x)):
            raise InputError(f"{len(label)} labels for a batch of {len(x)}: set batch_size to it")
        return network(x, condition, label.expand(len(x), *label.shape[1:]))

    return labelled
