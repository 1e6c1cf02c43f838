"""The gRPC API: PredictionService and ModelService of tensorflow-serving-api, on a synchronous server.

Synchronous handlers waiting for the one batching thread were measured faster than asyncio's.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.access import Access
from serving.callers import Caller, Tell
from serving.door import Door
from serving.inference import CLASSIFY, REGRESS
from serving.service import Service
from serving.status import Code, ServingError, guarded
from serving.textproto import SSLConfig
from serving.wire import RETRY_AFTER

LONGEST_MESSAGE = 1024
CUT = "...TRUNCATED"
HEALTHY = ("", "ModelService", "PredictionService")
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
        return _answer(context, self._service.reload, request)


class Health(HealthServicer):
    """The health of the three services there are: the one it is made of remembers every name it is asked for."""

    def Watch(self, request: Any, context: grpc.ServicerContext, send_response_callback: Any = None) -> Any:
        """Tells the health now and whenever it changes."""
        if request.service not in HEALTHY:
            _refuse(context, ServingError(Code.NOT_FOUND, "There is no such service."))
        return super().Watch(request, context, send_response_callback)


class Rpc:
    """The gRPC server.

    Args:
        service: answers the requests.
        threads: most requests answered at a time; a waiting one occupies a thread.
        max_requests: most requests at a time, waiting for a thread included.
        grace: seconds that running requests have left when the server stops.
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
        arguments: Iterable[tuple[str, Any]] = (),
        health: bool = False,
        access: Access | None = None,
    ):
        self._grace, self._metrics = grace, service.metrics
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", service.limits.request_bytes),
                ("grpc.max_send_message_length", -1),
                # Without this a second server could share the port and take half of the requests.
                ("grpc.so_reuseport", 0),
                *arguments,
            ],
            maximum_concurrent_rpcs=max_requests,
            interceptors=[Door(access or Access(), self._turn_away)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(service), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(service), self._server)
        self._health = Health()
        if health:
            for name in HEALTHY:
                self._health.set(name, HealthCheckResponse.SERVING)
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
        self._health.enter_graceful_shutdown()

    def stop(self) -> threading.Event:
        """Stops listening at once; the event is set when running requests are done or out of time."""
        self.announce_end()
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
        context.set_trailing_metadata(((RETRY_AFTER, "1"),))
    context.abort(GRPC_CODES[error.code], message)
    raise error  # not reached: abort raises


def _caller(context: grpc.ServicerContext) -> Caller:
    return Caller(context.time_remaining(), context.is_active, _teller(context))


def _teller(context: grpc.ServicerContext) -> Tell:
    return lambda origin: context.set_trailing_metadata(tuple(origin.items()))
