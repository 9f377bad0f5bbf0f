"""A CUDA device for machines that have none: the CPU's arithmetic behind CUDA's rules.

A :class:`FakeTensor` tensor says that it is on ``cuda:0``; its numbers lie in ordinary memory.
Every operation passes :func:`_compute`. What a GPU would refuse is refused: tensors of two devices
in one operation, random numbers from a generator of the other device, an array made of a tensor
that is not on the CPU. So a whole command can be run with ``--device cuda`` and its numbers
compared with those of the CPU. Counted is how often the host would wait for the GPU: to read a
tensor, and to hand one over, unless it says ``non_blocking``.

Not pretended: kernels that only CUDA has, its memory, streams, speed and rounding; graphs are
:mod:`tests.helpers.emulated_graphs`. Gradients do not follow a tensor to the CPU.
"""

import contextlib
import functools
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.helpers.emulated_graphs import emulated_graphs
from tests.helpers.fake_cuda_rules import ACROSS_DEVICES, INDEXED_BY_CPU, READS, aten
from tests.helpers.trees import tree_leaves, tree_map_only

CUDA = torch.device("cuda", 0)
without_a_gpu = pytest.mark.skipif(
    torch.cuda.is_available(), reason="a real GPU is here, and the tests marked gpu use it"
)

GENERATORS = {}  # the device of each, by its address: operations see another object than its maker


class FakeTensor(torch.Tensor):
    """A tensor on the device that is not there; ``inner`` shares its memory."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_subclass(cls, inner)

    def __init__(self, inner):
        self.inner = inner

    @property
    def device(self):
        return CUDA

    @property
    def is_cuda(self):
        return True

    def get_device(self):
        return 0

    def __repr__(self):
        return f"Pretend({self.inner!r})"

    def __reduce_ex__(self, protocol):
        return self.inner.__reduce_ex__(protocol)

    def __deepcopy__(self, memo):
        copy = FakeTensor(self.inner.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, self.requires_grad)
        return memo.setdefault(id(self), copy.requires_grad_(self.requires_grad))

    def new_tensor(self, data, **how):
        return torch.tensor(data, dtype=how.get("dtype", self.dtype), device=CUDA)

    def cpu(self):
        return self.to("cpu")

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __array__(self, *_, **__):
        return self.numpy()

    def tolist(self):
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _compute(function, args, kwargs or {})


class FakeCuda(TorchDispatchMode):
    """Entered, ``cuda`` is a device. ``waits`` counts how often the host waits for it,
    ``operations`` how many have run on it."""

    def __init__(self):
        super().__init__()
        self.waits = self.operations = 0
        self._patches = contextlib.ExitStack()

    def __enter__(self):
        there = functools.partial(mock.patch.object, create=True)
        cuda, nothing = torch.cuda, lambda *_, **__: None
        patches = [
            there(torch, "Generator", PretendGenerator),
            there(torch, "autocast", _autocast),
            there(torch, "load", functools.partial(_load, torch.load)),
            there(torch, "tensor", functools.partial(_made, torch.tensor)),
            there(torch, "as_tensor", functools.partial(_made, torch.as_tensor)),
            there(torch.Tensor, "to", functools.partialmethod(_to, torch.Tensor.to)),
            there(torch.Tensor, "cuda", lambda x, *_, **__: x.to(CUDA)),
            there(torch._C, "_group_tensors_by_device_and_dtype", _grouped),
            emulated_graphs(),
            there(cuda, "_lazy_init", nothing),
            there(cuda, "is_available", lambda: True),
            there(cuda, "device_count", lambda: 1),
            there(cuda, "current_device", lambda: 0),
            there(cuda, "get_device_name", lambda *_: "a pretended GPU"),
            there(cuda, "get_device_properties", lambda *_: SimpleNamespace(total_memory=2**33)),
            there(cuda, "synchronize", nothing),
            there(cuda, "get_rng_state_all", lambda: [torch.get_rng_state()]),
            there(cuda, "set_rng_state_all", nothing),
        ]
        for patch in patches:
            self._patches.enter_context(patch)
        # modules move by exchanging tensors: .data cannot make an ordinary tensor a Pretend
        before = torch.__future__.get_swap_module_params_on_conversion()
        swap = torch.__future__.set_swap_module_params_on_conversion
        swap(True)
        self._patches.callback(swap, before)
        FakeCuda.active = self
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._patches.close()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if any(isinstance(x, FakeTensor) for x in tree_leaves((args, kwargs))):
            self.operations += 1
            self.waits += function in READS or _waits_for_indices(function, args)
        return _compute(function, args, kwargs)


class PretendGenerator(torch.Generator):
    """A generator that remembers which device it was made for."""

    def __new__(cls, device="cpu"):
        self = super().__new__(cls)
        self.place = torch.device(device)
        GENERATORS[self._cdata] = self.place.type
        return self

    @property
    def device(self):
        return CUDA if self.place.type == "cuda" else self.place


def run_on(device: str, main, *arguments) -> int:
    """Run a command line on a device; returns how often the host waited for it."""
    arguments = [*map(str, arguments), "--device", device]
    if device == "cpu":
        assert main(arguments) == 0
        return 0
    with FakeCuda() as gpu:
        assert main(arguments) == 0
    assert gpu.operations > 20
    return gpu.waits


def _compute(function, args, kwargs):
    """``function`` on the numbers themselves, once the devices of all its arguments agree."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    there = [x for x in tensors if isinstance(x, FakeTensor)]
    here = [x for x in tensors if not isinstance(x, FakeTensor)]
    if not _takes_no_scalars(function, args):
        here = [x for x in here if x.dim() > 0]
    place = _wanted(kwargs) or "cpu"
    if there:
        # autograd takes a Pretend for a tensor of the CPU, and says so where it makes another
        place = "cuda"
    allowed = function in ACROSS_DEVICES
    allowed = allowed or (function in INDEXED_BY_CPU and isinstance(args[0], FakeTensor))
    if there and here and not allowed:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device")
    random = kwargs.get("generator")
    if random is not None and GENERATORS.get(random._cdata, "cpu") != place:
        raise RuntimeError(f"{function}: the generator is not on {place}")
    kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    if kwargs.get("device") is not None:
        kwargs["device"] = torch.device("cpu")
    args, kwargs = tree_map_only(FakeTensor, lambda x: x.inner, (args, kwargs))
    result = function(*args, **kwargs)
    if function is aten.copy_.default:
        place = "cuda" if there and there[0].inner is args[0] else "cpu"
    if place == "cpu":
        return result
    same = {id(x.inner): x for x in there}  # what was changed in place stays the same object

    def wrapped(x):
        return same[id(x)] if id(x) in same else FakeTensor(x)

    return tree_map_only(torch.Tensor, wrapped, result)


def _takes_no_scalars(function, args) -> bool:
    """Whether it refuses a number that lies on the CPU: joined to others, or changed in place."""
    if function in (aten.stack.default, aten.cat.default):
        return True
    in_place = function._schema.name.endswith("_") and isinstance(args[0], torch.Tensor)
    return in_place and not isinstance(args[0], FakeTensor)


def _waits_for_indices(function, args) -> bool:
    """Whether it indexes by a mask, whose places the host has to count, or by the CPU's indices."""
    return function in INDEXED_BY_CPU and any(
        index is not None and (index.dtype == torch.bool or not isinstance(index, FakeTensor))
        for index in args[1]
    )


def _wanted(kwargs) -> str | None:
    device = kwargs.get("device")
    return None if device is None else torch.device(device).type


def _to(self, real, *args, copy=False, **kwargs):
    """``Tensor.to``, which asks libraries that are not there for the number of the GPU."""
    if args and isinstance(args[0], torch.Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    place = self.device.type if device is None else device.type
    how = {"memory_format": memory_format} if memory_format else {}
    if place == self.device.type:
        return real(self, dtype or self.dtype, copy=copy, **how)
    FakeCuda.active.waits += place == "cpu" or not non_blocking
    if place == "cpu":
        return self.inner.to(dtype or self.dtype, copy=True, **how)
    return aten._to_copy(self, device=place, dtype=dtype or self.dtype, **how)


def _grouped(tensors, *args, _real=torch._C._group_tensors_by_device_and_dtype):
    """Tensors by device and type, for optimisers and the clipping of gradients."""
    groups = _real(tensors, *args).items()
    there = any(isinstance(x, FakeTensor) for x in tree_leaves(tensors))
    return {(CUDA if there else device, dtype): group for (device, dtype), group in groups}


def _made(real, *args, device=None, **kwargs):
    """``torch.tensor`` and ``torch.as_tensor``."""
    made = real(*args, **kwargs)
    return made if device is None else made.to(device)


def _autocast(device, *args, _real=torch.autocast, **kwargs):
    return _real("cpu", *args, **kwargs)


def _load(real, *args, map_location=None, **kwargs):
    state = real(*args, map_location="cpu", **kwargs)
    if torch.device(map_location or "cpu").type == "cpu":
        return state
    return tree_map_only(torch.Tensor, FakeTensor, state)
