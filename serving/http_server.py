"""Connections of the REST port: how many, how long they may idle or not be read, and their encryption."""

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import http_exceptions, web
from typing_extensions import override

from serving.status import Code, ServingError
from serving.textproto import SSLConfig

# Several times what any client of ours sends.
MOST_HEADERS, LONGEST_HEADER = 64, 8190
LOOKS = 4  # at every connection, within the time that an answer may stay unread

log = logging.getLogger("metaprior.serving")


class Handler(web.RequestHandler):
    """A connection that leaves nothing in the log of what is no HTTP: anybody may send that, as often as they like.

    Args:
        manager: the server.
        refused: is told of every message that cannot be read.
        kwargs: further arguments of the library's.
    """

    __slots__ = ("_refused",)

    def __init__(self, manager: web.Server, *, refused: Callable[[Code], None], **kwargs: Any):
        super().__init__(manager, **kwargs)
        self._refused = refused

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, http_exceptions.HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.debug("what %s sends is no HTTP: %s", request.remote, type(exc).__name__)
        self._refused(Code.INVALID_ARGUMENT)
        answer = web.Response(status=status, text="Malformed request: not HTTP/1.1 as this port reads it.\n")
        answer.force_close()
        return answer


class Connections(web.Server):
    """An HTTP server that holds no more connections than it may, and none for long that does not ask or read.

    Args:
        handler: answers a request; cancelled when its client goes away.
        most: most connections at a time; more are closed at once.
        idle_seconds: longest time from connecting, or from the last answer, to the end of a request's headers.
        unread_seconds: longest time that the other side may take nothing of what is written.
        refused: is told why a connection was ended.
    """

    def __init__(
        self,
        handler: Any,
        *,
        most: int,
        idle_seconds: float,
        unread_seconds: float,
        refused: Callable[[Code], None],
    ):
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            # Compressed bodies are unpacked by TF Serving's rules and within its limits.
            auto_decompress=False,
            keepalive_timeout=idle_seconds,
            max_headers=MOST_HEADERS,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        self._most, self._unread_seconds, self._refused = most, unread_seconds, refused
        self._unread: dict[asyncio.Transport, tuple[tuple[int, bool], float]] = {}
        self._look()

    @override
    def __call__(self) -> web.RequestHandler:
        return Handler(self, refused=self._refused, loop=self._loop, **self._kwargs)

    @override
    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self._most:
            self._refused(Code.RESOURCE_EXHAUSTED)
            transport.abort()

    @override
    async def shutdown(self, timeout: float | None = None) -> None:
        transports = list(self._connections.values())
        # The library waits twice the time for who does not read.
        end = self._loop.call_later(timeout or 0.0, _abort, transports)
        await super().shutdown(timeout)
        for timer in (end, self._next_look):
            timer.cancel()
        # The loop ends: nobody would write the rest.
        _abort(transports)

    def _look(self) -> None:
        """Ends the connections whose other side has taken nothing for too long; those that wait to close, too."""
        now, unread = self._loop.time(), {}
        for transport in list(self._connections.values()):
            left = transport.get_write_buffer_size(), transport.is_closing()
            if not any(left):
                continue
            before, since = self._unread.get(transport, (left, now))
            if left == before and now - since >= self._unread_seconds:
                self._refused(Code.DEADLINE_EXCEEDED)
                transport.abort()
            else:
                unread[transport] = left, since if left == before else now
        self._unread = unread
        self._next_look = self._loop.call_later(self._unread_seconds / LOOKS, self._look)


def _abort(transports: list[asyncio.Transport]) -> None:
    for transport in transports:
        transport.abort()


def encryption(config: SSLConfig) -> ssl.SSLContext:
    """Returns the context of a port encrypted as the gRPC port is.

    Raises:
        ServingError: INVALID_ARGUMENT, keys or certificates cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        with tempfile.TemporaryDirectory() as folder:
            # The library reads keys from files only; this one is for the server's user alone, and goes at once.
            chain, key = Path(folder, "chain"), Path(folder, "key")
            chain.write_text(config.server_cert)
            key.write_text(config.server_key)
            context.load_cert_chain(chain, key)
        if config.custom_ca:
            context.load_verify_locations(cadata=config.custom_ca)
    except (ssl.SSLError, ValueError) as error:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"The keys and certificates of ssl_config_file cannot be used: {error}"
        ) from None
    if config.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
