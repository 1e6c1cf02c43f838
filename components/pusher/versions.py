"""Numbered versions below a serving folder: whole or absent, never half there."""

import shutil
import uuid
from pathlib import Path

from models.errors import InputError


def versions(folder: Path) -> list[int]:
    """Returns the version numbers below a serving folder, in ascending order."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())


def push(saved_model: Path, folder: Path) -> int:
    """Copies a SavedModel to the next version of a serving folder.

    The copy is made under a name that servers ignore and renamed when it is whole, so that a server
    never sees part of a version.

    Args:
        saved_model: folder of the SavedModel.
        folder: the serving folder; made if it is not there.

    Returns:
        The new version: one more than the largest, or 1.

    Raises:
        InputError: if the folder cannot be written.
    """
    partial = folder / f".partial-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(saved_model, partial)
        version = (versions(folder) or [0])[-1] + 1
        partial.rename(folder / str(version))
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"serving.path: cannot write {folder}: {error.strerror or error}. "
            "Choose another folder or make this one writable."
        ) from error
    return version


def prune(folder: Path, keep: int) -> list[int]:
    """Removes all but the `keep` largest versions, and what an interrupted push left.

    A version goes by one rename to a name that servers ignore, then its files go.

    Returns:
        The versions removed, in ascending order.
    """
    gone = versions(folder)[:-keep]
    for version in gone:
        (folder / str(version)).rename(folder / f".partial-{uuid.uuid4().hex}")
    for rest in folder.glob(".partial-*"):
        shutil.rmtree(rest)
    return gone
