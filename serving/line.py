"""A line between two processes: both ends ask and answer over one pipe, and notice when the other end is gone."""

import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

from serving.status import Code, ServingError, guarded


class Ended(ServingError):
    """The other end is gone."""


class Line:
    """One end of a line.

    What is sent is pickled: both ends must be processes of the same program, on a pipe that nobody else has.

    Args:
        connection: the pipe, both ways.
        methods: what the other end may ask for; each question is answered on a thread of its own.
        lost: called once, when the other end is gone.
    """

    def __init__(
        self,
        connection: Connection,
        methods: Mapping[str, Callable[..., Any]],
        *,
        lost: Callable[[], None] | None = None,
    ):
        self._connection, self._methods, self._lost = connection, methods, lost
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="line", daemon=True)

    def start(self) -> None:
        """Starts to listen."""
        self._thread.start()

    def ask(self, method: str, *args: Any) -> Any:
        """Returns the other end's answer.

        Raises:
            ServingError: what it raised there, or Ended.
        """
        return self.asked(method, *args).result()

    def asked(self, method: str, *args: Any) -> Future[Any]:
        """Returns the future of the other end's answer.

        Args:
            method: one of the other end's.
            args: its arguments.
        """
        future: Future[Any] = Future()
        number = next(self._numbers)
        self._waiting[number] = future
        if not self._send(method, number, args):
            self._settle(number, None, _ended())
        return future

    def _send(self, *message: Any) -> bool:
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            return False
        return True

    def _settle(self, number: int, value: Any, error: ServingError | None) -> None:
        # Once: a question may fail to be sent while the end of the line is noticed.
        future = self._waiting.pop(number, None)
        if future is None:
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def _read(self) -> None:
        try:
            while True:
                method, number, content = self._connection.recv()
                if method is None:
                    self._settle(number, *content)
                else:
                    threading.Thread(target=self._answer, args=(method, number, content), daemon=True).start()
        except (EOFError, OSError):
            with self._sending:
                self._connection.close()
            for number in list(self._waiting):
                self._settle(number, None, _ended())
            if self._lost:
                self._lost()

    def _answer(self, method: str, number: int, args: tuple[Any, ...]) -> None:
        try:
            self._send(None, number, (guarded(self._methods[method], *args), None))
        except ServingError as error:
            self._send(None, number, (None, ServingError(error.code, error.message)))


def _ended() -> Ended:
    return Ended(Code.UNAVAILABLE, "The server is shutting down.")
