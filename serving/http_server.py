"""Connections of the REST port: how many, how long they may idle, and their encryption."""

import ssl
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web
from typing_extensions import override

from serving.status import Code, ServingError
from serving.textproto import SSLConfig

# Several times what any client of ours sends.
MOST_HEADERS, LONGEST_HEADER = 64, 8190


class Connections(web.Server):
    """An HTTP server that holds no more connections than it may and none for long that does not ask.

    Args:
        handler: answers a request; cancelled when its client goes away.
        most: most connections at a time; more are closed at once.
        idle_seconds: longest time from connecting, or from the last answer, to the end of a request's headers.
    """

    def __init__(self, handler: Any, *, most: int, idle_seconds: float):
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
        self._most = most

    @override
    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self._most:
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
