"""Energy-based model of the score: score = -grad_x E(x, c), with any network inside E.

    "square"  E = |x - net(x, c)|^2 / 2        "inner"  E = -<x, net(x, c)>

(Salimans and Ho 2021, "Should EBMs model the energy or the score?"; Du et al. 2023,
arXiv:2302.11552, section 3.)

Like a true score it is conservative, and log p_t is known up to a constant; an evaluation takes one
more backward pass. It takes the place of a network in ``sde.score`` and ``sde.losses``.
"""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from repro.errors import InputError

FORMS = ("inner", "square")


class EnergyNetwork(nn.Module):
    """(x (B, *event), condition (B,), label) -> grad_x E, like x; ``downhill``: -grad_x E. Final.

    With prediction "noise", score = -grad E / std, so log p_t = -E / std up to a constant; with
    "score" and ``downhill``, log p_t = -E; with any other the score is a gradient too, the
    parametrisations being linear. Raises InputError for an unknown form.
    """

    def __init__(self, network: nn.Module, *, form: str = "square", downhill: bool = False):
        super().__init__()
        if form not in FORMS:
            raise InputError(f"unknown energy form {form!r}: choose from {', '.join(FORMS)}")
        self.network, self.form, self.downhill = network, form, downhill

    def energy(self, x: Tensor, condition: Tensor, *label: Tensor | None) -> Tensor:
        """Return E(x, c), (B,)."""
        output = self.network(x, condition, *label)
        if self.form == "inner":
            return -(x * output).flatten(1).sum(1)
        return 0.5 * ((x - output) ** 2).flatten(1).sum(1)

    def forward(self, x: Tensor, condition: Tensor, *label: Tensor | None) -> Tensor:
        """Return the gradient; it can be differentiated again where gradients are recorded."""
        recording = torch.is_grad_enabled()
        # fused attention kernels have no second derivative
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            x = x if x.requires_grad else x.detach().requires_grad_()
            total = self.energy(x, condition, *label).sum()
            (gradient,) = torch.autograd.grad(
                -total if self.downhill else total, x, create_graph=recording
            )
        return gradient if recording else gradient.detach()
