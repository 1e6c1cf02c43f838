"""What lies in a model's folder: version folders, and whether one has changed."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

log = logging.getLogger("metaprior.serving")

NUMBER = re.compile(r"[0-9]+", re.ASCII)
LARGEST = 2**63 - 1

Stamp = tuple[Path | int, ...]
"""A version folder and when its parts last changed; empty for nothing that was seen."""


class Folder:
    """A model's folder, as of the last look at it that succeeded.

    Args:
        name: the model's name, for the log.

    Attributes:
        found: the version folders by their numbers.
    """

    def __init__(self, name: str):
        self.found: dict[int, Path] = {}
        self._name = name
        self._unreadable: Path | None = None  # so that a missing folder is logged once, not at every look

    @property
    def is_readable(self) -> bool:
        """Whether the last look succeeded."""
        return self._unreadable is None

    def look(self, base_path: Path | None) -> None:
        """Lists the version folders.

        Args:
            base_path: the model's folder; None where there is none.
        """
        try:
            self.found = _versions(base_path) if base_path else {}
            self._unreadable = None
        except OSError as error:
            if self._unreadable != base_path:
                log.warning("model %s: cannot read %s: %s", self._name, base_path, error.strerror)
            self._unreadable = base_path


def stamp_of(path: Path) -> Stamp:
    """Returns a version folder and the change times of its parts: enough to see that a copy went on, or another came.

    Args:
        path: the version folder; it and its parts may vanish meanwhile.
    """
    return (path, *_changes(path))


def _versions(base_path: Path) -> dict[int, Path]:
    children = sorted(base_path.iterdir())
    numbered = {int(c.name): c for c in children if NUMBER.fullmatch(c.name) and c.is_dir()}
    return {number: path for number, path in numbered.items() if number <= LARGEST}


def _changes(path: Path) -> Iterator[int]:
    parts = sorted(os.path.join(folder, name) for folder, *names in os.walk(path) for name in chain(*names))
    for part in [path, *parts]:
        with contextlib.suppress(OSError):  # gone between the two looks
            yield os.stat(part).st_mtime_ns
