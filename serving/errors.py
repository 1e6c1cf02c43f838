"""What a client raises: one class for each code a caller may want to tell from the others."""

from typing import TYPE_CHECKING

from serving.status import Code, ServingError

if TYPE_CHECKING:
    from serving.credentials import Credentials


class RequestError(ServingError):
    """A request that failed, at this side or at the server's.

    Args:
        code: canonical status code.
        message: what went wrong.
        retry_after: seconds after which the server says that asking again is worth it, if it says so; infinity where
            it says that it never is.
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


class TooLarge(Exhausted):
    """RESOURCE_EXHAUSTED by the size of one request: however often it is sent, it will not be taken."""


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


class Disconnected(Unreachable):
    """UNAVAILABLE because the server ends the connection without an answer: it is stopped, or wants another client."""


class Untrusted(Unreachable):
    """UNAVAILABLE because TLS fails: the server's certificate is not trusted, say, or the server does not encrypt."""


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


def error(code: Code, message: str, retry_after: float | None = None) -> RequestError:
    """Returns an error of the class that its code has.

    Args:
        code: canonical status code.
        message: what went wrong.
        retry_after: as `RequestError` has it.
    """
    return CLASSES.get(code, RequestError)(code, message, retry_after)


def too_large(message: str) -> TooLarge:
    """Returns the error of a request that is larger than what a server, or the protocol, takes."""
    return TooLarge(Code.RESOURCE_EXHAUSTED, message)


def unfit(message: str) -> InvalidRequest:
    """Returns the error of inputs that are refused before they travel."""
    return InvalidRequest(Code.INVALID_ARGUMENT, message)


def unreachable(address: str) -> Unreachable:
    """Returns the error of a server that does not answer at an address."""
    return Unreachable(Code.UNAVAILABLE, f"No server answers at {address}.")


def hung_up(address: str, credentials: "Credentials") -> Disconnected:
    """Returns the error of a server that ends a connection without a word, as it does where it is being stopped, too.

    Args:
        address: the server.
        credentials: the client's.
    """
    if not credentials.secure:
        remedy = "If it encrypts, the client must, too: give it ca"
    elif credentials.certificate is None:
        remedy = "If it asks for clients' certificates, give the client certificate and key"
    else:
        remedy = "It may not trust the client's certificate"
    return Disconnected(Code.UNAVAILABLE, f"{address} ends the connection without an answer. {remedy}.")


def foreign(address: str, protocol: str, other: str) -> RequestError:
    """Returns the error of a port that speaks, but not this client's protocol.

    Args:
        address: the server.
        protocol: the client's.
        other: the argument of a client that speaks the other one.
    """
    return RequestError(
        Code.UNKNOWN, f"{address} is not a {protocol} port. If it is the other protocol's, ask it by {other}."
    )


def untrusted(address: str, reason: str, detail: str = "") -> Untrusted:
    """Returns the error of a TLS handshake that failed.

    Args:
        address: the server.
        reason: OpenSSL's name for it, or what the library says.
        detail: what there is to say beside that.
    """
    if reason == "WRONG_VERSION_NUMBER":
        text = f"{address} does not encrypt. Ask without TLS, or ask a port that has it."
    elif reason == "CERTIFICATE_VERIFY_FAILED":
        text = f"The certificate of {address} is not trusted: {detail or reason}. Give its authority's as ca."
    else:
        text = f"TLS with {address} fails: {': '.join(filter(None, (reason, detail))).rstrip('.')}."
    return Untrusted(Code.UNAVAILABLE, text)


def late(address: str, seconds: float | None) -> DeadlineExceeded:
    """Returns the error of an answer that did not come in time.

    Args:
        address: the server.
        seconds: how long it was waited for.
    """
    return DeadlineExceeded(Code.DEADLINE_EXCEEDED, f"{address} did not answer in {seconds or 0:.3g} s.")
