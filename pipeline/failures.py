"""The one line behind an exception, however deep Beam and TFX have wrapped it."""

import re
from collections.abc import Iterator
from pathlib import Path

from models.errors import InputError

# Beam raises a worker's exception again as text: its traceback, ending in this.
_WRAPPED = re.compile(rf"(?:{re.escape(InputError.__module__)}\.)?InputError: (.*)", re.DOTALL)
_BEAM_STEP = re.compile(r"\s*\[while running '.*?'\]")

_FULL = "the disk is full", "free some space"
# What the C library and SQLite say of a disk -> what is wrong, what helps; TensorFlow and Beam pass the words on.
_DISK = {
    "No space left on device": _FULL,
    "database or disk is full": _FULL,
    "Disk quota exceeded": ("the disk quota is used up", "free some space"),
    "File too large": ("the shell (ulimit -f) or the file system allows no larger file", "raise the limit"),
    "Read-only file system": ("the file system is read-only", "make it writable"),
}


def reason(error: BaseException) -> tuple[str, bool]:
    """Returns what went wrong in a run as text for a person, and whether a person can mend it.

    Args:
        error: what was raised; its causes and contexts are looked through for an `InputError` or a disk
            that does not take more, as is the text of exceptions that carry a remote traceback.
    """
    for seen in _chain(error):
        if isinstance(seen, InputError):
            return _clean(str(seen)), True
        wrapped = _WRAPPED.search(str(seen))
        if wrapped:
            return _clean(wrapped[1].split("\n\n")[0]), True
        fault = _fault(seen)
        if fault:
            what, remedy = fault
            again = f"{remedy.capitalize()} and run the same command again"
            return f"{what}. {again}, or choose another folder: --set output=FOLDER.", True
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {_clean(first)}", False


def disk(error: BaseException) -> tuple[str, str] | None:
    """Returns what is wrong with a disk and what helps, where an exception or one behind it comes from that."""
    return next((fault for seen in _chain(error) if (fault := _fault(seen))), None)


def unwritable(folder: Path, error: OSError) -> InputError:
    """Returns the refusal of an output folder.

    Args:
        folder: the folder that cannot be written.
        error: what the attempt raised.
    """
    _, remedy = disk(error) or ("", "make this one writable")
    return InputError(
        f"output: cannot write {folder}: {error.strerror}. Choose another folder: --set output=FOLDER, or {remedy}."
    )


def _fault(error: BaseException) -> tuple[str, str] | None:
    text = str(error)
    return next((fault for words, fault in _DISK.items() if words in text), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _clean(text: str) -> str:
    return _BEAM_STEP.sub("", text).strip()
