"""A long JSON document is cut at commas, and each piece is parsed by itself: no call holds the interpreter for long.

A piece is made a document of its own by the openings and closings that it lacks. Its values are then added to what
the pieces before it have left open.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from serving.aside import Pause, Unwanted, discard
from serving.status import ServingError

PIECE = 1 << 17  # bytes: about a millisecond
DEEPEST = 64  # containers around a cut; within, there may be more
CONTAINER = re.compile(rb"\s*[\[{]")
BACKSLASHES = re.compile(rb"\\*")
CLOSINGS = bytes.maketrans(b"[{", b"]}")
QUOTE, BACKSLASH, CASE, OPENING, CLOSING = b'"'[0], b"\\"[0], 32, b"{"[0], b"}"[0]
# Stands for the key of what a piece goes on with. No document has it: it is drawn anew by every process.
AGAIN = secrets.token_hex()

Parse = Callable[[bytes, int], Any]


class Slice(NamedTuple):
    """What a slice of the text shows.

    Attributes:
        within: whether its end is in a string.
        open: openings of the containers around its end, outermost first.
        cut: position of its last comma outside of strings, -1 without.
        around: openings of the containers around that.
        end: position behind the document's last character, -1 where that is not in the slice.
    """

    within: bool
    open: bytes
    cut: int
    around: bytes
    end: int


def parse(text: bytes | bytearray, parse_piece: Parse, pause: Pause) -> Any:
    """Returns the value of a document; text behind it is ignored.

    Args:
        text: the document.
        parse_piece: parses a piece that is a document; it gets the text and where that begins in the document.
        pause: called between pieces.

    Returns:
        The value, or None where the document cannot be cut.
    """
    if not CONTAINER.match(text):
        return None
    root: Any = None
    try:
        for piece, begin, around in _pieces(text):
            root = _joined(root, parse_piece(piece, begin), around)
            if root is None:
                break
            pause()
    except (ServingError, Unwanted):
        discard(root)
        raise
    return root


def _pieces(text: bytes | bytearray) -> Iterator[tuple[bytes, int, bytes]]:
    """Yields each piece, where it begins in the document, and the openings of the containers that it goes on with."""
    begun, around, low, within, now, high = 0, b"", 0, False, b"", 0
    while low < len(text):
        high = _slice_end(text, low)
        found = _look(bytes(text[low:high]), within, now)
        within, now = found.within, found.open
        if found.end >= 0:
            high = low + found.end
            break
        if len(now) > DEEPEST:
            high = len(text)
            break
        if found.cut >= 0 and 0 < len(found.around) <= DEEPEST:
            cut, ahead = low + found.cut, _opening(around)
            yield ahead + text[begun:cut] + _closing(found.around), begun - len(ahead), around
            begun, around = cut, found.around
        low = high
    ahead = _opening(around)
    yield ahead + text[begun:high], begun - len(ahead), around


def _slice_end(text: bytes | bytearray, low: int) -> int:
    high = min(low + PIECE, len(text))
    if high < len(text) and text[high - 1] == BACKSLASH:
        # What it escapes belongs to the slice, too.
        high = min(BACKSLASHES.match(text, high).end() + 1, len(text))  # pyright: ignore[reportOptionalMemberAccess]
    return high


def _look(text: bytes, within: bool, around: bytes) -> Slice:
    """Returns what a slice shows, given what the end of the one before it has shown."""
    if BACKSLASH in text:
        text = text.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    letters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(letters == QUOTE)
    folded = letters | CASE
    marks = np.flatnonzero((folded == OPENING) | (folded == CLOSING))
    marks = marks[(np.searchsorted(quotes, marks) + within) % 2 == 0]
    openings = folded[marks] == OPENING
    depths = len(around) + np.cumsum(np.where(openings, 1, -1))
    ends = np.flatnonzero(depths == 0)
    if len(ends):
        return Slice(False, b"", -1, b"", int(marks[ends[0]]) + 1)
    cut = _last_comma(text, quotes, within)
    before = int(np.searchsorted(marks, cut))
    now = _containers(letters[marks], openings, depths, around)
    then = _containers(letters[marks[:before]], openings[:before], depths[:before], around)
    return Slice(bool((len(quotes) + within) % 2), now, cut, then, -1)


def _last_comma(text: bytes, quotes: np.ndarray, within: bool) -> int:
    """Returns the position of the last comma that is outside of strings and not right behind an opening, or -1."""
    cut = text.rfind(b",")
    while cut >= 0:
        before = int(np.searchsorted(quotes, cut))
        if (before + within) % 2 == 0:
            ahead = text[:cut].rstrip()[-1:]
            return cut if ahead and ahead not in b"[{" else -1
        # Within a string: on before that.
        cut = text.rfind(b",", 0, int(quotes[before - 1])) if before else -1
    return -1


def _containers(letters: np.ndarray, openings: np.ndarray, depths: np.ndarray, around: bytes) -> bytes:
    """Returns the openings of the containers that are open behind all of these brackets."""
    if not len(depths):
        return around
    depth = int(depths[-1])
    if depth > DEEPEST:
        return bytes(depth)
    lowest = min(len(around), int(depths.min()))
    opened = [letters[np.flatnonzero(openings & (depths == level))[-1]] for level in range(lowest + 1, depth + 1)]
    return around[:lowest] + bytes(opened)


def _opening(around: bytes) -> bytes:
    """Returns what stands before a piece; its text begins with a comma, and that needs a value ahead."""
    if not around:
        return b""
    key = f'{{"{AGAIN}":'.encode()
    return b"".join(key if letter == OPENING else b"[" for letter in around) + b"0"


def _closing(around: bytes) -> bytes:
    return around[::-1].translate(CLOSINGS)


def _joined(root: Any, piece: Any, around: bytes) -> Any:
    """Returns a document with a piece more, or None where the two do not fit: a key was there twice."""
    if not around:
        return piece
    target = root
    for _ in around:
        if type(target) is not type(piece) or not target:
            return None
        last = target[-1] if isinstance(target, list) else target[next(reversed(target))]
        first = piece.pop(0) if isinstance(piece, list) else piece.pop(AGAIN, None)
        if isinstance(target, list):
            target.extend(piece)
        else:
            target.update(piece)
        target, piece = last, first
    return root
