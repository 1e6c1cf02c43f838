"""A worker's process, from its start to its end, as its supervisor sees it."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from serving.line import Line
from serving.status import Code, ServingError


class Life:
    """Starts a worker.

    Args:
        ordinal: the worker's number.
        answers: what it may ask for; each is told this life first.

    Attributes:
        begun: `time.monotonic()` of the start.
        process: what was started.
        line: to it.
        is_member: whether reloads reach it; guarded by the supervisor, as is what follows.
        facts: what it serves, once it does.
        error: why it could not.
    """

    def __init__(self, ordinal: int, answers: Mapping[str, Callable[..., Any]]):
        self.ordinal, self.begun = ordinal, time.monotonic()
        self.is_member = False
        self.facts: dict[str, Any] | None = None
        self.error: ServingError | None = None
        ours, theirs = socket.socketpair()
        with theirs:
            # In a group of its own: a terminal's Ctrl-C is for the supervisor, which tells the others.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        self.line = Line(Connection(ours.detach()), {name: partial(answer, self) for name, answer in answers.items()})
        self.line.start()

    def failure(self) -> ServingError:
        """Returns why it ended."""
        code = self.process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return self.error or ServingError(Code.UNAVAILABLE, f"a worker process ended by {how}")
