"""The one line behind an exception, however deep Beam and TFX have wrapped it."""

import re

from models.errors import InputError

# Beam raises a worker's exception again as text: its traceback, ending in this.
_WRAPPED = re.compile(rf"(?:{re.escape(InputError.__module__)}\.)?InputError: (.*)", re.DOTALL)
_BEAM_STEP = re.compile(r"\s*\[while running '.*?'\]")


def reason(error: BaseException) -> tuple[str, bool]:
    """Returns what went wrong as text for a person, and whether a person's input is at fault.

    Args:
        error: what was raised; its causes and contexts are looked through for an `InputError`, as is
            the text of exceptions that carry a remote traceback.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, InputError):
            return _clean(str(seen)), True
        wrapped = _WRAPPED.search(str(seen))
        if wrapped:
            return _clean(wrapped[1].split("\n\n")[0]), True
        seen = seen.__cause__ or seen.__context__
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {_clean(first)}", False


def _clean(text: str) -> str:
    return _BEAM_STEP.sub("", text).strip()
