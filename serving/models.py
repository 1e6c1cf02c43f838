"""The models of a server: which are served, under which labels, and how that changes while they are."""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from serving import configs
from serving.callers import Caller
from serving.configs import NOTHING, ModelConfig
from serving.servable import Servable
from serving.states import Rhythm, Version
from serving.status import Code, ServingError, guarded, invalid
from serving.versions import Versions

log = logging.getLogger("metaprior.serving")

PATIENCE = 600.0  # seconds; by default the retries of a load fit in


class Models:
    """The models of a server, by name; those taken away are remembered for their status.

    Args:
        load: makes a servable of a version folder, or raises ServingError.
        rhythm: when folders are looked at and loads tried.
        loads: how many models may load a version at a time.
        labels_ahead: whether a new label may name a version that is not loaded.
        patience: longest time that somebody's reload waits for new models, in seconds.
    """

    def __init__(
        self,
        load: Callable[[Path], Servable] = Servable,
        *,
        rhythm: Rhythm | None = None,
        loads: int = 1,
        labels_ahead: bool = False,
        patience: float = PATIENCE,
    ):
        self._load, self._rhythm, self._labels_ahead = load, rhythm or Rhythm(), labels_ahead
        self._patience = patience
        self._loads = threading.Semaphore(loads)
        self._versions: dict[str, Versions] = {}
        self._configs: dict[str, ModelConfig] = {}
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None

    @property
    def names(self) -> list[str]:
        """Names of the models that are to be served."""
        return list(self._configs)

    @contextlib.contextmanager
    def lease(self, name: str, number: int | None = None, label: str = "") -> Iterator[tuple[int, Servable]]:
        """Gives number and servable of a version, kept open inside the block.

        Args:
            name: the model's name.
            number: the version; None for the one the label names, or for the newest.
            label: a version's label, or nothing.

        Raises:
            ServingError: INVALID_ARGUMENT for an unknown label, NOT_FOUND.
        """
        if label:
            config = self._configs.get(name)
            if config is None or label not in config.labels:
                raise invalid(f"Unrecognized servable version label: {label}")
            number = config.labels[label]
        if name not in self._versions:
            which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
        with self._versions[name].lease(number) as leased:
            yield leased

    def status(self, name: str) -> list[Version]:
        """Returns every version of a model ever known, the newest first."""
        return self._versions[name].status() if name in self._versions else []

    def served(self) -> Iterator[tuple[str, int, str]]:
        """Yields name, version and id of the embedding space of everything that is served."""
        for name in self.names:
            for version in self.status(name):
                if version.serves and version.servable:
                    yield name, version.number, version.servable.space

    def reload(self, wanted: Sequence[ModelConfig], caller: Caller | None = None) -> None:
        """Serves these models from now on and no others; returns when each new one has a version that serves.

        Args:
            wanted: all that is to be served, each name once.
            caller: who waits, at most as long as its own deadline allows; None waits without an end.

        Raises:
            ServingError: NOT_FOUND for a new model without a folder and FAILED_PRECONDITION for a label whose
                version is not loaded, with nothing changed; UNKNOWN for a new model that cannot be loaded and
                DEADLINE_EXCEEDED for one that has no version in time: it stays, and is served when it has one;
                UNAVAILABLE, the server stops; ABORTED, a later configuration took a new model away.
        """
        self.settle(self.apply(wanted), caller)

    def settle(self, new: Sequence[ModelConfig], caller: Caller | None = None) -> None:
        """Waits as `reload` does for the models that are new; others may change what is served meanwhile."""
        until = time.monotonic() + self._seconds(caller)
        self._wait_for(new, until, caller.is_wanted if caller else None, told=None if caller else 1)

    def check(self, wanted: Sequence[ModelConfig]) -> None:
        """Refuses what `reload` would refuse with nothing changed.

        Raises:
            ServingError: NOT_FOUND, FAILED_PRECONDITION.
        """
        with self._changing:
            self._check(wanted)

    def resume(self, wanted: Sequence[ModelConfig]) -> None:
        """Serves, in a new process, what others like it have been serving for a while.

        Their labels were accepted when the versions were loaded, which are still to be loaded here. And what cannot
        be loaded any more is told of and left out, as they go on without it.

        Args:
            wanted: all that is to be served, each name once.

        Raises:
            ServingError: NOT_FOUND, a model has no folder; UNAVAILABLE, the server stops.
        """
        new = self.apply(wanted, resumed=True)
        try:
            # The others do not wait for a model without versions, either.
            self._wait_for(new, math.inf, None, or_empty=True, told=1)
        except ServingError as error:
            if error.code is not Code.UNKNOWN:
                raise
            log.warning("%s", error)

    def watch(self, path: Path, seconds: float) -> None:
        """Follows a configuration file in the background.

        Args:
            path: a file of ModelServerConfig.
            seconds: pause between two looks at it.
        """
        self._poller = threading.Thread(target=self._follow, args=(path, seconds), name="configuration", daemon=True)
        self._poller.start()

    def halt(self) -> None:
        """Ends all waiting and loading; what is served goes on, and changes no more."""
        self._stop.set()
        with self._changing:  # whoever changes the models now has seen the stop, or is waited for
            for versions in self._versions.values():
                versions.halt()

    def stop(self, timeout: float) -> None:
        """Closes every model, waiting for their requests at most `timeout` seconds."""
        self.halt()
        # All at once: the grace is one for all models.
        closing = [threading.Thread(target=versions.stop, args=(timeout,)) for versions in self._versions.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        if self._poller:
            self._poller.join()

    def _check(self, wanted: Sequence[ModelConfig], *, resumed: bool = False) -> None:
        for config in () if resumed else wanted:
            self._check_labels(config)
        for config in wanted:
            if config.name not in self._configs:
                configs.require_folder(config)

    def apply(self, wanted: Sequence[ModelConfig], *, resumed: bool = False) -> list[ModelConfig]:
        """Configures all models as `reload` does, or `resume`; returns the new ones, which it does not wait for."""
        with self._changing:
            if self._stop.is_set():
                raise ServingError(Code.UNAVAILABLE, "The server is shutting down.")
            self._check(wanted, resumed=resumed)
            new = [config for config in wanted if config.name not in self._configs]
            removed = self._configs.keys() - {config.name for config in wanted}
            self._configs = {config.name: config for config in wanted}
            for name in removed:
                self._versions[name].configure(Path(), NOTHING)
            for config in wanted:
                self._configure(config)
            return new

    def _configure(self, config: ModelConfig) -> None:
        if config.name in self._versions:
            self._versions[config.name].configure(config.base_path, config.policy)
            return
        versions = Versions(
            config.name, config.base_path, policy=config.policy, load=self._load_in_turn, rhythm=self._rhythm
        )
        # Copied, not changed: requests look it up without a lock.
        self._versions = self._versions | {config.name: versions}
        versions.start()

    def _load_in_turn(self, path: Path) -> Servable:
        with self._loads:
            if self._stop.is_set():  # the turn came too late
                raise ServingError(Code.UNAVAILABLE, "The server is shutting down.")
            return self._load(path)

    def _check_labels(self, config: ModelConfig) -> None:
        """Refuses labels whose version does not serve before the change."""
        ahead = (
            ". At the start none is: give --allow_version_labels_for_unavailable_models." if not self._configs else ""
        )
        serving = {version.number for version in self.status(config.name) if version.serves}
        old: Mapping[str, int] = self._configs[config.name].labels if config.name in self._configs else {}
        for label, number in config.labels.items():
            moved = old.get(label, number) != number
            if number not in serving and (moved or not self._labels_ahead):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {config.name}, which is not currently "
                    f"available for inference{ahead}",
                )

    def _seconds(self, caller: Caller | None) -> float:
        if caller is None:
            return math.inf
        return self._patience if caller.seconds is None else min(caller.seconds, self._patience)

    def _wait_for(
        self,
        new: Sequence[ModelConfig],
        until: float,
        is_wanted: Callable[[], bool] | None,
        *,
        or_empty: bool = False,
        told: int | None = None,
    ) -> None:
        """Waits for models as `Versions.wait` does.

        Args:
            new: the models.
            until: `time.monotonic()` of the end of the wait.
            is_wanted: whether somebody still waits.
            or_empty: whether a model without versions is waited for.
            told: how many failures of a model are told of; None for all, as a caller of TF Serving would read them.
        """
        missing: dict[str, list[str]] = {}
        late: list[ServingError] = []
        for config in new:
            try:
                failed = self._versions[config.name].wait(until - time.monotonic(), is_wanted, or_empty=or_empty)
                shown = failed[:told]
                parts = [f"{{name: {config.name} version: {v.number}}} due to error: {v.error}}}, " for v in shown]
                if len(shown) < len(failed):
                    parts.append(f"and {len(failed) - len(shown)} more, ")
            except ServingError as error:
                if error.code is not Code.DEADLINE_EXCEEDED:
                    raise
                late.append(error)
                parts = [f"{{name: {config.name}}} due to error: {error}}}, "]
            if parts:
                missing[config.name] = parts
        if len(missing) > len(late):
            text = "".join(chain.from_iterable(missing.values()))
            raise ServingError(Code.UNKNOWN, f"{len(missing)} model(s) did not become available: {{{text}}}")
        if late:
            text = " ".join(error.message for error in late)
            raise ServingError(
                Code.DEADLINE_EXCEEDED, f"{text} It stays configured and is served as soon as it can be."
            )

    def _follow(self, path: Path, seconds: float) -> None:
        refused = ""
        while not self._stop.wait(seconds):
            try:
                guarded(self._reload_file, path)
                refused = ""
            except ServingError as error:
                # What is served goes on; told once, not at every look.
                if str(error) != refused and not self._stop.is_set():
                    log.warning("%s is ignored: %s", path, error)
                refused = str(error)

    def _reload_file(self, path: Path) -> None:
        # Without waiting, so that the file can put right what it got wrong; each model's thread logs what fails.
        self.apply(configs.models(configs.read(path), self.names))
