"""The processes that run trials, and what they tell."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import events

COMMAND = (sys.executable, "-m", "pipeline.sweep.worker")
GRACE = 20  # seconds a process gets to end by itself


@dataclass(frozen=True)
class Finished:
    """An order was carried out; `result` says where its results lie."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """An order could not be carried out; `component` None where the process is gone or there was no pipeline."""

    component: str | None
    reason: str
    mendable: bool = False


Told = events.Event | Finished | Failed


class Pool:
    """A few processes that carry out orders; one that dies is replaced by the next order to its slot.

    As a context manager, it ends all of them.

    Args:
        folder: where their logs go.
        lock: a file descriptor they hold open, and with it a lock, until the last of them is gone.
        command: what to start.
    """

    def __init__(self, folder: Path, *, lock: int, command: Sequence[str] = COMMAND):
        self._folder, self._lock, self._command = folder, lock, command
        self._told: queue.Queue[tuple[int, subprocess.Popen, Told]] = queue.Queue()
        self._members: dict[int, subprocess.Popen] = {}
        self.busy: set[int] = set()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for slot in list(self._members):
            self._signal(slot, signal.SIGTERM)
        for slot in list(self._members):
            self._end(slot)

    def order(self, slot: int, **order: Any) -> None:
        """Gives a free slot something to do; its end is told as `Finished` or `Failed`."""
        process = self._members.get(slot)
        if process is not None and process.poll() is not None:
            self._end(slot)
            process = None
        if process is None:
            process = self._start(slot)
        self.busy.add(slot)
        with suppress(BrokenPipeError):  # it is dying: its reader tells
            print(json.dumps(order, default=str), file=process.stdin, flush=True)

    def next(self, timeout: float) -> tuple[int, Told] | None:
        """Returns the next thing a busy slot tells, None if there is none within `timeout` seconds."""
        try:
            slot, process, told = self._told.get(timeout=max(timeout, 0))
        except queue.Empty:
            return None
        if self._members.get(slot) is not process or slot not in self.busy:
            return None  # the last words of a process that was replaced, or had nothing to do
        if isinstance(told, Finished | Failed):
            self.busy.discard(slot)
        return slot, told

    def stop(self, slot: int) -> None:
        """Ends a slot's process, whatever it is doing; nothing more is heard of its order."""
        self._signal(slot, signal.SIGTERM)
        self._end(slot)
        self.busy.discard(slot)

    def log(self, slot: int) -> Path:
        """Returns the path of a slot's log."""
        return self._folder / f"worker-{slot}.log"

    def _start(self, slot: int) -> subprocess.Popen:
        reading, writing = os.pipe()
        with self.log(slot).open("ab") as log:
            process = subprocess.Popen(
                [*self._command, str(writing)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[writing, self._lock],
                start_new_session=True,
                text=True,
            )
        os.close(writing)
        self._members[slot] = process
        threading.Thread(target=self._listen, args=[slot, process, reading], daemon=True).start()
        return process

    def _listen(self, slot: int, process: subprocess.Popen, reading: int) -> None:
        with os.fdopen(reading, "rb") as pipe:
            for line in pipe:
                if line.endswith(b"\n"):  # else it was cut off when its writer died
                    self._told.put((slot, process, _read(line)))
        self._told.put((slot, process, Failed(None, _death(process.wait()))))

    def _end(self, slot: int) -> None:
        process = self._members.pop(slot)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with suppress(BrokenPipeError):  # what it did not read any more
            process.communicate()

    def _signal(self, slot: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._members[slot].pid, number)


def _read(line: bytes) -> Told:
    fields = json.loads(line)
    match fields.pop("event"):
        case "finished":
            return Finished(**fields)
        case "failed":
            return Failed(fields["component"], fields["reason"], fields["mendable"])
        case kind:
            return events.KINDS[kind](**fields)


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit status {code}; its log may say why"
    hint = ". If nobody killed it, memory ran out" if -code == signal.SIGKILL else ""
    return f"its process was killed (signal {-code}){hint}"
