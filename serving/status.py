"""Status codes, the one error of this package, and its translation to HTTP."""

import enum
import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("metaprior.serving")

P = ParamSpec("P")
R = TypeVar("R")


class Code(enum.IntEnum):
    """The canonical codes shared by gRPC, TensorFlow and TF Serving."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """A request or a server that failed, with a canonical code.

    The server raises it for every refusal, the client for every refusal it receives. `str()` is one line.

    Args:
        code: canonical status code.
        message: what went wrong, as the other side reads it.
    """

    def __init__(self, code: Code, message: str):
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {' '.join(self.message.split())}"


def invalid(message: str) -> ServingError:
    """Returns the commonest error: the request itself is at fault."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def http_status(code: Code) -> int:
    """Returns the HTTP status of a code, as TF Serving maps them."""
    return HTTP.get(code, 500)


def guarded(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls `function`; whatever it raises leaves as a ServingError.

    This is the boundary behind which a server must go on answering: TensorFlow's errors keep their code
    and text, anything unforeseen is logged with its traceback and leaves without it.

    Raises:
        ServingError: for every failure of `function`.
    """
    try:
        return function(*args, **kwargs)
    except ServingError:
        raise
    except Exception as error:  # the boundary: logged or translated, never swallowed
        raise _translate(error) from error


async def guarded_wait(awaited: Awaitable[R]) -> R:
    """Waits for something; as with `guarded`, whatever it raises leaves as a ServingError.

    Raises:
        ServingError: for every failure of what is awaited.
    """
    try:
        return await awaited
    except ServingError:
        raise
    except Exception as error:  # the boundary: logged or translated, never swallowed
        raise _translate(error) from error


def _translate(error: Exception) -> ServingError:
    """TensorFlow's errors are recognized by their attributes: this module must not import TensorFlow."""
    code, message = getattr(error, "error_code", None), getattr(error, "message", None)
    if isinstance(code, int) and isinstance(message, str):
        return ServingError(Code(code), message)
    log.exception("unforeseen failure", exc_info=error)
    return ServingError(Code.INTERNAL, "Internal error; the server's log has the details.")
