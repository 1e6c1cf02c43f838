"""Keeps what native libraries write to the standard error off a person's terminal."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InputError


@contextmanager
def native_noise() -> Iterator[None]:
    """Sends the standard error of this process and its children to a file, which goes if all goes well.

    The libraries write to the file descriptor, past `sys.stderr` and past every log level.

    Raises:
        Exception: what was raised inside; with a note that names the file, unless a person's input is at fault.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    noise, path = tempfile.mkstemp(prefix="metaprior-", suffix=".log")
    os.dup2(noise, 2)
    os.close(noise)
    keep = False
    try:
        yield
    except Exception as error:  # passed on as it is: whatever it was, the file may say why
        keep = not isinstance(error, InputError)
        error.add_note(f"What the libraries wrote is in {path}")
        raise
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        if not keep:
            Path(path).unlink()
