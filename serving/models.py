"""The models of a server: which are served, under which labels, and how that changes while they are."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from serving import configs
from serving.configs import NOTHING, ModelConfig
from serving.servable import Servable
from serving.states import Rhythm, Version
from serving.status import Code, ServingError, guarded, invalid
from serving.versions import Versions

log = logging.getLogger("metaprior.serving")


class Models:
    """The models of a server, by name; those taken away are remembered for their status.

    Args:
        load: makes a servable of a version folder, or raises ServingError.
        rhythm: when folders are looked at and loads tried.
        loads: how many models may load a version at a time.
        labels_ahead: whether a new label may name a version that is not loaded.
    """

    def __init__(
        self,
        load: Callable[[Path], Servable] = Servable,
        *,
        rhythm: Rhythm | None = None,
        loads: int = 1,
        labels_ahead: bool = False,
    ):
        self._load, self._rhythm, self._labels_ahead = load, rhythm or Rhythm(), labels_ahead
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
                if version.servable:
                    yield name, version.number, version.servable.space

    def reload(self, wanted: Sequence[ModelConfig]) -> None:
        """Serves these models from now on and no others; returns when each new one has a version that serves.

        Args:
            wanted: all that is to be served, each name once.

        Raises:
            ServingError: NOT_FOUND for a new model without a folder and FAILED_PRECONDITION for a label whose
                version is not loaded, with nothing changed; UNKNOWN for a new model that cannot be loaded.
        """
        with self._changing:
            new = [config for config in wanted if config.name not in self._configs]
            for config in wanted:
                self._check_labels(config)
            for config in new:
                configs.require_folder(config)
            removed = self._configs.keys() - {config.name for config in wanted}
            self._configs = {config.name: config for config in wanted}
            for name in removed:
                self._versions[name].configure(Path(), NOTHING)
            for config in wanted:
                self._configure(config)
            self._wait_for(new)

    def watch(self, path: Path, seconds: float) -> None:
        """Follows a configuration file in the background.

        Args:
            path: a file of ModelServerConfig.
            seconds: pause between two looks at it.
        """
        self._poller = threading.Thread(target=self._follow, args=(path, seconds), name="configuration", daemon=True)
        self._poller.start()

    def stop(self, timeout: float) -> None:
        """Closes every model, waiting for their requests at most `timeout` seconds."""
        self._stop.set()
        # All at once: the grace is one for all models.
        closing = [threading.Thread(target=versions.stop, args=(timeout,)) for versions in self._versions.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        if self._poller:
            self._poller.join()

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
            return self._load(path)

    def _check_labels(self, config: ModelConfig) -> None:
        """Refuses labels whose version does not serve before the change."""
        serving = {version.number for version in self.status(config.name) if version.servable}
        old: Mapping[str, int] = self._configs[config.name].labels if config.name in self._configs else {}
        for label, number in config.labels.items():
            moved = old.get(label, number) != number
            if number not in serving and (moved or not self._labels_ahead):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {config.name}, which is not currently "
                    "available for inference",
                )

    def _wait_for(self, new: Sequence[ModelConfig]) -> None:
        failed = {config.name: self._versions[config.name].wait() for config in new}
        failed = {name: versions for name, versions in failed.items() if versions}
        if failed:
            parts = [
                f"{{name: {name} version: {version.number}}} due to error: {version.error}}}, "
                for name, versions in failed.items()
                for version in versions
            ]
            raise ServingError(Code.UNKNOWN, f"{len(failed)} model(s) did not become available: {{{''.join(parts)}}}")

    def _follow(self, path: Path, seconds: float) -> None:
        refused = ""
        while not self._stop.wait(seconds):
            try:
                guarded(self._reload_file, path)
                refused = ""
            except ServingError as error:
                # What is served goes on; told once, not at every look.
                if str(error) != refused:
                    log.warning("%s is ignored: %s", path, error)
                refused = str(error)

    def _reload_file(self, path: Path) -> None:
        self.reload(configs.models(configs.read(path), self.names))
