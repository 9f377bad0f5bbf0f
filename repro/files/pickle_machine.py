"""A stack machine for the instructions of a pickle that numbers, texts, lists and dicts need.

Python's own machine can be made to take any amount of memory by a short file: the memo, where a
pickle stores what it refers to again, is an array as long as the largest number in the file, and
one object may be referred to many times, so that 253 bytes describe lists within lists that have
2^80 entries. Here the memo is a dict; lists, dicts, tuples and long texts cannot be fetched from
it; and every other instruction is refused. Time and memory are proportional to the length of the
file.
"""

import codecs
import pickle
import struct
from collections.abc import Callable, Mapping

from repro.errors import InputError
from repro.wording import shown

MOST_CONTAINERS = 1000  # lists and dicts in one file
MOST_VALUES = 4_000_000  # instructions in one file
SHARED_TEXT = 64  # the longest text that may be fetched from the memo
MARK = object()  # on the stack, below the items of a list, dict or tuple


class PickleMachine:
    """Interpreter of one pickle; ``content[position:]`` is what has not been interpreted.

    Args:
        content: the pickle.
        encoding: of the texts that Python 2 wrote; "bytes" leaves them bytes.
        admitted: the functions that may be named, by module and name.
        stateful: the classes whose objects may be given a state, by ``set_state``.
    """

    def __init__(
        self,
        content: bytes,
        encoding: str,
        admitted: Mapping[tuple[str, str], Callable],
        stateful: tuple[type, ...],
    ):
        self.content, self.position, self.encoding = content, 0, encoding
        self.admitted, self.stateful = admitted, stateful
        self.stack: list = []
        self.memo: dict[int, object] = {}
        self.containers = 0

    def run(self) -> object:
        """Return the object that the pickle describes."""
        for _ in range(MOST_VALUES):
            code = self.take(1)
            if code == pickle.STOP:
                (result,) = self.stack
                return result
            if code not in INSTRUCTIONS:
                raise InputError(f"the instruction {code!r}, which no pickle of numbers has")
            INSTRUCTIONS[code](self)
        raise InputError(f"more than {MOST_VALUES} instructions")

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        start, self.position = self.position, self.position + count
        if count < 0 or self.position > len(self.content):
            raise InputError("cut short, or damaged")
        return self.content[start : self.position]

    def line(self) -> bytes:
        """Return the bytes up to the end of the line."""
        return self.take(self.content.index(b"\n", self.position) + 1 - self.position)[:-1]

    def number(self, form: str) -> int:
        """Return the next number, ``form`` as of :mod:`struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def decoded(self, text: bytes) -> str | bytes:
        """Return a text that Python 2 wrote."""
        return text if self.encoding == "bytes" else text.decode(self.encoding)

    def push(self, value: object) -> None:
        self.stack.append(value)

    def push_container(self, value: list | dict) -> None:
        """Push a new list or dict."""
        self.containers += 1
        if self.containers > MOST_CONTAINERS:
            raise InputError(f"more than {MOST_CONTAINERS} lists and dicts")
        self.stack.append(value)

    def pop_to_mark(self) -> list:
        """Remove what lies above the last mark, and the mark, and return it."""
        place = len(self.stack) - 1
        while self.stack[place] is not MARK:
            place -= 1
            if place < 0:
                raise InputError("damaged: no mark")
        above, self.stack[place:] = self.stack[place + 1 :], []
        return above

    def pop(self, count: int) -> list:
        """Remove the last ``count`` values and return them."""
        values = self.stack[-count:]
        if len(values) < count or any(value is MARK for value in values):
            raise InputError("damaged: too few values")
        del self.stack[-count:]
        return values

    def store(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def fetch(self, key: int) -> None:
        """Push what was stored. What could make the result grow is pushed once only."""
        value = self.memo[key]
        large = isinstance(value, str | bytes) and len(value) > SHARED_TEXT
        if large or isinstance(value, list | dict | tuple):
            raise InputError("damaged: one list, dict or long text is used several times")
        self.stack.append(value)

    def extend(self, items: list) -> None:
        if not isinstance(self.stack[-1], list):
            raise InputError("damaged: items without a list")
        self.stack[-1].extend(items)

    def update(self, items: list) -> None:
        keys, values = items[::2], items[1::2]
        if not all(isinstance(key, str | bytes | int) for key in keys):
            raise InputError("a key that is neither a text nor a whole number")
        if not isinstance(self.stack[-1], dict):
            raise InputError("damaged: items without a dict")
        self.stack[-1].update(zip(keys, values, strict=True))

    def name(self, module: str, name: str) -> None:
        """Push the admitted function of this name."""
        try:
            self.push(self.admitted[module.replace("numpy._core.", "numpy.core."), name])
        except KeyError:
            called = shown(f"{module}.{name}")
            raise InputError(f"refused to call {called}, as numbers need no such thing") from None

    def call(self) -> None:
        function, arguments = self.pop(2)
        if not any(function is admitted for admitted in self.admitted.values()):
            raise InputError("damaged: a call of what is no function")
        self.push(function(*arguments))

    def build(self) -> None:
        (state,) = self.pop(1)
        if not isinstance(self.stack[-1], self.stateful):
            raise InputError("damaged: a state of what has none")
        self.stack[-1].set_state(state)


Instruction = Callable[[PickleMachine], object]


def _text(length: str) -> Instruction:
    """Push UTF-8, whose length comes first."""
    return lambda m: m.push(m.take(m.number(length)).decode("utf-8", "surrogatepass"))


def _python_2_text(length: str) -> Instruction:
    return lambda m: m.push(m.decoded(m.take(m.number(length))))


def _bytes(length: str) -> Instruction:
    return lambda m: m.push(m.take(m.number(length)))


def _quoted(machine: PickleMachine) -> None:
    """Push a text of protocol 0, which Python 2 wrote as a literal."""
    line = machine.line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise InputError("damaged: a text without quotes")
    machine.push(machine.decoded(codecs.escape_decode(line[1:-1])[0]))


def _integer(machine: PickleMachine) -> None:
    line = machine.line()
    special = {b"00": False, b"01": True}
    machine.push(special[line] if line in special else int(line.rstrip(b"L")))


def _tuple(count: int) -> Instruction:
    return lambda m: m.push(tuple(m.pop(count)) if count else ())


def _dict(machine: PickleMachine) -> None:
    items = machine.pop_to_mark()
    machine.push_container({})
    machine.update(items)


def _global(machine: PickleMachine) -> None:
    machine.name(machine.line().decode("utf-8"), machine.line().decode("utf-8"))


INSTRUCTIONS: dict[bytes, Instruction] = {
    pickle.PROTO: lambda m: m.take(1),
    pickle.FRAME: lambda m: m.take(8),
    pickle.MARK: lambda m: m.push(MARK),
    pickle.POP: lambda m: m.stack.pop(),
    pickle.POP_MARK: lambda m: m.pop_to_mark(),
    pickle.NONE: lambda m: m.push(None),
    pickle.NEWTRUE: lambda m: m.push(True),
    pickle.NEWFALSE: lambda m: m.push(False),
    pickle.INT: _integer,
    pickle.LONG: _integer,
    pickle.BININT: lambda m: m.push(m.number("<i")),
    pickle.BININT1: lambda m: m.push(m.number("B")),
    pickle.BININT2: lambda m: m.push(m.number("<H")),
    pickle.LONG1: lambda m: m.push(int.from_bytes(m.take(m.number("B")), "little", signed=True)),
    pickle.FLOAT: lambda m: m.push(float(m.line())),
    pickle.BINFLOAT: lambda m: m.push(m.number(">d")),
    pickle.STRING: _quoted,
    pickle.BINSTRING: _python_2_text("<i"),
    pickle.SHORT_BINSTRING: _python_2_text("B"),
    pickle.UNICODE: lambda m: m.push(m.line().decode("raw_unicode_escape")),
    pickle.BINUNICODE: _text("<I"),
    pickle.SHORT_BINUNICODE: _text("B"),
    pickle.BINUNICODE8: _text("<Q"),
    pickle.BINBYTES: _bytes("<I"),
    pickle.SHORT_BINBYTES: _bytes("B"),
    pickle.BINBYTES8: _bytes("<Q"),
    pickle.EMPTY_LIST: lambda m: m.push_container([]),
    pickle.LIST: lambda m: m.push_container(m.pop_to_mark()),
    pickle.APPEND: lambda m: m.extend(m.pop(1)),
    pickle.APPENDS: lambda m: m.extend(m.pop_to_mark()),
    pickle.EMPTY_DICT: lambda m: m.push_container({}),
    pickle.DICT: _dict,
    pickle.SETITEM: lambda m: m.update(m.pop(2)),
    pickle.SETITEMS: lambda m: m.update(m.pop_to_mark()),
    pickle.EMPTY_TUPLE: _tuple(0),
    pickle.TUPLE: lambda m: m.push(tuple(m.pop_to_mark())),
    pickle.TUPLE1: _tuple(1),
    pickle.TUPLE2: _tuple(2),
    pickle.TUPLE3: _tuple(3),
    pickle.PUT: lambda m: m.store(int(m.line())),
    pickle.BINPUT: lambda m: m.store(m.number("B")),
    pickle.LONG_BINPUT: lambda m: m.store(m.number("<I")),
    pickle.MEMOIZE: lambda m: m.store(len(m.memo)),
    pickle.GET: lambda m: m.fetch(int(m.line())),
    pickle.BINGET: lambda m: m.fetch(m.number("B")),
    pickle.LONG_BINGET: lambda m: m.fetch(m.number("<I")),
    pickle.GLOBAL: _global,
    pickle.STACK_GLOBAL: lambda m: m.name(*m.pop(2)),
    pickle.REDUCE: lambda m: m.call(),
    pickle.BUILD: lambda m: m.build(),
}
