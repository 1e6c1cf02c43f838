"""The door of the gRPC server: every request passes it before its method sees it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from typing_extensions import override

from serving.access import Access
from serving.status import Code, ServingError

HEALTH = "/grpc.health.v1.Health/"
# What is asked to see how a busy server does: answered aside from the requests that keep it busy.
ASIDE = (HEALTH, "/tensorflow.serving.ModelService/GetModelStatus")
ASIDE_THREADS = 2
AUTHORIZATION = "authorization"


class Staff(ThreadPoolExecutor):
    """Threads that answer requests, no more than so many at a time, those that wait for a thread included.

    Args:
        threads: most requests answered at a time.
        most: most requests there may be.
    """

    def __init__(self, threads: int, most: int):
        super().__init__(threads, thread_name_prefix="grpc")
        self.most = most
        self._requests = 0
        self._lock = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether there are as many requests as there may be."""
        return self._requests >= self.most

    @override
    def submit(self, *args: Any, **kwargs: Any) -> Future:
        future = super().submit(*args, **kwargs)
        self._count(1)
        future.add_done_callback(lambda _: self._count(-1))
        return future

    def _count(self, more: int) -> None:
        with self._lock:
            self._requests += more


class Door(grpc.ServerInterceptor):
    """Turns away whom the server has no time for, admits senders, then reads their messages.

    Messages are read here and not by gRPC, which keeps some twenty kilobytes for ever of each that it cannot
    read. Questions about the server's health need no token: load balancers have none.

    Args:
        access: who may ask.
        refuse: ends a request with an error; it does not return.
        staff: answers the requests.
    """

    def __init__(self, access: Access, refuse: Callable[[grpc.ServicerContext, ServingError], Any], staff: Staff):
        self._access, self._refuse, self._staff = access, refuse, staff
        self._handlers: dict[str, Any] = {}
        self._aside = ThreadPoolExecutor(ASIDE_THREADS, thread_name_prefix="grpc aside")
        self._full = self._at_once(grpc.unary_unary_rpc_method_handler(self._turn_away))

    def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Returns the method's handler with the door before it; None where there is no such method."""
        method = handler_call_details.method
        is_aside = method.startswith(ASIDE)
        if self._staff.is_busy and not is_aside:
            return self._full
        if method not in self._handlers:
            handler = continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler  # what is unknown is not remembered: a client could send any number of names
            guarded = self._guard(handler, is_open=self._access.open or method.startswith(HEALTH))
            self._handlers[method] = self._at_once(guarded) if is_aside else guarded
        return self._handlers[method]

    def _at_once(self, handler: Any) -> Any:
        """Has a handler run on threads of its own."""

        def answer(*args: Any) -> Any:
            return handler.unary_unary(*args)

        # gRPC's name for a method that does not wait for the server's threads.
        answer.experimental_thread_pool = self._aside  # pyright: ignore[reportFunctionMemberAccess]
        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)

    def _turn_away(self, _: bytes, context: grpc.ServicerContext) -> Any:
        message = f"More than {self._staff.most} requests at a time."
        return self._refuse(context, ServingError(Code.RESOURCE_EXHAUSTED, message))

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
