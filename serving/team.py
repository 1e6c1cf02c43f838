"""What the processes that serve the same ports do together, as one of them sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from serving.configs import ModelConfig
from serving.options import Options

if TYPE_CHECKING:
    from serving.callers import Caller
    from serving.models import Models


class Team(Protocol):
    """The processes that serve together, this one among them."""

    def begin(self, models: "Models", wanted: Sequence[ModelConfig]) -> None:
        """Serves what the others serve; returns when this process may open its ports.

        Args:
            models: this process's own, still empty.
            wanted: what the options name.

        Raises:
            ServingError: a model has no folder or cannot be loaded.
        """
        ...

    def reload(self, request: Any, caller: "Caller") -> None:
        """Has every process serve what a ReloadConfigRequest names.

        Args:
            request: the request.
            caller: who waits, at most as long as its own deadline allows.

        Raises:
            ServingError: one of them refused it, or could not load it.
        """
        ...

    def exposition(self) -> bytes:
        """Returns the metrics of all in Prometheus' text format."""
        ...


@dataclass(frozen=True)
class Task:
    """What a worker is started for.

    Attributes:
        options: its own.
        ordinal: its number, from 0.
        again: whether others serve already, so that it must come to where they are.
        reloads: how many reloads there have been.
        reload: the last one, a ReloadConfigRequest; None without one.
    """

    options: Options
    ordinal: int
    again: bool
    reloads: int
    reload: bytes | None
