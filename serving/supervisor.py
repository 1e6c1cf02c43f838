"""Several processes that serve the same ports: started together, started again where one ends, ended together.

Each worker is a whole server with a socket of its own on every port, and the kernel spreads new connections over
them. This process answers nothing and imports no TensorFlow. It has a line to each worker, by which reloads reach
all, metrics are added up, and each side notices when the other is gone.
"""

import logging
import signal
import threading
import time
from concurrent.futures import wait
from typing import Any

from serving import ending, process, settings
from serving.gathering import Gathering
from serving.life import Life
from serving.line import Ended
from serving.options import Options
from serving.reserved import Reserved
from serving.status import Code, ServingError
from serving.team import Task

log = logging.getLogger("metaprior.serving")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a worker that ended is started again
CALM = 60.0  # seconds of life after which an end counts as a first one
PATIENCE = 5.0  # seconds that a worker has to tell its metrics


class Supervisor:
    """Keeps as many workers as the options name.

    Args:
        options: what the whole server was told.

    Raises:
        ServingError: a configuration file cannot be used, or a port is taken.
    """

    def __init__(self, options: Options):
        settings.check(options)
        self._options, self._numbers = options, range(options.workers)
        self._reserved = {
            name: Reserved(protocol, options.host, settings.number(port))
            for name, protocol, port in (
                ("port", "gRPC", options.port),
                ("rest_api_port", "REST", options.rest_api_port),
            )
            if port
        }
        self._lives: dict[int, Life] = {}
        self._first: dict[int, Life] = {}  # that serve, or have ended; the first of each number
        self._is_ending = False
        self._reloads = 0
        self._reload: bytes | None = None
        self._changed = threading.Condition()  # guards all of the above
        self._reloading = threading.Lock()
        self._gathering = Gathering(options.workers, self._metrics)
        self._keepers = [threading.Thread(target=self._keep, args=(n,), name=f"worker {n}") for n in self._numbers]

    def start(self) -> dict[str, Any]:
        """Starts the workers; returns what is served, once each serves or has failed to.

        Raises:
            ServingError: none serves.
        """
        for keeper in self._keepers:
            keeper.start()
        with self._changed:
            self._changed.wait_for(lambda: len(self._first) == self._options.workers)
            facts = [life.facts for life in self._first.values() if life.facts]
        if not facts:
            raise next(life.failure() for life in self._first.values())
        return facts[0] | {"workers": self._options.workers}

    def stop(self) -> None:
        """Has every worker drain and end, and waits for them."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
            lives = list(self._lives.values())
        for life in lives:
            life.line.asked("end")
        for keeper in self._keepers:
            if keeper.is_alive():
                keeper.join()
        for reserved in self._reserved.values():
            reserved.close()

    def _keep(self, ordinal: int) -> None:
        """Has a worker of this number, time after time, until the end."""
        pause = 0.0
        while life := self._begin(ordinal):
            life.process.wait()
            with self._changed:
                life.is_member = False
                self._first.setdefault(ordinal, life)
                self._changed.notify_all()
                # Where all fail at the start it is over; a failure is told, and tried again, only beside success.
                self._changed.wait_for(lambda: self._is_ending or self._serves)
                if self._is_ending:
                    return
            self._gathering.ended(ordinal)
            age = time.monotonic() - life.begun
            pause = FIRST_PAUSE if age > CALM or not pause else min(2 * pause, LONGEST_PAUSE)
            log.warning("worker %d ended: %s. It is started again in %g s.", ordinal, life.failure().message, pause)
            with self._changed:
                self._changed.wait_for(lambda: self._is_ending, pause)

    def _begin(self, ordinal: int) -> Life | None:
        answers = {"task": self._task, "join": self._join, "ready": self._ready, "failed": self._failed}
        answers |= {"reload": self._reload_all, "metrics": lambda _: self._gathering.exposition()}
        with self._changed:
            if self._is_ending:
                return None
            life = self._lives[ordinal] = Life(ordinal, answers)
        return life

    @property
    def _serves(self) -> bool:
        return any(life.facts for life in self._first.values())

    def _task(self, life: Life) -> Task:
        ports = {name: reserved.port for name, reserved in self._reserved.items()}
        options = settings.of_worker(self._options, life.ordinal, ports)
        with self._changed:
            return Task(options, life.ordinal, self._serves, self._reloads, self._reload)

    def _join(self, life: Life, reloads: int) -> tuple[int, bytes | None] | None:
        with self._changed:
            if reloads < self._reloads:
                return self._reloads, self._reload
            life.is_member = True
        return None

    def _ready(self, life: Life, facts: dict[str, Any]) -> None:
        with self._changed:
            life.facts = facts
            again = life.ordinal in self._first
            self._first.setdefault(life.ordinal, life)
            self._changed.notify_all()
        if again:
            log.info("worker %d serves again", life.ordinal)

    def _failed(self, life: Life, code: Code, message: str) -> None:
        life.error = ServingError(code, message)

    def _reload_all(self, _: Life, request: bytes, seconds: float | None) -> None:
        """Has all workers serve what a ReloadConfigRequest names; none changes anything where one would refuse it."""
        with self._reloading:
            _ask(self._members(), "check", request)
            with self._changed:
                # Whoever joins from now on asks for it; the others are told.
                number = self._reloads + 1
                self._reloads, self._reload = number, request
                members = self._members()
            _ask(members, "apply", request, number)
        # While these models load, the next reload may come.
        _ask(members, "settle", number, seconds)

    def _members(self) -> list[Life]:
        with self._changed:
            return [life for life in self._lives.values() if life.is_member]

    def _metrics(self) -> dict[int, bytes]:
        asked = {life.ordinal: life.line.asked("metrics") for life in self._members()}
        done, _ = wait(asked.values(), PATIENCE)
        return {n: answer.result() for n, answer in asked.items() if answer in done and not answer.exception()}


def _ask(lives: list[Life], method: str, *args: Any) -> None:
    """Has workers do something, all at the same time.

    Raises:
        ServingError: what one of them raised; that one ended does not count.
    """
    asked = [life.line.asked(method, *args) for life in lives]
    errors = [answer.exception() for answer in asked]
    for error in errors:
        if error and not isinstance(error, Ended):
            raise error


def supervise(options: Options) -> None:
    """Serves by several workers until SIGTERM or SIGINT, then has them drain; a second signal ends all at once.

    Raises:
        ServingError: the server could not start.
    """
    # The workers have their own limit, and end by themselves when this process is gone.
    ending.await_signals(options.shutdown_delay_seconds + options.shutdown_grace_seconds + 2 * ending.LAST)
    try:
        supervisor = Supervisor(options)
        process.print_wait(options)
        try:
            process.print_facts(supervisor.start(), options)
            while True:
                signal.pause()
        finally:
            supervisor.stop()
    except KeyboardInterrupt:
        print("stopped", flush=True)
