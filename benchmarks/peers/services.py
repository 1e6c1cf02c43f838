"""What a user would serve an encoder with instead: torch behind FastAPI, torch behind BentoML."""

import contextlib
from collections.abc import Iterator

from benchmarks.peers import environment
from benchmarks.peers.environment import Unavailable

__all__ = ["SERVICES", "Services", "Unavailable", "services"]

NAME = "services"
SERVICES = ("FastAPI", "BentoML")


class Services(environment.Peer):
    """A process that serves networks when told to."""

    def serve(self, service: str, network: str) -> str:
        """Starts a service, ends the one before, and returns the address to POST `{"x": rows}` to.

        Args:
            service: one of SERVICES.
            network: `mlp` or `conv`.
        """
        return self.ask({"serve": service, "network": network})["url"]


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Starts the process, in an environment that is made first where there is none: a few minutes, 1 GB.

    Raises:
        Unavailable: if the environment cannot be made or the process does not start.
    """
    with environment.process(NAME) as process:
        yield Services(NAME, process)
