"""Numbers out of pickles, without running what a pickle asks for.

A pickle is a program: it names functions and calls them. Arrays of numbers need four of numpy's
(numpy 2 moved ``numpy.core`` to ``numpy._core``), and a protocol-2 pickle written by Python 3 needs
``_codecs.encode``, by which it spells bytes. They are replaced by functions of this module, since
numpy's own can be made to corrupt memory. Any other name raises `InputError` before it is looked
up. :mod:`repro.files.pickle_machine` bounds time and memory.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from repro.errors import InputError
from repro.files.pickle_machine import PickleMachine
from repro.wording import shown

NUMBERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


class PickledType:
    """numpy.dtype("u2", ...), whose byte order follows as the second item of its state."""

    def __init__(self, code: str | bytes, *_: object):
        self.code, self.order = code.decode() if isinstance(code, bytes) else code, "="

    def set_state(self, state: tuple) -> None:
        """Take the byte order, ``state[1]``."""
        order = state[1]
        self.order = order.decode() if isinstance(order, bytes) else order

    def decode(self, data: bytes | str) -> np.ndarray:
        """Return the numbers in ``data``, flat."""
        if self.code not in NUMBERS or self.order not in ("<", ">", "=", "|"):
            found = shown(f"{self.order}{self.code}")
            raise InputError(f"expected numbers, found the type {found}")
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2: str is bytes
        return np.frombuffer(data, np.dtype(self.order + self.code))


class PickledArray:
    """What numpy.core.multiarray._reconstruct(numpy.ndarray, ...) makes, before it is filled."""

    def set_state(self, state: tuple) -> None:
        """Take shape, type, order and numbers."""
        _, shape, dtype, self.by_columns, data = state
        self.values = dtype.decode(data)  # flat, in the order of the file
        self.shape = tuple(shape)
        if len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
            raise InputError("damaged: an array with an impossible shape")
        if math.prod(shape) != self.values.size:
            raise InputError(f"damaged: {self.values.size} numbers for the shape {self.shape}")

    @property
    def array(self) -> np.ndarray:
        """The numbers in their shape."""
        return self.values.reshape(self.shape, order="F" if self.by_columns else "C")


def load_numbers(content: bytes, encoding: str = "latin1") -> Any:
    """Return the object that a pickle of protocol 0 to 4 describes; arrays are `PickledArray`.

    Args:
        content: the pickle.
        encoding: of the texts that Python 2 wrote; "bytes" leaves them bytes.

    Raises `InputError` for a pickle that asks for anything but numbers, texts, lists, dicts and
    arrays, and for one that is damaged, cut short or far larger than its file when unpacked.
    """
    try:
        return PickleMachine(content, encoding, ADMITTED, (PickledType, PickledArray)).run()
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise InputError(f"damaged or cut short ({type(error).__name__})") from None
    except (ValueError, LookupError, MemoryError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"damaged ({shown(' '.join(str(error).split()))})") from None


def _scalar(dtype: PickledType, data: bytes | str) -> np.generic:
    return dtype.decode(data)[0]


ADMITTED: dict[tuple[str, str], Callable] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda array, shape, code: PickledArray(),
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledType,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}
