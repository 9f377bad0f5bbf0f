"""Checkpoints as the published code writes them, of small networks."""

import numpy as np
import torch

from sde.networks import NCSNpp
from sde.networks.published import FROZEN, published_tensors

UNET = {
    "channels": 8,
    "multipliers": [1, 2],
    "attention": [8],
    "embedding": "fourier",
    "fir": True,
    "progressive_input": "residual",
    "scale_by_sigma": True,
}
CONFIG = {
    "data": {"name": "npz", "path": "images.npz", "heldout": 4, "centred": False},
    "process": {"name": "ve"},
    "model": {"network": "ncsnpp", "prediction": "score", "conditioning": "std", "unet": UNET},
    "evaluation": {"likelihoods": 1, "probes": 1, "rtol": 1, "atol": 10},
}


def network_like(seed, shape=(1, 8, 8), **how):
    torch.manual_seed(seed)
    how = {**UNET, "blocks": 1, "centred": False, **how}
    network = NCSNpp(shape, **how).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def official(path, raw, average, **changes):
    """Write what the published code writes of these two networks."""
    names = published_tensors(raw)
    state = {
        "optimizer": {"param_groups": [{"lr": np.float64(2e-4), "steps": np.int64(7)}]},
        "model": {"module.sigmas": torch.linspace(50, 0.01, 1000, dtype=torch.float64)}
        | {f"module.{name}": tensor.detach().clone() for name, tensor in names.items()},
        "ema": {
            "decay": 0.999,
            "num_updates": 7,
            "shadow_params": [
                tensor.detach().clone()
                for name, tensor in published_tensors(average).items()
                if name != FROZEN
            ],
        },
        "step": 7,
    }
    for key, value in changes.items():
        state[key] = value(state[key]) if callable(value) else value
    torch.save(state, path)
    return path


def output(network):
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        return network(torch.rand(2, 1, 8, 8, generator=g), torch.tensor([0.1, 9.0]))
