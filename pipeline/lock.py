"""One run at a time on a pipeline's folder; the kernel lets go of the lock however its holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InputError
from pipeline.failures import unwritable

FILE = ".lock"
ATTEMPTS, PAUSE = 4, 0.05  # seconds


@contextmanager
def locked(root: Path) -> Iterator[int]:
    """Holds the lock of a pipeline's folder; gives its file descriptor, with which a child holds it, too.

    Args:
        root: the folder; made if it is not there.

    Raises:
        InputError: if another process holds it, with that process's id, or the folder cannot be written.
    """
    fd = _open(root)
    try:
        if not _take_patiently(fd):
            raise InputError(_busy(root, os.pread(fd, 20, 0).decode()))
        _sign(fd, root)
        yield fd
    finally:
        os.close(fd)


def check(root: Path) -> None:
    """Looks whether a run could start now.

    Raises:
        InputError: as `locked` does.
    """
    with locked(root):
        pass


def busy(root: Path) -> bool:
    """Returns whether a run is at work in a folder; changes nothing there."""
    try:
        fd = os.open(root / FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _take(fd)
    finally:
        os.close(fd)


def since(root: Path) -> float | None:
    """Returns when whoever is at work in a folder began, in seconds since 1970; None where nobody is.

    Everything that its work leaves in ML Metadata is younger than that.
    """
    return (root / FILE).stat().st_mtime if busy(root) else None


def _open(root: Path) -> int:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return os.open(root / FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(root, error) from error


def _sign(fd: int, root: Path) -> None:
    """Writes down who holds the lock; a full disk takes the file, but not what is in it."""
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise unwritable(root, error) from error


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_patiently(fd: int) -> bool:
    """Tries a few times, because `busy` holds the lock for the blink in which it looks."""
    for _ in range(ATTEMPTS):
        if _take(fd):
            return True
        time.sleep(PAUSE)
    return False


def _busy(root: Path, pid: str) -> str:
    return (
        f"{root}: another run (process {pid or 'unknown'}) is at work here. "
        "Wait for it, or give this run a name of its own: --set name=NAME."
    )
