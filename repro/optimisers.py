"""States of optimisers, compared with the parameters before a training goes on with them."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

SETTINGS = ("lr", "betas", "eps", "weight_decay")


def restore(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Load what ``optimiser.state_dict()`` returned.

    PyTorch compares neither moments nor settings with what it has, so that another state fails
    only in the next step. Whether steps can be captured in a CUDA graph is a matter of the device,
    and stays as it was.

    Raises ValueError where a moment has not the shape of its parameter or a setting another type,
    and whatever ``load_state_dict`` raises.
    """
    before = [
        {name: type(group.get(name)) for name in SETTINGS} for group in optimiser.param_groups
    ]
    capturable = [group.get("capturable", False) for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, value in zip(optimiser.param_groups, capturable, strict=True):
        group["capturable"] = value
    for types, group in zip(before, optimiser.param_groups, strict=True):
        for name, expected in types.items():
            if not isinstance(group.get(name), expected):
                raise ValueError(f"{name} of the optimiser: expected {expected.__name__}")
        for parameter in group["params"]:
            _require_moments(optimiser.state.get(parameter, {}), parameter)


def _require_moments(moments: dict[str, Any], parameter: Tensor) -> None:
    for name, value in moments.items():
        shape = torch.Size() if name == "step" else parameter.shape
        if torch.as_tensor(value).shape != shape:
            raise ValueError(f"{name} of the optimiser: expected the shape {tuple(shape)}")
