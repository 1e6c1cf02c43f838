"""pythae as a peer: the process that trains its models on command."""

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks.peers import environment
from benchmarks.peers.environment import Unavailable

__all__ = ["Peer", "Unavailable", "peer"]

NAME = "pythae"


class Peer(environment.Peer):
    """A process that trains pythae's models when told to."""

    def build(self, case: dict[str, Any]) -> dict[str, int]:
        """Makes a model and its trainer and returns the numbers of parameters of `model` and `critic`.

        Args:
            case: name, recipe, network, shape, hidden, latent, batch, steps, learning_rate, epsilon, parameters
                and, where the recipe has one, critic: hidden, learning_rate and betas.
        """
        return self.ask({"build": case})

    def run(self, name: str) -> tuple[float, float]:
        """Trains a case for one epoch and returns wall-clock and CPU seconds."""
        seconds = self.ask({"run": name})
        return seconds["wall"], seconds["cpu"]


@contextlib.contextmanager
def peer(threads: int) -> Iterator[Peer]:
    """Starts the process, in an environment that is made first where there is none: a few minutes, 1.2 GB.

    Raises:
        Unavailable: if the environment cannot be made or the process does not start.
    """
    with environment.process(NAME, str(threads)) as process:
        yield Peer(NAME, process)
