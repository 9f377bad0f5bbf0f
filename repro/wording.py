"""Parts of error messages: the nearest valid name, and values cut to a readable length."""

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST = 60  # characters of a value in a message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the name most like ``name``, or an empty string."""
    close = difflib.get_close_matches(name[:200], list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def shown(value: Any) -> str:
    """Return ``repr(value)``, at most 60 characters of it.

    Large and deep containers are cut before they are formatted, so that the cost is bounded.
    """
    try:
        text = _SHORT.repr(value)
    except (ValueError, RecursionError):  # an int of thousands of digits; objects without a repr
        text = f"a value of the type {type(value).__name__}"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def printable(text: str) -> str:
    """Return ``text`` on one line, with control characters, which a terminal obeys, escaped."""
    text = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def one_line(error: BaseException) -> str:
    """Return the type and message of ``error`` on one line of at most 200 characters."""
    text = printable(str(error)[:200])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 4
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 20
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 2 * LONGEST
