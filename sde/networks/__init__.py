"""Networks: each maps (x (B, ...), condition (B,), label or None) to the shape of x."""

from sde.networks.energy import EnergyNetwork
from sde.networks.mlp import MLP
from sde.networks.ncsnpp import DDPM, NCSNpp
from sde.networks.ncsnv2 import NCSNv2
from sde.networks.small_conv import SmallConv

NETWORKS = {
    "mlp": MLP,
    "small_conv": SmallConv,
    "ncsnpp": NCSNpp,
    "ddpm": DDPM,
    "ncsnv2": NCSNv2,
}

__all__ = ["DDPM", "MLP", "NETWORKS", "EnergyNetwork", "NCSNpp", "NCSNv2", "SmallConv"]
