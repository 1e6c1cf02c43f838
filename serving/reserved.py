"""Ports that several processes of this server share, and nobody else."""

import errno
import socket

from serving.status import Code, ServingError


class Reserved:
    """A port kept for the processes that listen on it with SO_REUSEPORT, each with a socket of its own.

    The reservation itself does not listen: the kernel spreads new connections over those who do, and refuses them
    while nobody does. Whoever has the port already, with or without SO_REUSEPORT, keeps it from being reserved.

    Args:
        name: of the protocol, for errors.
        host: the address or name.
        port: the port, 0 for any free one.

    Raises:
        ServingError: UNAVAILABLE, an address cannot be bound.
    """

    def __init__(self, name: str, host: str, port: int):
        self.port = port
        self._sockets: list[socket.socket] = []
        problem = ""
        try:
            for family, kind, protocol, _, address in dict.fromkeys(
                socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            ):
                try:
                    self._reserve(socket.socket(family, kind, protocol), address)
                except OSError as error:
                    # A name may stand for an address that this machine lacks, IPv6's above all.
                    if error.errno != errno.EADDRNOTAVAIL:
                        raise
                    problem = str(error.strerror)
        except OSError as error:
            self.close()
            problem = str(error.strerror)
        if not self._sockets:
            raise ServingError(
                Code.UNAVAILABLE,
                f"{name} cannot listen on {host}:{port}: {problem}. Free the port or choose another.",
            )

    def _reserve(self, reserved: socket.socket, address: tuple) -> None:
        self._sockets.append(reserved)
        try:
            # Connections of an earlier server that are about to end are no obstacle.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in address[0]:
                reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            reserved.bind((address[0], self.port, *address[2:]))
            if self.port:
                # Only a socket that listens is refused beside all others; this one stops at once, and stays bound.
                reserved.listen()
                reserved.shutdown(socket.SHUT_RD)
            # From here on with ours only, which have SO_REUSEPORT: another server's listening is refused.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError:
            self._sockets.remove(reserved)
            reserved.close()
            raise
        self.port = reserved.getsockname()[1]

    def close(self) -> None:
        """Gives the port back."""
        while self._sockets:
            self._sockets.pop().close()
