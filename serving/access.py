"""Who may ask, and how often: bearer tokens from a file, and a limit of requests for each client."""

import hashlib
import hmac
import logging
import re
import threading
from pathlib import Path

import limits

from serving.status import Code, ServingError

log = logging.getLogger("metaprior.serving")

BEARER = re.compile(r"bearer +([\x21-\x7e]+)", re.IGNORECASE | re.ASCII)
SHORTEST = 16


class Tokens:
    """The tokens of a file, one a line; empty lines and lines that begin with # do not count.

    The file is looked at before every request and read again when it has changed, so tokens come and go without
    a restart. A file that cannot be read keeps the tokens that it had.

    Args:
        path: the file. It should be readable by the server alone.

    Raises:
        ServingError: FAILED_PRECONDITION, the file cannot be read, has no token, or one that is too short.
    """

    def __init__(self, path: Path):
        self._path = path
        self._stamp = self._look()
        self._digests = self._read()
        self._lock = threading.Lock()

    def owner(self, header: str | None) -> str:
        """Returns a name for the sender of a request, made of its token and harmless in logs.

        Every token is compared, each in constant time, and by digest: neither its length nor how much of it is
        right can be learned from the time it takes.

        Args:
            header: the request's Authorization, `Bearer TOKEN`.

        Raises:
            ServingError: UNAUTHENTICATED.
        """
        self._refresh()
        given = BEARER.fullmatch(header or "")
        if given is None:
            raise ServingError(Code.UNAUTHENTICATED, "Send a token: the header Authorization: Bearer TOKEN.")
        digest = _digest(given[1])
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise ServingError(Code.UNAUTHENTICATED, "The token is not known to this server.")
        return digest.hex()[:12]

    def _refresh(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        with self._lock:
            try:
                self._digests = self._read()
                log.info("read %d tokens from %s", len(self._digests), self._path)
            except ServingError as error:
                log.warning("the tokens stay as they were: %s", error.message)
            self._stamp = stamp

    def _look(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[bytes, ...]:
        try:
            lines = [line.strip() for line in self._path.read_text("utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ServingError(Code.FAILED_PRECONDITION, f"{self._path}: cannot read the tokens: {reason}.") from None
        tokens = {number: line for number, line in enumerate(lines, 1) if line and not line.startswith("#")}
        if not tokens:
            raise ServingError(Code.FAILED_PRECONDITION, f"{self._path}: no token in it. Write one a line.")
        for number, token in tokens.items():
            if len(token) < SHORTEST or len(token.split()) > 1:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"{self._path}:{number}: a token must have at least {SHORTEST} characters and no blanks.",
                )
        return tuple(_digest(token) for token in tokens.values())


class RateLimit:
    """A limit of requests for each client.

    Args:
        limit: such as `100/second` or `5000/minute`, in the notation of the library `limits`.

    Raises:
        ServingError: INVALID_ARGUMENT, the limit cannot be read.
    """

    def __init__(self, limit: str):
        try:
            self._limit, *others = limits.parse_many(limit)
        except ValueError:
            others = [None]
        if others or self._limit.amount < 1:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"A limit must be such as 100/second or 5000/minute. Received: {limit}"
            )
        self._strategy = limits.strategies.SlidingWindowCounterRateLimiter(limits.storage.MemoryStorage())

    def count(self, client: str) -> None:
        """Counts a request of a client.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, the client has had its share.
        """
        if not self._strategy.hit(self._limit, client):
            raise ServingError(Code.RESOURCE_EXHAUSTED, f"More than {self._limit} for one client. Ask more slowly.")


class Access:
    """Admits requests.

    Args:
        tokens: who is known; None lets everybody ask.
        rate: how often each may ask; None for as often as they like.
    """

    def __init__(self, tokens: Tokens | None = None, rate: RateLimit | None = None):
        self._tokens, self._rate = tokens, rate

    @property
    def open(self) -> bool:
        """Whether nothing is checked."""
        return self._tokens is None and self._rate is None

    def admit(self, authorization: str | None, peer: str) -> None:
        """Lets a request pass or refuses it.

        Args:
            authorization: its header of that name.
            peer: the address it comes from: whose share it counts against where there are no tokens.

        Raises:
            ServingError: UNAUTHENTICATED, RESOURCE_EXHAUSTED.
        """
        client = peer if self._tokens is None else self._tokens.owner(authorization)
        if self._rate is not None:
            self._rate.count(client)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
