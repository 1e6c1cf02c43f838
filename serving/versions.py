"""The versions of one model: watches a folder, loads what is new, retires what is old.

A version is a subfolder whose name is a number. Of those that the policy names, the newest that load are served;
one that is wanted no more is retired only when a wanted one serves, or when nothing is wanted, and closed only when
its last request is answered.
"""

import contextlib
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from serving.configs import NOTHING, Policy
from serving.servable import Servable
from serving.states import Rhythm, State, Version
from serving.status import Code, ServingError, guarded

log = logging.getLogger("metaprior.serving")

NUMBER = re.compile(r"[0-9]+", re.ASCII)
LARGEST = 2**63 - 1
TICK = 0.1  # seconds between two looks at whether a retired version is idle


class Versions:
    """One model's versions.

    Args:
        name: the model's name.
        base_path: folder of the version folders.
        policy: which of them are served.
        load: makes a servable of a version folder, or raises ServingError.
        rhythm: when it looks and tries.
    """

    def __init__(
        self,
        name: str,
        base_path: Path,
        *,
        policy: Policy | None = None,
        load: Callable[[Path], Servable] = Servable,
        rhythm: Rhythm | None = None,
    ):
        self.name = name
        self._source = base_path, policy or Policy()
        self._seen: tuple[Path, Policy] | None = None  # the source that the last look was at
        self._load_servable, self._rhythm = load, rhythm or Rhythm()
        self._known: dict[int, Version] = {}
        self._serving: dict[int, Servable] = {}
        self._found: dict[int, Path] = {}
        self._wanted: list[int] = []
        self._readable = True  # so that a missing folder is logged once, not at every look
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"versions of {name}", daemon=True)

    def start(self) -> None:
        """Starts watching the folder in the background."""
        self._thread.start()

    def configure(self, base_path: Path, policy: Policy) -> None:
        """Serves other versions, from the next look on; what is served meanwhile goes on.

        Args:
            base_path: folder of the version folders.
            policy: which of them are served.
        """
        with self._changed:
            self._source = base_path, policy
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """Stops watching and closes every version, waiting for their requests at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._stop.set()
        self._wake.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        for version in self.status():
            self._retire(version)
        for version in self.status():
            self._close(version, max(0.0, deadline - time.monotonic()))

    def wait(self, timeout: float | None = None) -> list[Version]:
        """Waits until a version serves or all that are there have failed.

        Returns:
            Nothing where one serves, otherwise the versions that failed.

        Raises:
            ServingError: DEADLINE_EXCEEDED, there was none in time; UNAVAILABLE, the watching has stopped.
        """

        def settled() -> bool:
            # After a whole look at the folder: the server opens its ports with all versions it is to serve.
            looked = self._seen is self._source
            return self._stop.is_set() or (looked and (bool(self._serving) or bool(self._failed())))

        with self._changed:
            if not self._changed.wait_for(settled, timeout):
                raise ServingError(Code.DEADLINE_EXCEEDED, f"Model {self.name} has no version in {self._source[0]}.")
            if self._stop.is_set():
                raise ServingError(Code.UNAVAILABLE, "The server is shutting down.")
            return [] if self._serving else self._failed()

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
        """Looks at the folder, if it is time to, and acts on what it finds."""
        source = self._source
        is_due = source is not self._seen or self._rhythm.poll_seconds
        if not is_due or self._scan(*source):
            self._follow(source[1])
        for version in self.status():
            self._close(version, 0.0)
        with self._changed:
            self._seen = source
            self._changed.notify_all()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            # What one look ran into, a folder vanishing under it say, is logged; the next may succeed.
            with contextlib.suppress(ServingError):
                guarded(self.poll)
            self._wake.wait(self._pause())

    def _pause(self) -> float | None:
        """Returns the seconds until something is due, None if nothing is."""
        known = self.status()
        due = [v.retry_at - time.monotonic() for v in known if v.state is State.LOADING]
        due += [TICK for v in known if v.state is State.UNLOADING]
        due += [self._rhythm.poll_seconds] if self._rhythm.poll_seconds else []
        soonest = max(min(due, default=math.inf), 0.0)
        return None if math.isinf(soonest) else soonest

    def _scan(self, base_path: Path, policy: Policy) -> bool:
        """Lists the version folders; False, and nothing is unloaded, where the base path is gone."""
        if policy == NOTHING:
            self._found = {}
            return True
        try:
            children = sorted(base_path.iterdir())
        except OSError as error:
            if self._readable:
                log.warning("model %s: cannot read %s: %s", self.name, base_path, error.strerror)
            self._readable = False
            return False
        self._readable = True
        numbered = {int(c.name): c for c in children if NUMBER.fullmatch(c.name) and c.is_dir()}
        self._found = {number: path for number, path in numbered.items() if number <= LARGEST}
        return True

    def _follow(self, policy: Policy) -> None:
        """Loads what is wanted and retires what is not."""
        wanted = policy.candidates(self._found)
        with self._changed:
            self._wanted = wanted
        for version in self.status():
            if version.number not in wanted and version.stamp:
                # It may come back, and is then tried again.
                self._set(replace(version, state=State.END, stamp=(), retry_at=math.inf))
        serving = self._load_newest(wanted, policy.most)
        for version in self.status():
            # With nothing newer to serve, an old version goes on even when its folder is gone.
            if version.number not in serving and (serving or not wanted):
                self._retire(version)

    def _load_newest(self, wanted: list[int], most: int | None) -> set[int]:
        serving: set[int] = set()
        for number in wanted:
            if len(serving) == most or self._stop.is_set():
                break
            if self._is_available(number) or self._load(number, self._found[number]):
                serving.add(number)
        return serving

    def _is_available(self, number: int) -> bool:
        version = self._known.get(number)
        return version is not None and version.state is State.AVAILABLE

    def _load(self, number: int, path: Path) -> bool:
        stamp, known = _stamp(path), self._known.get(number, Version(number, State.START))
        if known.state is State.UNLOADING:
            self._set(replace(known, state=State.AVAILABLE))
            return True
        same = known.stamp == stamp
        if same and time.monotonic() < known.retry_at:
            # A version that failed for good is tried again only when its files have changed, as in a slow copy.
            return False
        self._set(Version(number, State.LOADING))
        try:
            servable = self._load_servable(path)
        except ServingError as error:
            self._fail(number, error, stamp, known.failures + 1 if same else 1)
            return False
        log.info("model %s version %d is available", self.name, number)
        self._set(Version(number, State.AVAILABLE, servable=servable))
        return True

    def _fail(self, number: int, error: ServingError, stamp: tuple[int, ...], failures: int) -> None:
        log.warning("model %s version %d cannot be loaded: %s", self.name, number, error)
        if failures <= self._rhythm.retries:
            again = time.monotonic() + self._rhythm.retry_seconds
            self._set(Version(number, State.LOADING, stamp=stamp, failures=failures, retry_at=again))
        else:
            self._set(Version(number, State.END, error=error, stamp=stamp, failures=failures))

    def _failed(self) -> list[Version]:
        """Returns the versions that failed, if all that are wanted have."""
        ended = [self._known[number] for number in self._wanted if number in self._known]
        return ended if all(v.error for v in ended) else []

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
