"""A sampled log of answered requests that is never in a request's way, and bounded in memory and on disk.

    <folder>/<model>-<version>-embeddings-<time>-<n>.parquet    a row for each embedded example
    <folder>/<model>-<version>-predictions-<time>-<n>.tfrecord  whole requests and answers, as PredictionLog

As with TF Serving's LoggingConfig, each answered request is logged with the probability of the sampling rate.
"""

import fcntl
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np

from serving import request_files
from serving.batch import Arrays
from serving.metrics import Counter
from serving.request_files import Answered
from serving.servable import Servable
from serving.signature import Signature
from serving.status import Code, ServingError

log = logging.getLogger("metaprior.serving")

OWN = re.compile(
    r"[\w.~%-]+-\d+-(embeddings-\d{8}T\d{6}Z-[0-9a-f]+\.parquet|predictions-\d{8}T\d{6}Z-[0-9a-f]+\.tfrecord)",
    re.ASCII,
)
"""Names of the log's files; whatever else lies in the folder is somebody else's."""
FILE_BYTES = 8 << 20
LOGGED, DROPPED, FAILED = "OK", "RESOURCE_EXHAUSTED", "DATA_LOSS"


class RequestLog:
    """Writes a sample of the requests to files, on a thread of its own.

    What was logged becomes a file when `seconds` have passed or enough has come together, under a hidden name that
    is changed when the file is whole. The oldest files go where all together would exceed `max_bytes`. If requests
    come faster than the disk takes them, they are left out and counted.

    Args:
        folder: where the files go; made if it is not there. One log at a time may write to it.
        rate: probability, 0 to 1, that a request is logged.
        max_bytes: most bytes on disk, not counting the one file that is being written.
        predictions: whether to write whole requests and answers beside the embeddings.
        seconds: longest time until what was logged is in a file.
        capacity: most bytes of requests that wait for the disk.
        counter: of requests that were to be logged, by model and by what became of them: OK, written;
            RESOURCE_EXHAUSTED, left out because too many were waiting; DATA_LOSS, the disk did not take them.
        draw: of uniform numbers in [0, 1).

    Raises:
        ServingError: FAILED_PRECONDITION, the folder cannot be written, or is another log's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rate: float,
        max_bytes: int,
        predictions: bool = False,
        seconds: float = 60.0,
        capacity: int = 32 << 20,
        counter: Counter | None = None,
        draw: Callable[[], float] | None = None,
    ):
        self._folder, self._rate, self._max_bytes = folder, rate, max_bytes
        self._predictions, self._seconds = predictions, seconds
        self._capacity = min(capacity, max_bytes // 2)  # what waits must fit into one file
        self._counter = counter or Counter("/tensorflow/serving/request_log_count", "model_name", "status_code")
        self._draw = draw or random.Random().random
        self._enough = min(FILE_BYTES, self._capacity // 4)
        self._lock = _hold(folder)
        self._born = f"{time.time_ns():x}"
        self._files = self._bytes = 0
        self._waiting: list[Answered] = []
        self._closed = False
        self._complained = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_when_due, name="request log", daemon=True)

    def start(self) -> None:
        """Starts to write."""
        self._thread.start()

    def record(
        self, model: str, version: int, servable: Servable, signature: Signature, inputs: Arrays, outputs: Arrays
    ) -> None:
        """Takes in an answered request, or leaves it out; waits for nothing.

        Args:
            model: the model's name.
            version: the version that answered.
            servable: what it is.
            signature: the signature that was run.
            inputs: an array for each input; not changed afterwards.
            outputs: an array for each output; they may be parts of a larger batch.
        """
        if self._draw() >= self._rate:
            return
        # Copies: a row must not keep the whole batch it was answered with.
        kept = {alias: np.array(array) for alias, array in outputs.items() if self._wants(alias)}
        given = dict(inputs) if self._predictions else {}
        space = servable.space_of(signature.name)
        entry = Answered(time.time_ns(), model, version, space, signature.name, inputs=given, outputs=kept)
        size = entry.size
        with self._changed:
            if self._closed or self._bytes + size > self._capacity:
                self._counter.add(model, DROPPED)
                return
            self._waiting.append(entry)
            self._bytes += size
            if self._bytes >= self._enough:
                self._changed.notify()

    def close(self) -> None:
        """Writes what is waiting, and ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._lock)

    def _wants(self, alias: str) -> bool:
        return self._predictions or alias in request_files.COLUMNS

    def _write_when_due(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._bytes >= self._enough, self._seconds)
                entries, self._waiting, self._bytes = self._waiting, [], 0
                closed = self._closed
            for group in _by_space(entries):
                self._write(group)
            if closed:
                return

    def _write(self, group: list[Answered]) -> None:
        first = group[0]
        try:
            table = request_files.table(group, name=f"{self._born}-{self._files}")
            if len(table):
                self._place(first, "embeddings", "parquet", lambda path: request_files.write_table(table, path))
            if self._predictions:
                self._place(
                    first,
                    "predictions",
                    "tfrecord",
                    lambda path: request_files.write_predictions(group, path, rate=self._rate),
                )
            status, self._complained = LOGGED, False
        except request_files.FAILURES as error:
            status = FAILED
            if not self._complained:  # once, not for every file of a disk that is full
                log.warning("request log: %s cannot be written: %s", self._folder, error)
            self._complained = True
        except Exception:
            # Whatever a model answers must not end the thread: from then on nothing would be logged.
            status = FAILED
            log.exception("request log: %d requests to %s cannot be written", len(group), first.model)
        self._counter.add(first.model, status, by=len(group))

    def _place(self, of: Answered, what: str, suffix: str, write: Callable[[Path], None]) -> None:
        self._files += 1
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(of.nanoseconds // 10**9))
        name = f"{quote(of.model, safe='')}-{of.version}-{what}-{stamp}-{self._born}{self._files:06d}.{suffix}"
        hidden = self._folder / f".{name}.tmp"
        try:
            write(hidden)
            size = _on_disk(hidden)
            if size > self._max_bytes:
                raise OSError(f"a file of {size:,} bytes is beyond request_log_max_bytes")
            _make_room(self._folder, self._max_bytes - size)
            hidden.rename(self._folder / name)
        finally:
            hidden.unlink(missing_ok=True)


def _hold(folder: Path) -> int:
    """Takes the folder's lock, and removes what a server that was killed left half written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"request_log_folder {folder} cannot be written: {error.strerror}. Choose another, or make it writable.",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"request_log_folder {folder} is another server's. Give each server a folder of its own.",
        ) from None
    for rest in folder.glob(".*.tmp"):
        if OWN.fullmatch(rest.name.removeprefix(".").removesuffix(".tmp")):
            rest.unlink()
    return lock


def _by_space(entries: Iterable[Answered]) -> list[list[Answered]]:
    """Returns the requests by model, version and space: a file of embeddings is of one space."""
    groups: dict[tuple[str, int, str], list[Answered]] = {}
    for entry in entries:
        groups.setdefault((entry.model, entry.version, entry.space), []).append(entry)
    return list(groups.values())


def _make_room(folder: Path, room: int) -> None:
    """Removes the oldest files of the log until those left take `room` bytes at most."""
    files = sorted(
        (path for path in folder.iterdir() if OWN.fullmatch(path.name)),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
    )
    used = sum(map(_on_disk, files))
    for path in files:
        if used <= room:
            return
        used -= _on_disk(path)
        path.unlink(missing_ok=True)


def _on_disk(path: Path) -> int:
    """Returns what a file takes of the disk: small ones take more than their length."""
    found = path.stat()
    return max(found.st_size, found.st_blocks * 512)
