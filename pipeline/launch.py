"""Starts a run's worker process and listens to it; the heavy libraries are loaded over there."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import events, lock, paths
from pipeline.config import Config
from pipeline.failures import unwritable

COMMAND = (sys.executable, "-m", "pipeline.worker")
GRACE = 20  # seconds a worker gets to end by itself


class Worker:
    """A running worker: `python -m pipeline.worker CONFIG_JSON EVENT_FD` in a session of its own.

    As a context manager it is stopped at the end, if it has not ended by then.

    A session of its own, because a terminal's Ctrl-C would otherwise reach the worker's children one
    by one, in any order; `stop` ends the whole group instead.

    Args:
        config: the run's configuration.
        command: what to start; gets the two arguments.

    Raises:
        InputError: if another run is at work in the same folder, or the folder cannot be written.
    """

    def __init__(self, config: Config, *, command: Sequence[str] = COMMAND):
        lock.check(paths.root(config))
        self.run_id, settings = write_settings(config)
        self.log = settings.with_suffix(".log")
        reading, writing = os.pipe()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, str(settings), str(writing)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                start_new_session=True,
            )
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def events(self) -> Iterator[events.Event]:
        """Yields the run's events until the worker ends."""
        with self._pipe:
            yield from events.read(self._pipe)
        self.process.wait()

    def stop(self) -> None:
        """Asks the worker, and any children it left, to end, and makes them after `GRACE` seconds."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def write_settings(config: Config) -> tuple[str, Path]:
    """Writes the configuration of a run beside its log; returns the run's id and the file, named by it.

    Raises:
        InputError: if the folder cannot be written.
    """
    folder = paths.logs(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = _new_file(folder)
        path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from error
    return path.stem, path


def _new_file(folder: Path) -> Path:
    """Creates the file whose name is the run's id; of two starts in one second, only one can."""
    second = time.strftime("%Y%m%d-%H%M%S")
    names = itertools.chain([second], (f"{second}-{count}" for count in itertools.count(2)))
    return next(path for name in names if _create(path := folder / f"{name}.json"))


def _create(path: Path) -> bool:
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    return True
