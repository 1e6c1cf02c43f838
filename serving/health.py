"""grpc.health.v1.Health: whether the server answers requests, asked once or watched."""

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from serving.status import Code, ServingError

SERVICES = frozenset(("", "ModelService", "PredictionService"))
TELLING = 1.0  # seconds until the end goes on without those who do not read the news of it
Send = Callable[[HealthCheckResponse | None], None]


class Health(health_pb2_grpc.HealthServicer):
    """The health of the three services there are, which is that of the server.

    The library's own servicer remembers every name it is asked for, lets any number watch, and waits for each of
    them to read while it keeps everybody else waiting.

    Args:
        refuse: ends a request with an error; it does not return.
        most: most who watch at a time; more are refused with RESOURCE_EXHAUSTED.
    """

    def __init__(self, refuse: Callable[[grpc.ServicerContext, ServingError], Any], *, most: int):
        self._refuse, self._most = refuse, most
        self._watchers: set[_Watcher] = set()
        self._lock = threading.Lock()
        self.status = HealthCheckResponse.SERVING

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Tells the health now."""
        _require(request, context)
        return HealthCheckResponse(status=self.status)

    def Watch(self, request: Any, context: grpc.ServicerContext, send_response_callback: Send) -> None:
        """Tells the health now and whenever it changes."""
        _require(request, context)
        watcher = _Watcher(self, send_response_callback)
        with self._lock:
            is_full = len(self._watchers) >= self._most
            if not is_full:
                self._watchers.add(watcher)
        if is_full:
            message = f"More than {self._most} watch the health of this server."
            self._refuse(context, ServingError(Code.RESOURCE_EXHAUSTED, message))
        if not context.add_callback(lambda: self._forget(watcher)):
            self._forget(watcher)
        watcher.tell()

    # gRPC's name for a stream that is answered by a callback and holds no thread.
    Watch.experimental_non_blocking = True

    def announce_end(self) -> None:
        """Says NOT_SERVING from now on, and tells those who watch."""
        with self._lock:
            self.status = HealthCheckResponse.NOT_SERVING
            watchers = list(self._watchers)
        # A thread for each: one who does not read keeps only his own waiting.
        threads = [threading.Thread(target=watcher.tell, name="health", daemon=True) for watcher in watchers]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + TELLING
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def end(self) -> None:
        """Ends what is watched: a watch is no request that a stopping server should wait for."""
        self.announce_end()
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.send(None)

    def _forget(self, watcher: "_Watcher") -> None:
        with self._lock:
            self._watchers.discard(watcher)


def _require(request: Any, context: grpc.ServicerContext) -> None:
    if request.service not in SERVICES:
        context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service.")


class _Watcher:
    """One who watches.

    Args:
        health: what is watched.
        send: sends an answer and waits until it is on its way; None ends the watch.
    """

    def __init__(self, health: Health, send: Send):
        self._health, self.send = health, send
        self._told: int | None = None
        self._turn = threading.Lock()

    def tell(self) -> None:
        """Sends the health, if it is not what was sent last."""
        with self._turn:
            if self._told != (status := self._health.status):
                self._told = status
                self.send(HealthCheckResponse(status=status))
