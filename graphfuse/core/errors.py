"""The one error that speaks to users: they can mend what it names."""


class InputError(ValueError):
    """Something that came from outside is wrong, and the user can mend it.

    The message is one sentence: the place, the value that came, what would be right. The command line prints it and
    ends with exit code 2; any other exception is our fault and ends with 1.
    """
