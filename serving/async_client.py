"""The client for event loops: `serving.client.Client` with its waits awaited."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from serving.connection import OWN, Connection
from serving.credentials import Credentials
from serving.status import ServingError

if TYPE_CHECKING:
    from serving.answer import Answer
    from serving.asking import Deadline, Steps
    from serving.wire import Call, Metadata, VersionStatus

T = TypeVar("T")
Item = TypeVar("Item")


class AsyncClient(Connection):
    """As `serving.client.Client`, for the tasks of one event loop. The arguments are those of `Connection`.

    Example:
        >>> async with AsyncClient(model="encoder") as client:
        ...     (await client.embed([Path("digit.png")]))["embedding"].shape
        (1, 10)
    """

    async def predict(
        self,
        inputs: Any,
        *,
        signature: str = "serving_default",
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = OWN,
    ) -> "Answer":
        """As `Client.predict`."""
        return await self._run(self._asking.predict(inputs, self._asking.target(version, label, signature)), timeout)

    async def embed(
        self, inputs: Any, *, version: int | None = None, label: str | None = None, timeout: float | None = OWN
    ) -> "Answer":
        """As `Client.embed`."""
        return await self._run(self._asking.predict(inputs, self._asking.target(version, label)), timeout)

    async def embed_many(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any],
        *,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = OWN,
    ) -> AsyncIterator["Answer"]:
        """As `Client.embed_many`; the inputs may be an asynchronous iterable, too."""
        import asyncio

        target = self._asking.target(version, label, signature)
        plan = await self._run(self._asking.stream(target), timeout)

        async def ask(block: Any) -> "Answer":
            # On a thread, because it may read files.
            prepared = await asyncio.to_thread(plan.prepare, block)
            return await self._run(self._asking.in_turn(plan, prepared), timeout)

        async for answer in self._ordered(ask, self._gather(inputs)):
            yield answer

    async def status(self, *, timeout: float | None = OWN) -> list["VersionStatus"]:
        """As `Client.status`."""
        return await self._run(self._asking.status(), timeout)

    async def metadata(
        self, *, version: int | None = None, label: str | None = None, timeout: float | None = OWN
    ) -> "Metadata":
        """As `Client.metadata`."""
        return await self._run(self._asking.metadata(self._asking.target(version, label)), timeout)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _open(self, over_rest: bool, credentials: Credentials) -> Any:
        import tenacity

        if over_rest:
            from serving.rest_transport_async import AsyncRestTransport as Transport
        else:
            from serving.grpc_transport import AsyncGrpcTransport as Transport
        self._retrying = tenacity.AsyncRetrying(**self._retries)
        return Transport(self._address, credentials)

    async def _run(self, steps: "Steps[T]", timeout: float | None) -> T:
        deadline = self._deadline(timeout)
        try:
            calls = next(steps)
            while True:
                try:
                    results = await self._send_all(calls, deadline)
                except ServingError as error:
                    calls = steps.throw(error)
                else:
                    calls = steps.send(results)
        except StopIteration as end:
            return end.value

    async def _send_all(self, calls: Any, deadline: "Deadline") -> list[Any]:
        if len(calls) == 1:
            return [await self._retrying(self._send, calls[0], deadline)]
        ordered = self._ordered(lambda call: self._retrying(self._send, call, deadline), _each(calls))
        return [result async for result in ordered]

    async def _send(self, call: "Call[T]", deadline: "Deadline") -> T:
        return call.read(*await self._transport.send(call, deadline.left()))

    async def _ordered(self, function: Callable[[Item], Awaitable[T]], items: AsyncIterable[Item]) -> AsyncIterator[T]:
        """Yields a function's results in order, with so many calls of it ahead as may be in flight."""
        import asyncio

        running: deque[asyncio.Future[T]] = deque()
        try:
            async for item in items:
                running.append(asyncio.ensure_future(function(item)))
                if len(running) == self._batching.in_flight:
                    yield await running.popleft()
            while running:
                yield await running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _gather(self, inputs: Any) -> AsyncIterator[Any]:
        from serving.pieces import Gatherer, gather

        if not isinstance(inputs, AsyncIterable):
            for block in gather(inputs, self._batching):
                yield block
            return
        gatherer = Gatherer(self._batching)
        async for item in inputs:
            for block in gatherer.add(item):
                yield block
        for block in gatherer.end():
            yield block


async def _each(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item
