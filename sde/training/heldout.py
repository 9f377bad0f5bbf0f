"""The loss on held-out examples, the same at every call."""

import torch
from torch import nn

from sde import build
from sde.build import LossFn
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset

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
    x0 = data.heldout.draw(DRAWS, rng)
    u = (torch.arange(len(x0), device=device) + 0.5) / len(x0)
    z = torch.randn(x0.shape, generator=rng, device=device)
    # without gradients an example takes far less memory than in training
    batch = 4 * config.optimiser.batch_size // config.compute.gradient_accumulation
    parts = zip(*(x.split(min(BATCH, batch)) for x in (x0, u, z)), strict=True)
    total = sum(loss(network, *part).per_sample.sum().item() for part in parts)
    network.train(training)
    return total / len(x0)
