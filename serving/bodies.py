"""Bodies of HTTP requests and answers: read and unpacked by TF Serving's rules, within a limit, and sent."""

import zlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientPayloadError, HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMessage

from serving.aside import LONG, Aside, Pause, no_pause
from serving.codec import malformed
from serving.nests import shown
from serving.prediction import DEFAULT_SIGNATURE
from serving.status import Code, ServingError, invalid

GZIP = 16 + zlib.MAX_WBITS
MOST_PACKED = 16  # times that a body is unpacked at once; it may be 1000
SLICE = 1 << 16  # bytes unpacked or sent at a time


class BodyRefused(ServingError):
    """A refusal whose HTTP status is not that of its code.

    Args:
        status: HTTP status.
        code: canonical status code.
        message: what is wrong.
    """

    def __init__(self, status: int, code: Code, message: str):
        super().__init__(code, message)
        self.status = status


async def invite(request: web.BaseRequest, limit: int) -> None:
    """Tells a client that waits for this to send its body.

    Args:
        request: the request, with an `Expect` header.
        limit: most bytes of the body.

    Raises:
        BodyRefused: it has more, or expects something else.
    """
    expected = request.headers["Expect"]
    if request.version < HttpVersion11:
        return
    if expected.lower() != "100-continue":
        raise BodyRefused(
            417, Code.INVALID_ARGUMENT, f"Unknown expectation: {expected}. Expect 100-continue or nothing."
        )
    _check_size(request.content_length or 0, limit)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # The answer itself has not begun.
    request.writer.output_size = 0


async def read(request: web.BaseRequest, limit: int, aside: Aside) -> bytes | bytearray:
    """Returns the body of a request.

    Args:
        request: the request.
        limit: most bytes, packed and unpacked.
        aside: where long bodies are unpacked.

    Raises:
        BodyRefused: it has more.
    """
    _check_size(request.content_length or 0, limit)
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            _check_size(len(body), limit)
    except (ClientPayloadError, BadHttpMessage):
        raise invalid("The body ends early or is not what its headers say.") from None
    if "gzip" not in request.headers.get("Content-Encoding", ""):
        return body
    # A small one may be long when it is unpacked.
    return await aside.run(len(body) > LONG // MOST_PACKED, _gunzip, body, limit)


def signature_name(document: object) -> str:
    """Returns the name of the signature that a body asks for.

    Raises:
        ServingError: INVALID_ARGUMENT, the body is no object, or the name no string.
    """
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name or DEFAULT_SIGNATURE


def sent(body: bytes | bytearray, headers: dict[str, str]) -> dict[str, Any]:
    """Returns body and headers of an answer; of a long body, a piece is written when the one before has left.

    Args:
        body: the body.
        headers: the headers.
    """
    if len(body) <= SLICE:
        return {"body": body, "headers": headers}
    return {"body": _pieces(body), "headers": headers | {"Content-Length": str(len(body))}}


async def _pieces(body: bytes | bytearray) -> AsyncIterator[memoryview]:
    view = memoryview(body)
    for low in range(0, len(body), SLICE):
        yield view[low : low + SLICE]


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        message = f"Request body is larger than the limit of {limit} bytes."
        raise BodyRefused(413, Code.RESOURCE_EXHAUSTED, message)


def _gunzip(body: bytearray, limit: int, pause: Pause = no_pause) -> bytes | bytearray:
    """Returns the unpacked body; an undecodable one counts as empty, as in TF Serving."""
    unpacker, unpacked = zlib.decompressobj(GZIP), bytearray()
    try:
        for low in range(0, len(body), SLICE):
            unpacked += unpacker.decompress(body[low : low + SLICE], limit + 1 - len(unpacked))
            _check_size(len(unpacked), limit)
            if unpacker.eof:
                return unpacked
            pause()
    except zlib.error:
        pass
    return b""
