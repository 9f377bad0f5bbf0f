"""Forward processes by name; to add one, write a class in a file of its own, and a line here.

``ve``, ``vp`` and ``subvp`` are those of Song et al. 2021. ``cosine`` and ``rectified_flow`` are
singular at t = 1 and end before it, at their ``end_time``.
"""

from sde.processes.base import SDE, Transition, log_normal, require_ordered
from sde.processes.cosine import CosineVPSDE
from sde.processes.rectified_flow import RectifiedFlow
from sde.processes.ve import VESDE
from sde.processes.vp import VPSDE, LinearBetaSDE, SubVPSDE

PROCESSES = {
    "ve": VESDE,
    "vp": VPSDE,
    "subvp": SubVPSDE,
    "cosine": CosineVPSDE,
    "rectified_flow": RectifiedFlow,
}

__all__ = [
    "PROCESSES",
    "SDE",
    "VESDE",
    "VPSDE",
    "CosineVPSDE",
    "LinearBetaSDE",
    "RectifiedFlow",
    "SubVPSDE",
    "Transition",
    "log_normal",
    "require_ordered",
]
