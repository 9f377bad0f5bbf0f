"""The exception for mistakes of the user: the command line prints it and exits with code 2."""

from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: a file, a setting or an argument.

    The message is one line that says what is wrong, where, and what was expected.
    """


class InputErrors(InputError):
    """Several mistakes at once; ``problems`` holds one line for each."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))
