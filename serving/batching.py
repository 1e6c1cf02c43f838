"""Greedy batching: whatever arrived while the model was busy forms the next batch.

It waits for no timer unless told to: a lone request runs at once, and under load the batches grow by themselves
to what the model can take. A caller with a thread of its own that finds the model free runs its request there,
and saves the way to a batching thread and back.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from serving.batch import Answers, Arrays, Batching, Job
from serving.servable import Servable, Signature
from serving.status import Code, ServingError, invalid


class Batcher:
    """Runs requests, together where they may be.

    Args:
        batching: how requests form batches.
        max_queue: most requests waiting; more are refused with UNAVAILABLE.
        observe: is told of every batch: rows, rows with padding, and the seconds its oldest request waited.
    """

    def __init__(
        self,
        batching: Batching | None = None,
        *,
        max_queue: int = 1024,
        observe: Callable[[int, int, float], None] | None = None,
    ):
        self._batching = batching or Batching()
        self._answers = Answers(self._batching, observe)
        self._max_queue = max_queue
        self._groups: OrderedDict[Hashable, deque[Job]] = OrderedDict()
        self._waiting = 0
        self._free = self._batching.threads  # runs that may still begin
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        names = (f"batching {number}" for number in range(self._batching.threads))
        self._threads = [threading.Thread(target=self._loop, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait for a batch."""
        return self._waiting

    def submit(
        self,
        servable: Servable,
        signature: Signature,
        inputs: Arrays,
        deadline: float,
        is_wanted: Callable[[], bool] | None = None,
    ) -> Future:
        """Queues a request and keeps its servable open until the request is done or cancelled.

        Args:
            servable: a servable the caller holds.
            signature: one of its signatures.
            inputs: an array for each input, of a checked shape.
            deadline: `time.monotonic()` after which nobody waits for the answer.
            is_wanted: whether somebody still waits; asked before the run.

        Returns:
            Future of the outputs by alias, or of a ServingError.

        Raises:
            ServingError: UNAVAILABLE when the queue is full or the server is stopping, INVALID_ARGUMENT for
                more rows than a batch may have, where large requests are not split.
        """
        job = Job(servable, signature, inputs, deadline, self._rows(signature, inputs), is_wanted)
        with self._changed:
            self._admit(job)
            servable.acquire()
            job.future.add_done_callback(lambda _: servable.release())
            self._groups.setdefault(job.group(self._batching.pad_variable_length), deque()).append(job)
            self._waiting += 1
            self._changed.notify()
        return job.future

    def run(
        self,
        servable: Servable,
        signature: Signature,
        inputs: Arrays,
        deadline: float,
        is_wanted: Callable[[], bool] | None = None,
    ) -> Arrays:
        """Returns the outputs of a request, run on the calling thread or with the next batch.

        Args:
            servable: a servable the caller holds.
            signature: one of its signatures.
            inputs: an array for each input, of a checked shape.
            deadline: `time.monotonic()` after which the caller waits no more.
            is_wanted: whether somebody still waits; asked before the run.

        Raises:
            ServingError: the run's own, those of `submit`, DEADLINE_EXCEEDED.
        """
        rows = self._rows(signature, inputs)
        with self._claim((rows or 0) <= self._batching.max_rows) as claimed:
            if claimed:
                return self._answers.alone(Job(servable, signature, inputs, deadline, rows, is_wanted))
        future = self.submit(servable, signature, inputs, deadline, is_wanted)
        try:
            return future.result(max(deadline - time.monotonic(), 0.0))
        except TimeoutError:
            # If it has not begun it never will; if it has, the batching thread keeps the servable open.
            future.cancel()
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None

    def after_batch(self, listener: Callable[[], None]) -> None:
        """Has the batching threads call `listener` each time they have set the futures of a batch."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Answers what is queued, then stops."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _rows(self, signature: Signature, inputs: Arrays) -> int | None:
        sizes = {len(array) if array.ndim else -1 for array in inputs.values()}
        return sizes.pop() if len(sizes) == 1 and self._batching.together and signature.batch_major else None

    def _admit(self, job: Job) -> None:
        if self._closed:
            raise ServingError(Code.UNAVAILABLE, "The server is shutting down.")
        if self._waiting >= self._max_queue:
            raise ServingError(Code.UNAVAILABLE, f"The queue of {self._max_queue} requests is full.")
        if (job.rows or 0) > self._batching.max_rows and not self._batching.split:
            raise invalid(f"Task size {job.rows} is larger than maximum input batch size {self._batching.max_rows}")

    @contextmanager
    def _claim(self, fits: bool) -> Iterator[bool]:
        """Gives the calling thread the right to run, if nobody waits for it and none has to gather company."""
        with self._changed:
            claimed = fits and not (self._groups or self._closed or self._batching.linger) and self._free > 0
            self._free -= claimed
        try:
            yield claimed
        finally:
            if claimed:
                self._release()

    def _release(self) -> None:
        with self._changed:
            self._free += 1
            if self._groups or self._closed:
                self._changed.notify()

    def _loop(self) -> None:
        while batch := self._take():
            try:
                self._answers.set(batch)
            finally:
                self._release()
            for listener in self._listeners:
                listener()

    def _take(self) -> list[Job]:
        """Waits for a batch and the right to run it; until then the batch may grow. Empty at the end."""
        with self._changed:
            while not (self._closed and not self._groups):
                if not self._groups or self._free == 0:
                    self._changed.wait()
                elif (pause := self._pause()) > 0:
                    self._changed.wait(pause)
                else:
                    self._free -= 1
                    return self._pop()
            # The others wait for the same news.
            self._changed.notify_all()
            return []

    def _pause(self) -> float:
        """Seconds that the group which has waited longest may still wait for company."""
        queue = next(iter(self._groups.values()))
        if self._closed or queue[0].rows is None or sum(job.rows or 0 for job in queue) >= self._batching.max_rows:
            return 0.0
        return queue[0].arrived + self._batching.linger - time.monotonic() if self._batching.linger else 0.0

    def _pop(self) -> list[Job]:
        """Takes what fits into one batch from the group that has waited longest."""
        group, queue = self._groups.popitem(last=False)
        batch = [queue.popleft()]
        rows = batch[0].rows or 0
        while queue and rows + (queue[0].rows or 0) <= self._batching.max_rows:
            batch.append(queue.popleft())
            rows += batch[-1].rows or 0
        if queue:
            # To the end: one busy signature must not keep the others waiting.
            self._groups[group] = queue
        self._waiting -= len(batch)
        return batch
