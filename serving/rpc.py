"""The gRPC API: PredictionService and ModelService of tensorflow-serving-api, on a synchronous server.

Synchronous handlers waiting for the one batching thread were measured faster than asyncio's.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.service import Service
from serving.status import Code, ServingError, guarded

LONGEST_MESSAGE = 1024
CUT = "...TRUNCATED"
GRPC_CODES = {Code(status.value[0]): status for status in grpc.StatusCode}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other methods are UNIMPLEMENTED."""

    def __init__(self, service: Service):
        self._service = service

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a signature."""
        return _answer(context, self._service.predict, request, seconds=context.time_remaining())

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the signatures of a version."""
        return _answer(context, self._service.metadata, request)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuses."""
        return _answer(context, _unimplemented, "Classify")

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuses."""
        return _answer(context, _unimplemented, "Regress")

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuses."""
        return _answer(context, _unimplemented, "MultiInference")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; reloading the configuration is UNIMPLEMENTED."""

    def __init__(self, service: Service):
        self._service = service

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the state of a model's versions."""
        return _answer(context, self._service.status, request)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuses."""
        return _answer(context, _unimplemented, "HandleReloadConfigRequest")


class Rpc:
    """The gRPC server.

    Args:
        service: answers the requests.
        threads: most requests answered at a time; a waiting one occupies a thread.
        max_requests: most requests at a time, waiting for a thread included.
        grace: seconds that running requests have left when the server stops.
    """

    def __init__(self, service: Service, *, threads: int = 64, max_requests: int = 1024, grace: float = 10.0):
        self._grace = grace
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", service.limits.request_bytes),
                ("grpc.max_send_message_length", -1),
                # Without this a second server could share the port and take half of the requests.
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=max_requests,
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(service), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(service), self._server)

    def start(self, host: str, port: int) -> int:
        """Starts to listen.

        Args:
            host: address to bind.
            port: TCP port, 0 for any free one.

        Returns:
            The port.

        Raises:
            ServingError: UNAVAILABLE, the address cannot be bound.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError:
            raise ServingError(
                Code.UNAVAILABLE, f"gRPC cannot listen on {address}. Free the port or choose another."
            ) from None
        self._server.start()
        return bound

    def stop(self) -> threading.Event:
        """Stops listening at once; the event is set when running requests are done or out of time."""
        return self._server.stop(self._grace)


def _answer(context: grpc.ServicerContext, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return guarded(method, *args, **kwargs)
    except ServingError as error:
        message = error.message
        if len(message) > LONGEST_MESSAGE:
            message = message[:LONGEST_MESSAGE] + CUT
        context.abort(GRPC_CODES[error.code], message)


def _unimplemented(method: str) -> None:
    raise ServingError(Code.UNIMPLEMENTED, f"{method} is not supported by this server.")
