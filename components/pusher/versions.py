"""Numbered versions below a serving folder: whole or absent, never half there."""

import errno
import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.artifact import METADATA, read_metadata
from models.atomic import TEMPORARY, placed, write_whole
from models.errors import InputError

_log = logging.getLogger("metaprior.pusher")


def versions(folder: Path) -> list[int]:
    """Returns the version numbers below a serving folder, in ascending order."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())


def holding(folder: Path, space: str) -> int | None:
    """Returns the newest version below a serving folder whose encoder is of a space, None where there is none."""
    spaces = ((version, folder / str(version)) for version in reversed(versions(folder)))
    found = (
        version for version, path in spaces if (path / METADATA).exists() and read_metadata(path)["space"] == space
    )
    return next(found, None)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Holds a serving folder against other pipelines that push to it.

    Args:
        folder: the serving folder; made if it is not there.

    Raises:
        InputError: if the folder, or what is written inside the block, cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        words = _words(error)
        remedy = "free some space" if words == os.strerror(errno.ENOSPC) else "make this one writable"
        raise InputError(f"serving.path: cannot write {folder}: {words}. Choose another folder or {remedy}.") from error


def push(saved_model: Path, folder: Path, beside: Mapping[Path, bytes] | None = None) -> int:
    """Copies a SavedModel to the next version of a serving folder that is held for `writing`.

    The copy is made under a name that servers ignore and renamed when it is whole, so that a server
    never sees part of a version.

    Args:
        saved_model: folder of the SavedModel.
        folder: the serving folder.
        beside: further files of the version, by their path in it.

    Returns:
        The new version: one more than the largest, or 1.

    Raises:
        OSError: if the folder cannot be written; nothing is left of the copy.
    """
    version = (versions(folder) or [0])[-1] + 1
    with placed(folder / str(version)) as temporary:
        shutil.copytree(saved_model, temporary)
        for path, content in (beside or {}).items():
            (temporary / path).parent.mkdir(exist_ok=True)
            (temporary / path).write_bytes(content)
    return version


def renew(version: Path, beside: Mapping[Path, bytes]) -> bool:
    """Replaces further files of a version of a held folder, each at once: a reader sees the old or the new one.

    Args:
        version: folder of the version.
        beside: the files by their path in it.

    Returns:
        Whether one of them was missing or another.

    Raises:
        OSError: if the folder cannot be written.
    """
    old = {path: version / path for path, content in beside.items() if not _holds(version / path, content)}
    for path, place in old.items():
        place.parent.mkdir(exist_ok=True)
        write_whole(place, beside[path])
    return bool(old)


def prune(folder: Path, keep: int) -> list[int]:
    """Removes all but the `keep` largest versions of a held folder, and what an interrupted push left.

    A version goes by one rename to a name that servers ignore, then its files go. What cannot be removed
    stays: the push it follows is done.

    Returns:
        The versions removed, in ascending order.
    """
    gone = versions(folder)[:-keep]
    try:
        for version in gone:
            (folder / str(version)).rename(folder / TEMPORARY.format(version))
        for rest in folder.glob(TEMPORARY.format("*")):
            shutil.rmtree(rest)
    except OSError as error:
        _log.warning("%s: an old version could not be removed: %s", folder, error)
    return gone


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _words(error: OSError) -> str:
    """Returns what the system said; `copytree` packs it into a list of (source, target, text of the error)."""
    if isinstance(error, shutil.Error):
        return re.sub(r"^\[Errno \d+\] ([^:]+):.*", r"\1", str(error.args[0][0][2]), flags=re.DOTALL)
    return error.strerror or str(error)
