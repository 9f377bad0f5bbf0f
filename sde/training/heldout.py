"""The loss on held-out examples, the same at every call."""

import torch
from torch import nn

from sde import build
from sde.build import LossFn
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset
from sde.networks.label import with_label

DRAWS = 1024  # held-out examples in each measurement
BATCH = 256


@torch.no_grad()
def heldout_loss(
    config: SDEConfig, loss: LossFn, data: Dataset, network: nn.Module, device: torch.device
) -> float:
    """Return the mean loss on held-out examples, without dropout.

    Times, noise and dequantisation are the same at every call.
    """
    training = network.training
    network.eval()
    rng = build.stream(config, device, build.EVALUATION)
    x0, label = data.heldout.draw_conditioned(config.model.condition, DRAWS, rng)
    u = (torch.arange(len(x0), device=device) + 0.5) / len(x0)
    z = torch.randn(x0.shape, generator=rng, device=device)
    # without gradients an example takes far less memory than in training
    batch = 4 * config.optimiser.batch_size // config.compute.gradient_accumulation
    drawn = (x0, u, z) if label is None else (x0, u, z, label)
    parts = zip(*(x.split(min(BATCH, batch)) for x in drawn), strict=True)
    total = sum(
        loss(with_label(network, *label), x0, u, z).per_sample.sum().item()
        for x0, u, z, *label in parts
    )
    network.train(training)
    return total / len(x0)
