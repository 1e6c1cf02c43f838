"""The one exception that means: what a person gave us is at fault."""


class InputError(ValueError):
    """A person's input (a file, a row, a key of the configuration) cannot be used.

    The message is one complete line: what is wrong, where, and what to do. Commands print it
    without a traceback and exit with code 2.

    Example:
        >>> raise InputError("data.source: no such file: mnist.npz. Check the path.")
        Traceback (most recent call last):
        models.errors.InputError: data.source: no such file: mnist.npz. Check the path.
    """
