"""One of several processes that serve the same ports; `serving.supervisor` starts it, with its end of a line."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from serving import configs, ending, process
from serving.configs import ModelConfig
from serving.line import Ended, Line
from serving.options import Options
from serving.server import Server
from serving.status import ServingError
from serving.team import Task

if TYPE_CHECKING:
    from serving.callers import Caller
    from serving.models import Models


class Worker:
    """This process as a part of the team.

    Args:
        connection: its end of the line to the supervisor.
    """

    def __init__(self, connection: Connection):
        answers = {"end": self._end, "check": self._check, "apply": self._apply, "settle": self._settle}
        answers |= {"metrics": self._metrics}
        self._line = Line(connection, answers, lost=_interrupt)
        self._new: dict[int, list[ModelConfig]] = {}  # models that reloads brought, by the reload's number
        self._drains = False  # on a signal; before, it ends at once

    def run(self) -> int:
        """Serves until the supervisor says so, or is gone, then drains; returns the exit code."""
        self._line.start()
        try:
            self._task: Task = self._line.ask("task")
            return self._serve(self._task.options)
        except Ended:
            return 0

    def begin(self, models: "Models", wanted: Sequence[ModelConfig]) -> None:
        """Serves what the others serve, then joins them.

        Raises:
            ServingError: a model has no folder or cannot be loaded.
        """
        reloads, last = self._task.reloads, self._task.reload
        if last is not None:
            models.resume(_wanted(last, models))
        elif self._task.again:
            models.resume(wanted)
        else:
            models.reload(wanted)
        # What came while the models were loaded; from then on it is asked for as the others are.
        while news := self._line.ask("join", reloads):
            reloads, last = news
            models.resume(_wanted(last, models))

    def reload(self, request: Any, caller: "Caller") -> None:
        """Has every worker serve what a ReloadConfigRequest names, this one included."""
        self._line.ask("reload", request.SerializeToString(), caller.seconds)

    def exposition(self) -> bytes:
        """Returns the metrics of all workers."""
        return self._line.ask("metrics")

    def _serve(self, options: Options) -> int:
        name = f"%(asctime)s worker {self._task.ordinal} %(levelname)s %(message)s"
        logging.basicConfig(level=logging.INFO, format=name)
        ending.await_signals(options.shutdown_delay_seconds + options.shutdown_grace_seconds)
        self._drains = True
        server = None
        try:
            process.import_tensorflow()
            self._server = server = Server(options, team=self)
            if not options.xla_cpu_compilation_enabled:
                process.switch_off_xla()
            with self._server:
                process.calm_collector()
                self._line.ask("ready", self._server.facts())
                try:
                    while True:
                        signal.pause()
                finally:
                    self._server.announce_end()
        except KeyboardInterrupt:
            if server and not server.has_ended:
                ending.leave()
            return 0
        except Ended:
            raise
        except ServingError as error:
            self._line.ask("failed", error.code, error.message)
            return 1

    def _end(self) -> None:
        # A service manager may have told every process already: a second signal would cut the draining off.
        if not (self._drains and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL):
            _interrupt()

    def _check(self, request: bytes) -> None:
        self._server.models.check(_wanted(request, self._server.models))

    def _apply(self, request: bytes, number: int) -> None:
        self._new[number] = self._server.models.apply(_wanted(request, self._server.models))

    def _settle(self, number: int, seconds: float | None) -> None:
        from serving.callers import Caller  # it brings TensorFlow

        self._server.models.settle(self._new.pop(number), Caller(seconds))

    def _metrics(self) -> bytes:
        return self._server.metrics.exposition()


def _wanted(request: bytes, models: "Models") -> list[ModelConfig]:
    from tensorflow_serving.apis import model_management_pb2  # it brings TensorFlow

    return configs.models(model_management_pb2.ReloadConfigRequest.FromString(request).config, models.names)


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def main(argv: Sequence[str]) -> int:
    """Serves as a worker and returns the exit code.

    Args:
        argv: number of the file that is its end of the line.
    """
    return Worker(Connection(int(argv[0]))).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
