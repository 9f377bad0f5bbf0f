"""The latest loss terms of a training, and the first one that was not finite."""

from pathlib import Path

import torch
from torch import Tensor

from repro.errors import InputError


class Diverged(InputError):
    """A loss term or a weight is not finite."""


class LossTerms:
    """Latest value of every loss term, kept on the device without waiting for it.

    Args: ``folder`` and ``stage`` name the training in messages.
    """

    def __init__(self, folder: Path, stage: str):
        self.folder, self.stage = folder, stage
        self.latest: dict[str, Tensor] = {}
        # for each set of names: iteration and value (2, terms) when a term was first not finite,
        # iteration -1 as long as it is finite
        self._broken: dict[tuple[str, ...], Tensor] = {}

    def keep(self, terms: dict[str, Tensor], iteration: int) -> None:
        """Replace the terms of these names."""
        self.latest |= terms
        values = torch.stack([term.float() for term in terms.values()])
        before = self._broken.get(tuple(terms), torch.full_like(values.expand(2, -1), -1))
        now = torch.stack([torch.full_like(values, iteration), values])
        first = (before[0] < 0) & ~values.isfinite()
        self._broken[tuple(terms)] = torch.where(first, now, before)

    def numbers(self) -> dict[str, float]:
        """Return the latest terms; this waits for the device.

        Raises :class:`Diverged` that names the term which was the first not to be finite.
        """
        self._check()
        if not self.latest:
            return {}
        values = torch.stack([value.float() for value in self.latest.values()]).tolist()
        return dict(zip(self.latest, values, strict=True))

    def _check(self) -> None:
        broken = [
            (iteration, name, value)
            for names, table in self._broken.items()
            for name, iteration, value in zip(names, *table.tolist(), strict=True)
            if iteration >= 0
        ]
        if broken:
            iteration, name, value = min(broken, key=lambda item: item[0])
            raise Diverged(
                f"{self.folder}: the loss term '{name}' is {value} at iteration {iteration:.0f} of "
                f"stage '{self.stage}'; the checkpoints are from before that"
            )

    def require_finite(self, modules: dict[str, torch.nn.Module], iteration: int) -> None:
        """Raise :class:`Diverged` where a loss term or a parameter is not finite."""
        self._check()
        for name, module in modules.items():
            if not all(parameter.isfinite().all() for parameter in module.parameters()):
                raise Diverged(
                    f"{self.folder}: weights of the {name} are not finite at iteration {iteration} "
                    f"of stage '{self.stage}'; the checkpoints are from before that"
                )
