"""Paths of data files as configurations give them."""

from pathlib import Path

from repro.errors import InputError
from repro.files.paths import expanded
from repro.wording import shown


def user_path(text: str | Path, key: str) -> Path:
    """Return the path that ``text`` stands for, with ``~`` replaced by the home folder.

    Args:
        key: of the configuration, for messages: "data.path".

    Raises InputError for an unknown user, a NUL character, a name that no file system takes and a
    folder that may not be entered. The path need not exist.
    """
    try:
        path = expanded(text)
        path.stat()
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    except (FileNotFoundError, NotADirectoryError):
        return path
    except OSError as error:
        raise InputError(f"{key}: {shown(str(text))}: {error.strerror}") from None
    return path


def printable(name: str) -> str:
    """Return a file name with the bytes that are not UTF-8 written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
