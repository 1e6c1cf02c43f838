"""The one line behind an exception, however deep Beam and TFX have wrapped it."""

import re
from collections.abc import Iterator

from models.errors import InputError

# Beam raises a worker's exception again as text: its traceback, ending in this.
_WRAPPED = re.compile(rf"(?:{re.escape(InputError.__module__)}\.)?InputError: (.*)", re.DOTALL)
_BEAM_STEP = re.compile(r"\s*\[while running '.*?'\]")

_ELSEWHERE = "choose another folder; then run the same command again."
# What the C library and SQLite say of a disk -> what a person can do; TensorFlow and Beam pass the words on.
_DISK = {
    "No space left on device": f"the disk is full. Free some space, or {_ELSEWHERE}",
    "database or disk is full": f"the disk is full. Free some space, or {_ELSEWHERE}",
    "Disk quota exceeded": f"the disk quota is used up. Free some space, or {_ELSEWHERE}",
    "Read-only file system": f"the run's folder is on a read-only file system. Make it writable, or {_ELSEWHERE}",
}


def reason(error: BaseException) -> tuple[str, bool]:
    """Returns what went wrong as text for a person, and whether a person can mend it.

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
        disk = next((advice for words, advice in _DISK.items() if words in str(seen)), None)
        if disk:
            return disk, True
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {_clean(first)}", False


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _clean(text: str) -> str:
    return _BEAM_STEP.sub("", text).strip()
