"""Whether a port can be listened on, asked before anything slow starts."""

import socket

from models.errors import InputError


def problem(host: str, port: int) -> str | None:
    """Returns why nothing can listen on a port, or None if it is free.

    Args:
        host: the address or name to listen on.
        port: the port.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return None


def require(host: str, ports: dict[str, int]) -> None:
    """Checks ports before they are used.

    Args:
        host: the address or name to listen on.
        ports: the ports, by the option that changes each.

    Raises:
        InputError: if one cannot be used, with the option that changes it.
    """
    for option, port in ports.items():
        reason = problem(host, port)
        if reason:
            raise InputError(
                f"port {port} on {host} cannot be used: {reason}. End what uses it, or choose another with {option}."
            )
