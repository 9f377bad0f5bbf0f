"""Numbers out of pickles, without running what a pickle asks for.

A pickle is a program: it names functions and calls them. Arrays of numbers need four of numpy's
(numpy 2 moved `numpy.core` to `numpy._core`). A protocol-2 pickle written by Python 3 needs a
fifth, since that protocol has no bytes and spells them `_codecs.encode(text, "latin1")`. They are
replaced by the few lines below, since numpy's own can be made to corrupt memory. Any other name
raises `InputError` before it is looked up, let alone called.
"""

import math
import pickle
from collections.abc import Callable

import numpy as np

from repro.errors import InputError

NUMBERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


class NumberUnpickler(pickle.Unpickler):
    """Reads numbers, texts, and lists and dicts of them; arrays become `PickledArray`."""

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return ADMITTED[module.replace("numpy._core.", "numpy.core."), name]
        except KeyError:
            called = f"{module}.{name}"
            raise InputError(f"refused to call {called!r}, as numbers need no such thing") from None


class PickledType:
    """numpy.dtype("u2", ...), whose byte order follows as the second item of its state."""

    def __init__(self, code: str | bytes, *_: object):
        self.code, self.order = code.decode() if isinstance(code, bytes) else code, "="

    def __setstate__(self, state: tuple) -> None:
        order = state[1]
        self.order = order.decode() if isinstance(order, bytes) else order

    def decode(self, data: bytes | str) -> np.ndarray:
        """The numbers in ``data``, flat."""
        if self.code not in NUMBERS or self.order not in "<>=|":
            raise InputError(f"expected numbers, found the type {self.order}{self.code}")
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2: str is bytes
        return np.frombuffer(data, np.dtype(self.order + self.code))


class PickledArray:
    """What numpy.core.multiarray._reconstruct(numpy.ndarray, ...) makes, before it is filled."""

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, dtype, self.by_columns, data = state
        self.values = dtype.decode(data)  # flat, in the order of the file
        if math.prod(self.shape) != self.values.size:
            raise InputError(f"damaged: {self.values.size} numbers for the shape {self.shape}")

    @property
    def array(self) -> np.ndarray:
        return self.values.reshape(self.shape, order="F" if self.by_columns else "C")


ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): lambda array, shape, code: array(),
    ("numpy.core.multiarray", "scalar"): lambda dtype, data: dtype.decode(data)[0],
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledType,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}
