"""The gRPC API: PredictionService and ModelService of tensorflow-serving-api, on a synchronous server.

Synchronous handlers waiting for the one batching thread were measured faster than asyncio's.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.access import Access
from serving.callers import Caller, Tell
from serving.door import Door, Staff
from serving.health import Health
from serving.inference import CLASSIFY, REGRESS
from serving.service import Service
from serving.status import Code, ServingError, guarded
from serving.textproto import SSLConfig
from serving.wire import RETRY_AFTER

LONGEST_MESSAGE = 1024
CUT = "...TRUNCATED"
LARGEST = 2**31 - 1  # of gRPC's arguments
# Watching is for balancers, a few of them: of the requests at a time, one in so many may be a watch.
WATCHES = 8
MORE_REQUESTS = 256
RETRY_HINTS = ((RETRY_AFTER, "1"), ("grpc-retry-pushback-ms", "1000"))
GRPC_CODES = {Code(status.value[0]): status for status in grpc.StatusCode}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The five methods."""

    def __init__(self, service: Service):
        self._service = service

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a signature."""
        return self._counted(context, "Predict", self._service.predict, request, _caller(context))

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns classes and their scores for Examples."""
        return self._counted(context, "Classify", self._service.infer, CLASSIFY, request, _caller(context))

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns a value for each Example."""
        return self._counted(context, "Regress", self._service.infer, REGRESS, request, _caller(context))

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs several signatures on the same Examples."""
        return _answer(context, self._service.infer_all, request, _caller(context))

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the signatures of a version."""
        return _answer(context, self._service.metadata, request, _teller(context))

    def _counted(self, context: grpc.ServicerContext, api: str, method: Callable[..., Any], *args: Any) -> Any:
        """Answers a request of the three kinds that TF Serving counts."""
        metrics, model, start = self._service.metrics, args[-2].model_spec.name, time.perf_counter()
        metrics.in_flight.add(context)
        code = Code.OK
        try:
            return guarded(method, *args)
        except ServingError as error:
            code = error.code
            return _refuse(context, error)
        finally:
            metrics.in_flight.discard(context)
            metrics.answered(model, api, "GRPC", code, time.perf_counter() - start)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The state of the models, and which there are."""

    def __init__(self, service: Service):
        self._service = service

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the state of a model's versions."""
        return _answer(context, self._service.status, request)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Serves other models, versions and labels."""
        return _answer(context, self._service.reload, request, _caller(context))


class Rpc:
    """The gRPC server.

    Args:
        service: answers the requests.
        threads: most requests answered at a time; a waiting one occupies a thread.
        max_requests: most requests at a time, waiting for a thread included.
        grace: seconds that running requests have left when the server stops.
        idle_seconds: longest time that a connection may stay without a request.
        arguments: further arguments of the gRPC server.
        health: whether grpc.health.v1.Health is answered.
        access: who may ask.
    """

    def __init__(
        self,
        service: Service,
        *,
        threads: int = 64,
        max_requests: int = 1024,
        grace: float = 10.0,
        idle_seconds: float = 75.0,
        arguments: Iterable[tuple[str, Any]] = (),
        health: bool = False,
        access: Access | None = None,
    ):
        self._grace, self._metrics = grace, service.metrics
        own = {
            "grpc.max_receive_message_length": service.limits.request_bytes,
            "grpc.max_send_message_length": -1,
            # Without this a second server could share the port and take half of the requests.
            "grpc.so_reuseport": 0,
            **_patience(idle_seconds, service.limits.seconds),
        }
        staff, watches = Staff(threads, max_requests), max(1, max_requests // WATCHES)
        self._server = grpc.server(
            staff,
            # One of each: of two, gRPC takes the first.
            options=list((own | dict(arguments)).items()),
            # Beyond what the door turns away: those who watch, ask how the server does, or are being turned away.
            maximum_concurrent_rpcs=max_requests + watches + MORE_REQUESTS,
            interceptors=[Door(access or Access(), self._turn_away, staff)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(service), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(service), self._server)
        self._health = Health(self._turn_away, most=watches)
        if health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def _turn_away(self, context: grpc.ServicerContext, error: ServingError) -> NoReturn:
        self._metrics.refused(error.code)
        _refuse(context, error)

    def start(self, host: str, port: int | None, *, socket: str = "", ssl: SSLConfig | None = None) -> int:
        """Starts to listen.

        Args:
            host: address to bind.
            port: TCP port, 0 for any free one, None for none.
            socket: path of a UNIX socket to listen on as well.
            ssl: keys and certificates; the port is not encrypted without. The socket never is.

        Returns:
            The port, 0 for none.

        Raises:
            ServingError: UNAVAILABLE, an address cannot be bound.
        """
        bound = 0
        if port is not None:
            bound = self._bind(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", ssl)
        if socket:
            self._bind(f"unix:{socket}", None)
        self._server.start()
        return bound

    def announce_end(self) -> None:
        """Tells those who ask for the server's health, or watch it, that it is about to stop."""
        self._health.announce_end()

    def stop(self) -> threading.Event:
        """Stops listening at once; the event is set when running requests are done or out of time."""
        self._health.end()
        return self._server.stop(self._grace)

    def _bind(self, address: str, ssl: SSLConfig | None) -> int:
        try:
            if ssl is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, _credentials(ssl))
        except RuntimeError:
            raise ServingError(
                Code.UNAVAILABLE, f"gRPC cannot listen on {address}. Free the port or choose another."
            ) from None


def _patience(idle_seconds: float, answer_seconds: float) -> dict[str, int]:
    """Returns the arguments that end connections nobody asks or reads at the other end of.

    Args:
        idle_seconds: longest time without a request, or until the connection is one of gRPC.
        answer_seconds: longest time to an answer; what is then left of it may take as long again.
    """
    idle, answer = (min(int(seconds * 1000) + 1, LARGEST // 2) for seconds in (idle_seconds, answer_seconds))
    return {
        "grpc.server_handshake_timeout_ms": idle,
        "grpc.max_connection_idle_ms": idle,
        # Who has vanished does not answer pings. Clients may ping, too, but not to keep the server busy.
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_recv_ping_interval_without_data_ms": 10_000,
        # Who answers pings and reads nothing would stay for ever. Others connect anew and lose nothing.
        "grpc.max_connection_age_ms": 3_600_000,
        "grpc.max_connection_age_grace_ms": 2 * answer,
    }


def _credentials(ssl: SSLConfig) -> grpc.ServerCredentials:
    pair = ssl.server_key.encode(), ssl.server_cert.encode()
    return grpc.ssl_server_credentials(
        [pair],
        root_certificates=ssl.custom_ca.encode() or None,
        require_client_auth=ssl.client_verify,
    )


def _answer(context: grpc.ServicerContext, method: Callable[..., Any], *args: Any) -> Any:
    try:
        return guarded(method, *args)
    except ServingError as error:
        return _refuse(context, error)


def _refuse(context: grpc.ServicerContext, error: ServingError) -> NoReturn:
    message = error.message
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + CUT
    if error.code is Code.RESOURCE_EXHAUSTED:
        context.set_trailing_metadata(RETRY_HINTS)
    context.abort(GRPC_CODES[error.code], message)
    raise error  # not reached: abort raises


def _caller(context: grpc.ServicerContext) -> Caller:
    return Caller(context.time_remaining(), context.is_active, _teller(context))


def _teller(context: grpc.ServicerContext) -> Tell:
    return lambda origin: context.set_trailing_metadata(tuple(origin.items()))
