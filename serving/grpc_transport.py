"""Channels that carry the calls of `serving.grpc_calls`, waiting on a thread or on an event loop."""

from typing import Any

import grpc
import grpc.aio

from serving import wire
from serving.credentials import Credentials
from serving.grpc_calls import NO_LIMIT, channel_credentials, facts, failure

OPTIONS = [
    ("grpc.max_receive_message_length", NO_LIMIT),
    ("grpc.max_send_message_length", NO_LIMIT),
    # A server that has just come up is found within a retry, not after a growing pause.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """A channel for threads.

    Args:
        address: host:port.
        credentials: TLS and token.
    """

    def __init__(self, address: str, credentials: Credentials):
        self._address, self._credentials = address, credentials
        self._channel = _channel(grpc, address, credentials)
        self._methods: dict[str, Any] = {}

    def send(self, call: wire.Call, seconds: float | None) -> tuple[bytes, wire.Facts]:
        """Returns the body and the facts of an answer.

        Args:
            call: the request.
            seconds: the longest wait, told to the server, too.

        Raises:
            RequestError: the server's refusal, or no server.
        """
        if call.path not in self._methods:
            self._methods[call.path] = self._channel.unary_unary(call.path)
        body = call.body() if call.body else b""
        metadata = tuple(self._credentials.authorization().items())
        try:
            content, done = self._methods[call.path].with_call(body, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            # What the stub raises is both the error and the call.
            raised: Any = error
            found = facts(raised.initial_metadata(), raised.trailing_metadata())
            raise failure(raised, found, self._address, self._credentials) from None
        return content, facts(done.initial_metadata(), done.trailing_metadata())

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


class AsyncGrpcTransport:
    """A channel for an event loop, opened there by the first call.

    Args:
        address: host:port.
        credentials: TLS and token.
    """

    def __init__(self, address: str, credentials: Credentials):
        self._address, self._credentials = address, credentials
        self._channel: Any = None
        self._methods: dict[str, Any] = {}

    async def send(self, call: wire.Call, seconds: float | None) -> tuple[bytes, wire.Facts]:
        """As `GrpcTransport.send`."""
        if self._channel is None:
            self._channel = _channel(grpc.aio, self._address, self._credentials)
        if call.path not in self._methods:
            self._methods[call.path] = self._channel.unary_unary(call.path)
        body = call.body() if call.body else b""
        metadata = tuple(self._credentials.authorization().items())
        try:
            running = self._methods[call.path](body, timeout=seconds, metadata=metadata)
            content = await running
            return content, facts(await running.initial_metadata(), await running.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            found = facts(error.initial_metadata(), error.trailing_metadata())
            raise failure(error, found, self._address, self._credentials) from None

    async def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            await self._channel.close()


def _channel(library: Any, address: str, credentials: Credentials) -> Any:
    if credentials.secure:
        return library.secure_channel(address, channel_credentials(credentials), OPTIONS)
    return library.insecure_channel(address, OPTIONS)
