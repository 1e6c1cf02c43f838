"""Bodies of HTTP requests: read and unpacked by TF Serving's rules, within a limit."""

import zlib

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import BadHttpMessage

from serving.status import Code, ServingError, invalid

GZIP = 16 + zlib.MAX_WBITS


class BodyTooLarge(ServingError):
    """A body over the limit: the one refusal whose HTTP status is not that of its code."""

    def __init__(self, limit: int):
        super().__init__(Code.RESOURCE_EXHAUSTED, f"Request body is larger than the limit of {limit} bytes.")


async def read(request: web.BaseRequest, limit: int) -> bytes:
    """Returns the body of a request.

    Args:
        request: the request.
        limit: most bytes, packed and unpacked.

    Raises:
        BodyTooLarge: it has more.
    """
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit)
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise BodyTooLarge(limit)
    except (ClientPayloadError, BadHttpMessage):
        raise invalid("The body ends early or is not what its headers say.") from None
    packed = "gzip" in request.headers.get("Content-Encoding", "")
    return _gunzip(bytes(body), limit) if packed else bytes(body)


def _gunzip(body: bytes, limit: int) -> bytes:
    """Returns the unpacked body; an undecodable one counts as empty, as in TF Serving."""
    unpacker = zlib.decompressobj(GZIP)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error:
        return b""
    if len(unpacked) > limit:
        raise BodyTooLarge(limit)
    return unpacked if unpacker.eof else b""
