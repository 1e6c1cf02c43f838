"""Keeps what native libraries write to the standard error off a person's terminal."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InputError
from serving.process import errors_to


@contextmanager
def native_noise() -> Iterator[None]:
    """Sends the standard error of this process and its children to a file, which goes if all goes well.

    Raises:
        Exception: what was raised inside; with a note that names the file, unless a person's input is at fault.
    """
    noise, path = tempfile.mkstemp(prefix="metaprior-", suffix=".log")
    keep = False
    try:
        with errors_to(noise):
            yield
    except Exception as error:  # passed on as it is: whatever it was, the file may say why
        keep = not isinstance(error, InputError)
        error.add_note(f"What the libraries wrote is in {path}")
        raise
    finally:
        os.close(noise)
        if not keep:
            Path(path).unlink()
