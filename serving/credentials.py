"""How a client proves who it is and whom it trusts."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import Unauthenticated, unfit
from serving.status import Code

# Anything else could end a header early, and libraries repeat a bad header in their errors.
TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Credentials:
    """Transport security and a bearer token.

    Attributes:
        tls: whether to encrypt; implied by `ca` and `certificate`.
        ca: PEM file of the certificates to trust, the usual public ones by default.
        certificate: PEM file of the client's own certificate, for servers that ask for one.
        key: PEM file of its key.
        token: bearer token, sent with every request. It never shows in `repr` or in messages.
        token_file: file that holds the token; read for every request, because tokens are replaced in place.

    Raises:
        ValueError: two tokens, or half of a certificate and its key.

    Example:
        >>> Credentials(token="secret")
        Credentials(tls=False, ca=None, certificate=None, key=None, token_file=None)
    """

    tls: bool = False
    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | Path | None = None

    def __post_init__(self):
        if self.token is not None and self.token_file is not None:
            raise ValueError("`token` must be None where `token_file` is given. Received both.")
        if (self.certificate is None) != (self.key is None):
            raise ValueError(
                f"`certificate` and `key` must be given together. Received: certificate={self.certificate}, "
                f"key={self.key}."
            )

    @property
    def secure(self) -> bool:
        """Whether connections are encrypted."""
        return self.tls or self.ca is not None or self.certificate is not None

    def url(self, address: str) -> str:
        """Returns the URL of a host:port: encrypted where these credentials are."""
        return f"{'https' if self.secure else 'http'}://{address}"

    def authorization(self) -> dict[str, str]:
        """Returns the header that carries the token, empty without one.

        Raises:
            Unauthenticated: the token's file cannot be read, or it holds no token.
        """
        token, origin = self.token, "the token"
        if self.token_file is not None:
            origin = f"token file {self.token_file}"
            token = _read_token(Path(self.token_file))
        if token is None:
            return {}
        if not TOKEN.fullmatch(token):
            raise _untold(f"{origin} must be one line of visible ASCII characters.")
        return {"authorization": f"Bearer {token}"}

    def pem(self, name: str) -> bytes | None:
        """Returns the content of one of the PEM files, None where it is not given.

        Args:
            name: `ca`, `certificate` or `key`.

        Raises:
            InvalidRequest: it cannot be read, or holds something else.
        """
        path = getattr(self, name)
        if path is None:
            return None
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise unfit(f"{name} file {path} cannot be read: {error.strerror}.") from None
        what, mark = ("private key", b"PRIVATE KEY-----") if name == "key" else ("certificate", b"CERTIFICATE-----")
        if mark not in content:
            raise unfit(f"{name} file {path} holds no {what}. It must be a PEM file that does.")
        return content


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _untold(f"token file {path} cannot be read: {error.strerror}.") from None


def _untold(message: str) -> Unauthenticated:
    return Unauthenticated(Code.UNAUTHENTICATED, message)
