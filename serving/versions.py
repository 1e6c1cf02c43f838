"""The versions of one model: watches a folder, loads what is new, retires what is old.

A version is a subfolder whose name is a number. Of those that the policy names, the newest that load are served;
one that is wanted no more is retired only when a wanted one serves, or when nothing is wanted, and closed only when
its last request is answered. A version whose folder has become another one, because the model moved, is loaded from
there; until that succeeds the old one answers.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from serving.configs import NOTHING, Policy
from serving.folders import Folder, Stamp, stamp_of
from serving.servable import Servable
from serving.states import Rhythm, State, Version
from serving.status import Code, ServingError, guarded

log = logging.getLogger("metaprior.serving")

TICK = 0.1  # seconds between two looks at whether a retired version is idle
PULSE = 0.5  # seconds between two looks at whether somebody still waits

Source = tuple[Path, Policy]


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
        self._source: Source = base_path, policy or Policy()
        self._seen: Source | None = None  # the source that the last look was at
        self._load_servable, self._rhythm = load, rhythm or Rhythm()
        self._known: dict[int, Version] = {}
        self._serving: dict[int, Servable] = {}
        self._replaced: list[Servable] = []  # by one from another folder; to be closed when idle
        self._folder = Folder(name)
        self._wanted: list[int] = []
        self._changed = threading.Condition()
        self._closing = threading.Lock()
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
            self._changed.notify_all()
        self._wake.set()

    def halt(self) -> None:
        """Stops watching, and ends whoever waits; what is served goes on."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """Stops watching and closes every version, waiting for their requests at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self.halt()
        with self._changed:
            for version in self.status():
                self._retire(version)
                if version.state < State.AVAILABLE:
                    self._set(version, Version(version.number, State.END), at_end=True)
        self._close_idle(deadline)
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def wait(
        self, timeout: float = math.inf, is_wanted: Callable[[], bool] | None = None, *, or_empty: bool = False
    ) -> list[Version]:
        """Waits until a version serves or all that are there have failed.

        Args:
            timeout: longest time to wait, in seconds.
            is_wanted: whether somebody still waits.
            or_empty: whether it is enough that there is no version to serve.

        Returns:
            Nothing where one serves or none is there, otherwise the versions that failed.

        Raises:
            ServingError: DEADLINE_EXCEEDED, there was none in time; UNAVAILABLE, the watching has stopped; ABORTED,
                the model is to be served no more; CANCELLED, nobody waits.
        """
        until = time.monotonic() + timeout
        with self._changed:
            # After a whole look at the folder: the server opens its ports with all versions it is to serve.
            while not self._is_settled(or_empty):
                if self._stop.is_set():
                    raise ServingError(Code.UNAVAILABLE, "The server is shutting down.")
                if self._source[1] == NOTHING:
                    raise ServingError(Code.ABORTED, f"Model {self.name} was taken away by a later configuration.")
                if is_wanted and not is_wanted():
                    raise ServingError(Code.CANCELLED, f"Nobody waits for model {self.name} any more.")
                left = until - time.monotonic()
                if left <= 0:
                    raise ServingError(Code.DEADLINE_EXCEEDED, self._missing())
                self._changed.wait(min(left, PULSE))
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
        if source is not self._seen or self._rhythm.poll_seconds:
            self._folder.look(None if source[1] == NOTHING else source[0])
        if self._folder.is_readable:  # otherwise nothing is unloaded
            self._follow(source)
        self._close_idle()
        with self._changed:
            self._seen = source
            self._changed.notify_all()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            # What one look ran into is logged; the next may succeed.
            with contextlib.suppress(ServingError):
                guarded(self.poll)
            self._wake.wait(self._pause())

    def _pause(self) -> float | None:
        """Returns the seconds until something is due, None if nothing is."""
        known = self.status()
        # A retry that is due may have to wait for the folder to be readable again.
        due = [max(v.retry_at - time.monotonic(), TICK) for v in known if v.retry_at < math.inf]
        if self._replaced or any(v.state is State.UNLOADING for v in known):
            due.append(TICK)
        if self._rhythm.poll_seconds:
            due.append(self._rhythm.poll_seconds)
        return min(due, default=None)

    def _follow(self, source: Source) -> None:
        """Loads what is wanted and retires what is not."""
        policy = source[1]
        wanted = policy.candidates(self._folder.found)
        with self._changed:
            self._wanted = wanted
        needed: set[int] = set()
        serving: set[int] = set()
        for number in wanted:
            if self._stop.is_set() or self._source != source:
                return  # what is wanted of the rest is not known
            if len(serving) == policy.most:
                break
            needed.add(number)
            if self._bring(number, self._folder.found[number]):
                serving.add(number)
        for version in self.status():
            if version.number not in needed and version.stamp:
                # It may come back, and is then tried again.
                state = version.state if version.servable else State.END
                self._set(version, replace(version, state=state, stamp=(), retry_at=math.inf))
        for version in self.status():
            # With nothing newer to serve, an old version goes on even when its folder is gone.
            if version.number not in serving and (serving or not wanted):
                self._retire(version)

    def _bring(self, number: int, path: Path) -> bool:
        """Has a version served from a folder; returns whether it is served, if need be from the folder before."""
        with self._changed:
            known = self._known.setdefault(number, Version(number, State.START))
        if known.servable and known.servable.path == path:
            ready = Version(number, State.AVAILABLE, servable=known.servable)
            return known == ready or self._set(known, ready)
        stamp = stamp_of(path)
        if known.stamp == stamp and time.monotonic() < known.retry_at:
            # A version that failed for good is tried again only when its files have changed, as in a slow copy.
            return known.serves
        return self._load(known, path, stamp)

    def _load(self, known: Version, path: Path, stamp: Stamp) -> bool:
        number, servable = known.number, None
        if not known.serves:
            start = replace(known, state=State.LOADING, error=None, servable=None, retry_at=math.inf)
            self._set(known, start)
            known = start
        try:
            servable = guarded(self._load_servable, path)
            loaded = Version(number, State.AVAILABLE, servable=servable)
        except ServingError as error:
            loaded = known.failed(error, stamp, self._rhythm)
            log.warning("model %s version %d cannot be loaded: %s", self.name, number, error)
        is_told = self._set(known, loaded)
        if servable and is_told:
            log.info("model %s version %d is available", self.name, number)
        elif servable:
            # Loaded when the end had come: nobody else would close it.
            servable.close_when_idle(0.0)
        return loaded.serves

    def _is_settled(self, or_empty: bool) -> bool:
        if self._seen is not self._source:
            return False
        return bool(self._serving or self._failed()) or (or_empty and not self._wanted)

    def _failed(self) -> list[Version]:
        """Returns the versions that failed, if all that are wanted have."""
        ended = [self._known[number] for number in self._wanted if number in self._known]
        return ended if all(v.error for v in ended) else []

    def _missing(self) -> str:
        loading = [v.number for v in self._known.values() if v.state is State.LOADING]
        if loading:
            return f"Model {self.name} version {max(loading)} in {self._source[0]} is not loaded yet."
        return f"Model {self.name} has no version to serve in {self._source[0]}."

    def _retire(self, version: Version) -> None:
        if version.serves:
            self._set(version, replace(version, state=State.UNLOADING), at_end=True)

    def _close_idle(self, deadline: float = 0.0) -> None:
        """Closes what was retired and is idle, or is before `deadline`, of `time.monotonic()`."""
        # One at a time: when the server stops, the watching thread may still be at it.
        with self._closing:
            for servable in list(self._replaced):
                if servable.close_when_idle(max(0.0, deadline - time.monotonic())):
                    self._replaced.remove(servable)
            for version in self.status():
                left = max(0.0, deadline - time.monotonic())
                if version.state is State.UNLOADING and version.servable and version.servable.close_when_idle(left):
                    log.info("model %s version %d is unloaded", self.name, version.number)
                    self._set(version, Version(version.number, State.END), at_end=True)

    def _set(self, known: Version, version: Version, *, at_end: bool = False) -> bool:
        """Changes what is known of a version; False where that has changed meanwhile, or the end has come."""
        with self._changed:
            if self._known[version.number] is not known or (self._stop.is_set() and not at_end):
                return False
            if known.servable not in (None, version.servable) and version.state is not State.END:
                self._replaced.append(known.servable)
            self._known[version.number] = version
            if version.serves and version.servable:
                self._serving[version.number] = version.servable
            else:
                self._serving.pop(version.number, None)
            self._changed.notify_all()
            return True
