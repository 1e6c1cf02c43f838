"""One process at a time on a folder; the kernel lets go of the lock however its holder ends."""

import fcntl
import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    try:
        fd = take(root, functools.partial(_busy, root))
    except OSError as error:
        raise unwritable(root, error) from error
    try:
        yield fd
    finally:
        os.close(fd)


def take(folder: Path, refusal: Callable[[str], str]) -> int:
    """Takes the lock of a folder; whoever holds it may remove the folder, the lock file last, and let go.

    Tries a few times, because `busy` holds the lock for the blink in which it looks, and because the folder may go
    between two steps.

    Args:
        folder: the folder; made if it is not there.
        refusal: the line to refuse with, given the id of the process that holds the lock.

    Returns:
        The file descriptor that holds the lock until it is closed.

    Raises:
        InputError: if another process holds the lock.
        OSError: if the folder cannot be written.
    """
    pid = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE if attempt else 0)
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), ExitStack() as closing:
            fd = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o644)
            closing.callback(os.close, fd)
            if _take(fd) and os.path.samestat(os.fstat(fd), os.stat(folder / FILE)):
                _sign(fd)
                closing.pop_all()
                return fd
            pid = os.pread(fd, 20, 0).decode()
    raise InputError(refusal(pid or "unknown"))


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


def _sign(fd: int) -> None:
    """Writes down who holds the lock; a full disk takes the file, but not what is in it."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(root: Path, pid: str) -> str:
    return (
        f"{root}: another run (process {pid}) is at work here. "
        "Wait for it, or give this run a name of its own: --set name=NAME."
    )
