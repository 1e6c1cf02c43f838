"""From the batching threads to an event loop."""

import asyncio
import contextlib
from collections import deque
from concurrent.futures import Future
from typing import Any

from serving.batching import Batcher


class Mailbox:
    """Brings results from the batching threads to the event loop, with one wake-up for a whole batch.

    A wake-up for every result, as asyncio's own bridge does it, has the two threads take turns at the
    interpreter lock, and costs more than the rest of the request.
    """

    def __init__(self, batcher: Batcher):
        self._loop = asyncio.get_running_loop()
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        batcher.after_batch(self._wake)

    async def result(self, future: Future[Any]) -> Any:
        """Waits for a future of the batcher; cancelling the wait cancels the request if it has not begun."""
        waiter: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(lambda done: self._done.append((waiter, done)))
        if future.done():
            # It may have been done before the callback was there, and its batch has had its wake-up.
            self._deliver()
        try:
            return await waiter
        except asyncio.CancelledError:
            future.cancel()
            raise

    def _wake(self) -> None:
        # A closed loop has nobody waiting any more: the server has stopped, the batch was its last.
        with contextlib.suppress(RuntimeError):
            if self._done:
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        while self._done:
            waiter, done = self._done.popleft()
            if waiter.done():
                continue
            if error := done.exception():
                waiter.set_exception(error)
            else:
                waiter.set_result(done.result())
