"""Who asks, within which limits, and what is said beside an answer."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.servable import Servable
from serving.wire import SPACE, VERSION

Tell = Callable[[dict[str, str]], None]


def untold(_: dict[str, str]) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        request_bytes: most bytes of a request, and of one tensor it claims.
        seconds: longest time until an answer over REST; callers over gRPC say how long they wait.
    """

    request_bytes: int = 64 << 20
    seconds: float = 30.0


@dataclass(frozen=True)
class Form:
    """What gRPC clients see differently when a server is told so.

    Attributes:
        content: whether tensors are answered as raw bytes instead of typed fields.
        strict: whether signatures must name a method of TF Serving's, and be asked for with the one they name.
    """

    content: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Caller:
    """Who waits for an answer.

    Attributes:
        seconds: how long from now; None for as long as it takes.
        is_wanted: whether it still waits.
        tell: is told, beside the answer, where it comes from.
    """

    seconds: float | None = None
    is_wanted: Callable[[], bool] | None = None
    tell: Tell = untold


def origin(version: int, servable: Servable, signature: str = "") -> dict[str, str]:
    """Returns what stands beside an answer: the version, and the space that its embeddings are of, if any."""
    space = servable.space_of(signature)
    return {VERSION: str(version)} | ({SPACE: space} if space else {})
