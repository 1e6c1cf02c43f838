"""What the two clients have in common: where the server is, and how patient they are."""

from typing import Any

from serving.credentials import Credentials

REST_PORT = 8501
OWN: Any = "the client's own"
"""Stands for the client's timeout, because None stands for no end."""


class Connection:
    """One model of a server.

    Requests that find no server, or one that is too busy, are repeated after growing, random pauses, as long
    as their deadline allows.

    Args:
        host: name or address of the server.
        rest_port: port of the REST API; 8501 where neither port is given.
        grpc_port: port of the gRPC API; preferred where both are given.
        model: name of the model.
        timeout: seconds until an answer, repetitions included; None for no end.
        attempts: how often a request is tried in all, None for as often as the timeout allows.
        credentials: TLS and token; by default neither.
        batching: a `serving.pieces.Batching`: how inputs travel that are too large for one request.
        independent_rows: whether the model answers each row by itself, so that large inputs may be cut. By default,
            those of `embed` and `embed_many` may, and all where the server tells the space of an encoder of ours.

    Raises:
        InvalidRequest: a PEM file cannot be read.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        rest_port: int | None = None,
        grpc_port: int | None = None,
        model: str = "encoder",
        timeout: float | None = 30.0,
        attempts: int | None = 4,
        credentials: Credentials | None = None,
        batching: Any = None,
        independent_rows: bool | None = None,
    ):
        # Here, because importing a client must stay cheap.
        from serving.asking import Asking, retries
        from serving.pieces import Batching

        credentials = credentials or Credentials()
        over_rest = grpc_port is None
        port = (REST_PORT if rest_port is None else rest_port) if over_rest else grpc_port
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout
        self._batching: Batching = batching or Batching()
        self._retries = retries(attempts)
        calls = _calls(over_rest, self._address, credentials)
        self._asking = Asking(calls, model, self._batching, independent_rows)
        self._transport: Any = self._open(over_rest, credentials)

    def _open(self, over_rest: bool, credentials: Credentials) -> Any:
        """Returns what carries the calls."""
        raise NotImplementedError

    def _deadline(self, timeout: float | None) -> Any:
        from serving.asking import Deadline

        return Deadline(self._timeout if timeout is OWN else timeout, self._address)


def _calls(over_rest: bool, address: str, credentials: Credentials) -> Any:
    if over_rest:
        from serving.rest_calls import RestCalls

        return RestCalls(credentials.url(address))
    from serving.grpc_calls import GrpcCalls

    return GrpcCalls()
