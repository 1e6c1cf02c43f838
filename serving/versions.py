"""The versions of one model: watches a folder, loads what is new, retires what is old.

A version is a subfolder whose name is a number. The newest ones that load are served; an old one is
retired only when a newer one serves, and closed only when its last request is answered.
"""

import contextlib
import enum
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from serving.servable import Servable
from serving.status import Code, ServingError, guarded

log = logging.getLogger("metaprior.serving")

NUMBER = re.compile(r"[0-9]+", re.ASCII)
LARGEST = 2**63 - 1


class State(enum.IntEnum):
    """Where a version is in its life, as GetModelStatus reports it."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Version:
    """What is known of one version; those that ended are remembered."""

    number: int
    state: State
    error: ServingError | None = None
    servable: Servable | None = None
    stamp: tuple[int, ...] = ()


class Versions:
    """One model's versions.

    Args:
        name: the model's name.
        base_path: folder of the version folders.
        load: makes a servable of a version folder, or raises ServingError.
        keep: how many of the newest versions that load are served.
        poll_seconds: pause between two looks at the folder.
    """

    def __init__(
        self,
        name: str,
        base_path: Path,
        *,
        load: Callable[[Path], Servable] = Servable,
        keep: int = 1,
        poll_seconds: float = 1.0,
    ):
        self.name = name
        self._base_path, self._load_servable = base_path, load
        self._keep, self._poll_seconds = keep, poll_seconds
        self._known: dict[int, Version] = {}
        self._serving: dict[int, Servable] = {}
        self._polled = 0
        self._readable = True  # so that a missing folder is logged once, not at every look
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"versions of {name}", daemon=True)

    def start(self) -> None:
        """Starts watching the folder in the background."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stops watching and closes every version, waiting for their requests at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        for version in self.status():
            self._retire(version)
        for version in self.status():
            self._close(version, max(0.0, deadline - time.monotonic()))

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the first version to serve; False where none did in time.

        Raises:
            ServingError: FAILED_PRECONDITION, every version there is failed to load.
        """

        def settled() -> bool:
            # After a whole look at the folder: the server opens its ports with all versions it is to serve.
            return self._polled > 0 and any(v.servable or v.error for v in self._known.values())

        with self._changed:
            if not self._changed.wait_for(settled, timeout):
                return False
            if any(v.servable for v in self._known.values()):
                return True
        reasons = "; ".join(f"version {v.number}: {v.error}" for v in self.status() if v.error)
        raise ServingError(Code.FAILED_PRECONDITION, f"No version of model {self.name} could be loaded. {reasons}")

    @contextlib.contextmanager
    def lease(self, number: int | None) -> Iterator[tuple[int, Servable]]:
        """Gives the servable of a version, or of the newest (None), and keeps it open inside the block.

        Raises:
            ServingError: NOT_FOUND.
        """
        with self._changed:
            wanted = max(self._serving, default=-1) if number is None else number
            servable = self._serving.get(wanted)
            if servable is None:
                which = f"Latest({self.name})" if number is None else f"Specific({self.name}, {number})"
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
            servable.acquire()
        try:
            yield wanted, servable
        finally:
            servable.release()

    def status(self) -> list[Version]:
        """Returns every version ever known, the newest first."""
        with self._changed:
            return sorted(self._known.values(), key=lambda v: v.number, reverse=True)

    def poll(self) -> None:
        """Looks at the folder once and acts on what it finds."""
        found = self._scan()
        if found is not None:
            serving = self._load_newest(found)
            for version in self.status():
                # With nothing newer to serve, an old version goes on even when its folder is gone.
                if version.number not in serving and (serving or not found):
                    self._retire(version)
        for version in self.status():
            self._close(version, 0.0)
        with self._changed:
            self._polled += 1
            self._changed.notify_all()

    def _watch(self) -> None:
        while not self._stop.is_set():
            # What one look ran into, a folder vanishing under it say, is logged; the next may succeed.
            with contextlib.suppress(ServingError):
                guarded(self.poll)
            self._stop.wait(self._poll_seconds)

    def _scan(self) -> dict[int, Path] | None:
        """Returns the version folders by number; None, and nothing is unloaded, where the folder is gone."""
        try:
            children = sorted(self._base_path.iterdir())
        except OSError as error:
            if self._readable:
                log.warning("model %s: cannot read %s: %s", self.name, self._base_path, error.strerror)
            self._readable = False
            return None
        self._readable = True
        numbered = {int(c.name): c for c in children if NUMBER.fullmatch(c.name) and c.is_dir()}
        return {number: path for number, path in numbered.items() if number <= LARGEST}

    def _load_newest(self, found: dict[int, Path]) -> set[int]:
        serving: set[int] = set()
        for number in sorted(found, reverse=True):
            if len(serving) == self._keep or self._stop.is_set():
                break
            if self._is_available(number) or self._load(number, found[number]):
                serving.add(number)
        return serving

    def _is_available(self, number: int) -> bool:
        version = self._known.get(number)
        return version is not None and version.state is State.AVAILABLE

    def _load(self, number: int, path: Path) -> bool:
        stamp, known = _stamp(path), self._known.get(number)
        if known is not None and known.state is State.UNLOADING:
            self._set(replace(known, state=State.AVAILABLE))
            return True
        if known is not None and known.error and known.stamp == stamp:
            # A version that failed is tried again only when its files have changed, as in a slow copy.
            return False
        self._set(Version(number, State.LOADING))
        try:
            servable = self._load_servable(path)
        except ServingError as error:
            log.warning("model %s version %d cannot be loaded: %s", self.name, number, error)
            self._set(Version(number, State.END, error=error, stamp=stamp))
            return False
        log.info("model %s version %d is available", self.name, number)
        self._set(Version(number, State.AVAILABLE, servable=servable))
        return True

    def _retire(self, version: Version) -> None:
        if version.state is State.AVAILABLE:
            self._set(replace(version, state=State.UNLOADING))

    def _close(self, version: Version, timeout: float) -> None:
        if version.state is State.UNLOADING and version.servable and version.servable.close_when_idle(timeout):
            log.info("model %s version %d is unloaded", self.name, version.number)
            self._set(Version(version.number, State.END))

    def _set(self, version: Version) -> None:
        with self._changed:
            self._known[version.number] = version
            if version.state is State.AVAILABLE and version.servable:
                self._serving[version.number] = version.servable
            else:
                self._serving.pop(version.number, None)
            self._changed.notify_all()


def _stamp(path: Path) -> tuple[int, ...]:
    """Returns the change times of a version folder and its parts: enough to see that a copy went on."""
    return tuple(p.stat().st_mtime_ns for p in sorted([path, *path.rglob("*")]) if p.exists())
