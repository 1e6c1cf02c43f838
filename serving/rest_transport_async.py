"""Carries the calls of `serving.rest_calls` through aiohttp."""

import errno
import ssl

import aiohttp
import yarl

from serving import errors, wire
from serving.credentials import Credentials
from serving.rest_calls import CONNECTIONS, check, lowered, tls_failure


class AsyncRestTransport:
    """Pooled connections for an event loop, opened there by the first call.

    Args:
        address: host:port.
        credentials: TLS and token.

    Raises:
        InvalidRequest: a PEM file cannot be read.
    """

    def __init__(self, address: str, credentials: Credentials):
        self._server = credentials.url(address)
        self._credentials = credentials
        self._context = _context(credentials) if credentials.secure else None
        self._session: aiohttp.ClientSession | None = None

    async def send(self, call: wire.Call, seconds: float | None) -> tuple[bytes, wire.Facts]:
        """As `RestTransport.send`."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._context or True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        method, body = ("POST", call.body()) if call.body else ("GET", None)
        try:
            async with self._session.request(
                method,
                yarl.URL(self._server + call.path, encoded=True),
                data=body,
                headers=self._credentials.authorization(),
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,  # one would take the token elsewhere
            ) as answer:
                content = await answer.read()
        except TimeoutError:
            raise errors.late(self._server, seconds) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise errors.untrusted(self._server, *tls_failure(error.certificate_error)) from None
        except aiohttp.ClientSSLError as error:
            raise errors.untrusted(self._server, *tls_failure(error.os_error)) from None
        except aiohttp.ServerDisconnectedError:
            raise errors.hung_up(self._server, self._credentials) from None
        except aiohttp.ClientResponseError:  # of the status line or the headers: other answers raise nothing
            raise errors.foreign(self._server, "REST", "grpc_port") from None
        except aiohttp.ClientError as error:
            if getattr(error, "errno", None) == errno.ECONNRESET:
                raise errors.hung_up(self._server, self._credentials) from None
            raise errors.unreachable(self._server) from None
        found = lowered(answer.headers)
        check(answer.status, content, found, self._server)
        return content, found

    async def close(self) -> None:
        """Closes the pooled connections."""
        if self._session is not None:
            await self._session.close()


def _context(credentials: Credentials) -> ssl.SSLContext:
    for name in ("ca", "certificate", "key"):
        credentials.pem(name)  # a file that cannot be read is told now, and by its role
    try:
        context = ssl.create_default_context(cafile=credentials.ca)
        if credentials.certificate and credentials.key:
            context.load_cert_chain(credentials.certificate, credentials.key)
    except ssl.SSLError as error:
        raise errors.unfit(f"ca, certificate or key is not a PEM file: {error.reason or error}.") from None
    return context
