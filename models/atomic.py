"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".{}.tmp"
"""How a file or a folder is called until it is whole; a hidden name, which servers and listings pass over."""


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Gives a hidden name beside `path` to write a file or a folder under, and renames what was written to `path`.

    What stood at `path` is replaced, and so are the remains of a process that was killed while it wrote. If the
    block raises, what it wrote is removed. One process at a time may place one path.

    Args:
        path: where the file or folder is to appear; folders above it are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(TEMPORARY.format(path.name))
    _remove(temporary)
    try:
        yield temporary
        if path.is_dir():  # a rename takes the place of a file, but not of a folder with files
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def link(source: str | Path, target: str | Path) -> None:
    """Makes a file appear at a second place: a hard link, or a copy on another file system.

    For large files that are written once: what is written into one of the two is written into both, so whoever
    changes one must put a new file in its place (`write_whole`).
    """
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def write_whole(path: Path, content: bytes) -> Path:
    """Writes a file, all of it or nothing, and returns its path."""
    with placed(path) as temporary:
        temporary.write_bytes(content)
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
