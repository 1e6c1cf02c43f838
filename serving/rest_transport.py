"""Carries the calls of `serving.rest_calls` through requests."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import requests
import requests.adapters
import urllib3.exceptions

from serving import errors, wire
from serving.credentials import Credentials
from serving.rest_calls import CONNECTIONS, check, lowered, tls_failure

CHUNK = 1 << 20


class RestTransport:
    """Pooled connections for threads.

    Args:
        address: host:port.
        credentials: TLS and token.

    Raises:
        InvalidRequest: a PEM file cannot be read.
    """

    def __init__(self, address: str, credentials: Credentials):
        self._server = credentials.url(address)
        self._credentials = credentials
        self._session = requests.Session()
        # A model server is reached directly: reading proxy settings and .netrc would also cost time.
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
        for name in ("ca", "certificate", "key"):
            credentials.pem(name)  # a file that cannot be read is told now, and by its role
        self._session.verify = str(credentials.ca) if credentials.ca else True
        if credentials.certificate and credentials.key:
            self._session.cert = (str(Path(credentials.certificate)), str(Path(credentials.key)))

    def send(self, call: wire.Call, seconds: float | None) -> tuple[bytes, wire.Facts]:
        """Returns the body and the facts of an answer.

        Args:
            call: the request.
            seconds: the longest wait.

        Raises:
            RequestError: the server's refusal, or no server.
        """
        method, body = ("POST", call.body()) if call.body else ("GET", None)
        headers = self._credentials.authorization()
        end = None if seconds is None else time.monotonic() + seconds
        try:
            # A redirection would take the token elsewhere. The body comes piece by piece, because the timeout of
            # requests is that of each piece.
            with self._session.request(
                method,
                self._server + call.path,
                data=body,
                headers=headers,
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = b"".join(self._chunks(answer, end, seconds))
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise errors.late(self._server, seconds) from None
        except requests.exceptions.SSLError as error:
            raise errors.untrusted(self._server, *tls_failure(_innermost(error))) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._broken(_innermost(error)) from None
        found = lowered(answer.headers)
        check(answer.status_code, content, found, self._server)
        return content, found

    def close(self) -> None:
        """Closes the pooled connections."""
        self._session.close()

    def _broken(self, error: BaseException) -> errors.RequestError:
        if isinstance(error, ConnectionResetError):  # the library's own error of an end without an answer is one, too
            return errors.hung_up(self._server, self._credentials)
        if isinstance(error, http.client.BadStatusLine):
            return errors.foreign(self._server, "REST", "grpc_port")
        return errors.unreachable(self._server)

    def _chunks(self, answer: requests.Response, end: float | None, seconds: float | None) -> Iterator[bytes]:
        while chunk := answer.raw.read1(CHUNK, decode_content=True):
            yield chunk
            if end is not None and time.monotonic() > end:
                raise errors.late(self._server, seconds)


def _innermost(error: BaseException) -> BaseException:
    """Returns what requests and urllib3 have wrapped in pages."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    inner = getattr(error, "reason", None)
    return _innermost(inner) if isinstance(inner, BaseException) else error
