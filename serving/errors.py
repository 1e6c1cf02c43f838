"""What a client raises: one class for each code a caller may want to tell from the others."""

from serving.status import Code, ServingError


class RequestError(ServingError):
    """A request that failed, at this side or at the server's.

    Args:
        code: canonical status code.
        message: what went wrong.
        retry_after: seconds after which the server says that asking again is worth it, if it says so.
    """

    def __init__(self, code: Code, message: str, retry_after: float | None = None):
        super().__init__(code, message)
        self.retry_after = retry_after


class InvalidRequest(RequestError):
    """INVALID_ARGUMENT: the request itself is at fault and will be as often as it is sent."""


class NotFound(RequestError):
    """NOT_FOUND: the server has no such model or version."""


class DeadlineExceeded(RequestError):
    """DEADLINE_EXCEEDED: no answer in time."""


class Exhausted(RequestError):
    """RESOURCE_EXHAUSTED: too large a request, or too many of them."""


class FailedPrecondition(RequestError):
    """FAILED_PRECONDITION: the server is in no state to answer this."""


class Unimplemented(RequestError):
    """UNIMPLEMENTED: the server cannot do this at all."""


class Unauthenticated(RequestError):
    """UNAUTHENTICATED: the token is missing, unreadable or refused."""


class PermissionDenied(RequestError):
    """PERMISSION_DENIED: known, but not allowed."""


class Unavailable(RequestError):
    """UNAVAILABLE: a server that is busy, starting or ending; worth another try."""


class Unreachable(Unavailable):
    """UNAVAILABLE because no server answers: nothing listens, the name is unknown, or the connection broke."""


class Untrusted(Unreachable):
    """UNAVAILABLE because one side does not trust the other's certificate, or only one of them encrypts."""


CLASSES = {
    Code.INVALID_ARGUMENT: InvalidRequest,
    Code.NOT_FOUND: NotFound,
    Code.DEADLINE_EXCEEDED: DeadlineExceeded,
    Code.RESOURCE_EXHAUSTED: Exhausted,
    Code.FAILED_PRECONDITION: FailedPrecondition,
    Code.UNIMPLEMENTED: Unimplemented,
    Code.UNAUTHENTICATED: Unauthenticated,
    Code.PERMISSION_DENIED: PermissionDenied,
    Code.UNAVAILABLE: Unavailable,
}


def error(code: Code, message: str, retry_after: str | None = None) -> RequestError:
    """Returns an error of the class that its code has.

    Args:
        code: canonical status code.
        message: what went wrong.
        retry_after: the server's `retry-after`; only seconds are understood, a date is passed over.
    """
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return CLASSES.get(code, RequestError)(code, message, seconds)


def unfit(message: str) -> InvalidRequest:
    """Returns the error of inputs that are refused before they travel."""
    return InvalidRequest(Code.INVALID_ARGUMENT, message)


def unreachable(address: str) -> Unreachable:
    """Returns the error of a server that does not answer at an address."""
    return Unreachable(Code.UNAVAILABLE, f"No server answers at {address}.")


def untrusted(address: str, reason: object) -> Untrusted:
    """Returns the error of a TLS handshake that failed.

    Args:
        address: the server.
        reason: what the library says of it.
    """
    return Untrusted(Code.UNAVAILABLE, f"No server answers at {address}. TLS: {str(reason).rstrip('.')}.")


def late(address: str, seconds: float | None) -> DeadlineExceeded:
    """Returns the error of an answer that did not come in time.

    Args:
        address: the server.
        seconds: how long it was waited for.
    """
    return DeadlineExceeded(Code.DEADLINE_EXCEEDED, f"{address} did not answer in {seconds or 0:.3g} s.")
