"""A client of TF Serving, embedded or real, that needs no TensorFlow.

    with Client(grpc_port=8500, model="encoder") as client:
        client.embed(images)["embedding"]

    async with AsyncClient(grpc_port=8500, model="encoder") as client:
        (await client.embed(images))["embedding"]

Importing this module is cheap; the protocol's libraries come with the first client.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from serving.async_client import AsyncClient
from serving.connection import OWN, Connection
from serving.credentials import Credentials
from serving.errors import (
    DeadlineExceeded,
    Disconnected,
    Exhausted,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RequestError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unreachable,
    Untrusted,
)
from serving.status import Code, ServingError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from serving.answer import Answer
    from serving.asking import Deadline, Steps
    from serving.wire import Call, Metadata, VersionStatus

__all__ = [
    "AsyncClient",
    "Client",
    "Code",
    "Credentials",
    "DeadlineExceeded",
    "Disconnected",
    "Exhausted",
    "FailedPrecondition",
    "InvalidRequest",
    "NotFound",
    "PermissionDenied",
    "RequestError",
    "ServingError",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unreachable",
    "Untrusted",
]

T = TypeVar("T")
Item = TypeVar("Item")


class Client(Connection):
    """Speaks to one model of a server; threads may share it. The arguments are those of `Connection`.

    Every method takes `timeout`, the seconds its answer may take, in place of the client's own.

    Example:
        >>> with Client(model="encoder") as client:
        ...     client.embed([open("digit.png", "rb").read()])["embedding"].shape
        (1, 10)
    """

    def predict(
        self,
        inputs: Any,
        *,
        signature: str = "serving_default",
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = OWN,
    ) -> "Answer":
        """Runs a signature.

        Where each row is known to be answered by itself, large inputs travel in several requests at a time, to one
        version of the model; otherwise all of them in one.

        Args:
            inputs: a value by input name, or the value of the only input. Values are arrays or nested
                lists, rows first; strings are bytes, str or paths of files to read. Or a pandas DataFrame, an
                Arrow Table or RecordBatch that has a column for each input.
            signature: the signature's name.
            version: version of the model, the newest by default.
            label: the version's label, instead.
            timeout: seconds until the whole answer.

        Returns:
            Arrays by output name, with `version`, `space`, `to_arrow()` and `to_pandas()`.

        Raises:
            RequestError: the server's refusal, or inputs that do not fit the signature; TooLarge for more than one
                request may hold.
        """
        return self._run(self._asking.predict(inputs, self._asking.target(version, label, signature)), timeout)

    def embed(
        self, inputs: Any, *, version: int | None = None, label: str | None = None, timeout: float | None = OWN
    ) -> "Answer":
        """Embeds raw examples, or images from their files, each by itself.

        Args:
            inputs: a list of encoded image files, as bytes or paths; or what the signature `embed` takes: an
                array of images or vectors, a table, or a list of values by column name.
            version: version of the model, the newest by default.
            label: the version's label, instead.
            timeout: seconds until the whole answer.

        Returns:
            `embedding` [batch, latent], `stddev` [batch, latent] and `rate` [batch] in nats.

        Raises:
            RequestError: the server's refusal, or inputs that do not fit.
        """
        return self._run(self._asking.predict(inputs, self._asking.target(version, label)), timeout)

    def embed_many(
        self,
        inputs: Iterable[Any],
        *,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = OWN,
    ) -> Iterator["Answer"]:
        """Embeds any number of examples, each by itself, in bounded memory, with several requests at a time.

        All are answered by the version that is asked first; where it goes away, the stream ends with NotFound.

        Args:
            inputs: an array, which may be memory-mapped, or a table; or an iterable of examples (encoded image
                files as bytes or paths, arrays, values by input name) or of tables.
            signature: another signature than `embed` or, for image files, `embed_bytes`.
            version: version of the model, the newest by default.
            label: the version's label, instead.
            timeout: seconds until the answer to each request.

        Yields:
            Answers in the order of the inputs, each to as many examples as one request could hold.

        Raises:
            RequestError: the server's refusal, or inputs that do not fit.
        """
        from serving.pieces import gather

        target = self._asking.target(version, label, signature)
        plan = self._run(self._asking.stream(target), timeout)

        def ask(block: Any) -> "Answer":
            return self._run(self._asking.in_turn(plan, plan.prepare(block)), timeout)

        yield from self._ordered(ask, gather(inputs, self._batching))

    def status(self, *, timeout: float | None = OWN) -> list["VersionStatus"]:
        """Returns the state of every version the server knows of, the newest first.

        Raises:
            RequestError: NotFound for an unknown model, Unreachable without a server.
        """
        return self._run(self._asking.status(), timeout)

    def metadata(
        self, *, version: int | None = None, label: str | None = None, timeout: float | None = OWN
    ) -> "Metadata":
        """Returns a version's number, signatures and, where the server tells it, space.

        Raises:
            RequestError: NotFound where it is not served, Unreachable without a server.
        """
        return self._run(self._asking.metadata(self._asking.target(version, label)), timeout)

    def close(self) -> None:
        """Waits for requests that are under way and closes the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, over_rest: bool, credentials: Credentials) -> Any:
        from concurrent.futures import ThreadPoolExecutor

        import tenacity

        if over_rest:
            from serving.rest_transport import RestTransport as Transport
        else:
            from serving.grpc_transport import GrpcTransport as Transport
        self._pool: Executor = ThreadPoolExecutor(self._batching.in_flight, "client")
        self._retrying = tenacity.Retrying(**self._retries)
        return Transport(self._address, credentials)

    def _run(self, steps: "Steps[T]", timeout: float | None) -> T:
        deadline = self._deadline(timeout)
        try:
            calls = next(steps)
            while True:
                try:
                    results = self._send_all(calls, deadline)
                except ServingError as error:
                    calls = steps.throw(error)
                else:
                    calls = steps.send(results)
        except StopIteration as end:
            return end.value

    def _send_all(self, calls: Any, deadline: "Deadline") -> list[Any]:
        if len(calls) == 1:
            return [self._retrying(self._send, calls[0], deadline)]
        return list(self._ordered(lambda call: self._retrying(self._send, call, deadline), calls))

    def _send(self, call: "Call[T]", deadline: "Deadline") -> T:
        return call.read(*self._transport.send(call, deadline.left()))

    def _ordered(self, function: Callable[[Item], T], items: Iterable[Item]) -> Iterator[T]:
        """Yields a function's results in order, with so many calls of it ahead as may be in flight."""
        running: deque[Future[T]] = deque()
        try:
            for item in items:
                running.append(self._pool.submit(function, item))
                if len(running) == self._batching.in_flight:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
