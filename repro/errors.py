"""The one exception for what a user can mend: the command line prints it and exits with code 2."""


class InputError(ValueError):
    """Bad input: a file, a setting or an argument. The message is one line that says what is
    wrong, where, and what was expected."""
