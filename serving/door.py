"""The door of the gRPC server: every request passes it before its method sees it."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.access import Access
from serving.status import Code, ServingError

HEALTH = "/grpc.health.v1.Health/"
AUTHORIZATION = "authorization"


class Door(grpc.ServerInterceptor):
    """Admits senders, then reads their messages.

    Messages are read here and not by gRPC, which keeps some twenty kilobytes for ever of each that it cannot
    read. Questions about the server's health need no token: load balancers have none.

    Args:
        access: who may ask.
        refuse: ends a request with an error; it does not return.
    """

    def __init__(self, access: Access, refuse: Callable[[grpc.ServicerContext, ServingError], Any]):
        self._access, self._refuse = access, refuse
        self._handlers: dict[str, Any] = {}

    def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Returns the method's handler with the door before it; None where there is no such method."""
        method = handler_call_details.method
        if method not in self._handlers:
            handler = continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler  # what is unknown is not remembered: a client could send any number of names
            self._handlers[method] = self._guard(handler, is_open=self._access.open or method.startswith(HEALTH))
        return self._handlers[method]

    def _guard(self, handler: Any, *, is_open: bool) -> Any:
        def answer(raw: bytes, context: grpc.ServicerContext) -> Any:
            try:
                if not is_open:
                    self._admit(context)
                request = handler.request_deserializer(raw)
            except DecodeError:
                # The code that gRPC gives, in C++ and in Python.
                return self._refuse(context, ServingError(Code.INTERNAL, "Exception deserializing request!"))
            except ServingError as error:
                return self._refuse(context, error)
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _admit(self, context: grpc.ServicerContext) -> None:
        sent = dict(context.invocation_metadata() or ()).get(AUTHORIZATION)
        # `ipv4:10.0.0.1:5000`: a new connection gets no share of its own.
        self._access.admit(None if sent is None else str(sent), context.peer().rpartition(":")[0])
