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
from serving.servable import Servable
from serving.signature import Signature
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
        self._running: set[Job] = set()
        self._busy: set[Hashable] = set()  # kinds whose requests wait for a run to end
        self._closed = self._abandoned = False
        self._listeners: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        names = (f"{self._batching.pool} {number}" for number in range(self._batching.threads))
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
        return self._queue(
            Job(servable, signature, inputs, deadline, self._rows(servable, signature, inputs), is_wanted)
        )

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
        job = Job(servable, signature, inputs, deadline, self._rows(servable, signature, inputs), is_wanted)
        with self._claim(job) as claimed:
            if claimed:
                return self._alone(job)
        future = self._queue(job)
        try:
            return future.result(min(max(job.seconds_left, 0.0), threading.TIMEOUT_MAX))
        except TimeoutError:
            # If it has not begun it never will; if it has, the batching thread keeps the servable open.
            future.cancel()
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None

    def after_batch(self, listener: Callable[[], None]) -> None:
        """Has the batching threads call `listener` each time they have set the futures of a batch."""
        self._listeners.append(listener)

    def abandon(self) -> None:
        """Ends what is queued or running: its callers get UNAVAILABLE now, whatever becomes of the runs."""
        with self._changed:
            self._closed = self._abandoned = True
            running, queued = list(self._running), [job for queue in self._groups.values() for job in queue]
            self._groups.clear()
            self._waiting = 0
            for job in running:
                # A session must not be deleted under a run; released with the run's end, if it has one.
                job.servable.acquire()
            self._changed.notify_all()
        for job in (*running, *queued):
            job.refuse(_ending())
        for listener in self._listeners:
            listener()
        for servable in {job.servable for job in running}:
            # It takes as long as the operation that must notice, which may be for ever.
            threading.Thread(target=servable.cancel, name="cancel", daemon=True).start()

    def close(self, timeout: float | None = None) -> bool:
        """Answers what is queued, then stops.

        Args:
            timeout: longest wait in seconds; None for no end.

        Returns:
            Whether no run is left.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(end and max(end - time.monotonic(), 0.0))
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, end and max(end - time.monotonic(), 0.0))

    def _rows(self, servable: Servable, signature: Signature, inputs: Arrays) -> int | None:
        """Returns the rows of a request that may be joined with others; None for one that may not.

        Raises:
            ServingError: INVALID_ARGUMENT, in TF Serving's words, where all must be joined.
        """
        together = servable.is_rowwise if self._batching.together is None else self._batching.together
        if not (together and (signature.batch_major or self._batching.strict)):
            return None
        sizes = {len(array) if array.ndim else -1 for array in inputs.values()}
        if len(sizes) == 1 and -1 not in sizes:
            return sizes.pop()
        if not self._batching.strict:
            return None
        if not sizes:
            raise invalid("Batching Run() must have at least one input tensor")
        have = "at least one dimension" if -1 in sizes else "equal 0th-dimension size"
        raise invalid(f"Batching Run() input tensors must have {have}")

    def _queue(self, job: Job) -> Future:
        with self._changed:
            self._admit(job)
            job.servable.acquire()
            job.future.add_done_callback(lambda _: job.servable.release())
            kind = job.kind(self._batching.pad_variable_length)
            (queue := self._groups.setdefault(kind, deque())).append(job)
            self._waiting += 1
            # A thread that is woken in vain costs more than the rest of a small request.
            if self._batching.linger or (len(queue) == 1 and kind not in self._busy and self._free):
                self._changed.notify()
        return job.future

    def _admit(self, job: Job) -> None:
        if self._closed:
            raise _ending()
        if self._waiting >= self._max_queue:
            raise ServingError(Code.UNAVAILABLE, f"The queue of {self._max_queue} requests is full.")
        if (job.rows or 0) > self._batching.max_rows and not self._batching.split:
            raise invalid(f"Task size {job.rows} is larger than maximum input batch size {self._batching.max_rows}")

    def _alone(self, job: Job) -> Arrays:
        try:
            return self._answers.alone(job)
        except Exception as error:  # whatever it was: it is the end's fault where the end has come
            if self._abandoned:
                raise _ending() from error
            raise

    @contextmanager
    def _claim(self, job: Job) -> Iterator[bool]:
        """Gives the calling thread the right to run, if nobody waits for it and none has to gather company."""
        fits = (job.rows or 0) <= self._batching.max_rows and not self._batching.linger
        kind = job.kind(self._batching.pad_variable_length) if fits else None
        with self._changed:
            claimed = fits and not self._closed and self._free > 0 and not self._must_wait(kind)
            if claimed:
                self._begin(kind, [job])
        try:
            yield claimed
        finally:
            if claimed:
                self._release(kind, [job], goes=True)

    def _must_wait(self, kind: Hashable) -> bool:
        """Whether a request's turn is after others': those of its kind, or all where each run takes the one thread."""
        return kind in self._groups or kind in self._busy or len(self._groups) >= self._free

    def _begin(self, kind: Hashable, jobs: list[Job]) -> None:
        self._free -= 1
        self._running.update(jobs)
        if self._batching.gather:
            self._busy.add(kind)

    def _release(self, kind: Hashable, jobs: list[Job], *, goes: bool = False) -> None:
        with self._changed:
            self._free += 1
            self._running.difference_update(jobs)
            self._busy.discard(kind)
            if self._closed:
                self._changed.notify_all()  # `close` waits, too
            elif goes and self._next() is not None:
                self._changed.notify()  # a thread that stays takes it itself
            abandoned = self._abandoned
        for job in jobs if abandoned else ():
            job.servable.release()

    def _loop(self) -> None:
        while taken := self._take():
            kind, batch = taken
            try:
                self._answers.set(batch)
            finally:
                self._release(kind, batch)
            for listener in self._listeners:
                listener()

    def _take(self) -> tuple[Hashable, list[Job]] | None:
        """Waits for a batch and the right to run it; until then the batch may grow. None at the end."""
        with self._changed:
            while not (self._closed and not self._groups):
                if (kind := self._next()) is None:
                    self._changed.wait()
                elif (pause := self._pause(self._groups[kind])) > 0:
                    self._changed.wait(pause)
                else:
                    batch = self._pop(kind)
                    self._begin(kind, batch)
                    if self._next() is not None:
                        self._changed.notify()
                    return kind, batch
            # The others wait for the same news.
            self._changed.notify_all()
            return None

    def _next(self) -> Hashable | None:
        """The kind that has waited longest, of those that need not wait for a run to end."""
        return next((kind for kind in self._groups if kind not in self._busy), None) if self._free else None

    def _pause(self, queue: deque[Job]) -> float:
        """Seconds that requests of one kind may still wait for company."""
        if self._closed or queue[0].rows is None or sum(job.rows or 0 for job in queue) >= self._batching.max_rows:
            return 0.0
        return queue[0].arrived + self._batching.linger - time.monotonic() if self._batching.linger else 0.0

    def _pop(self, kind: Hashable) -> list[Job]:
        """Takes what fits into one batch from the requests of one kind."""
        queue = self._groups.pop(kind)
        batch = [queue.popleft()]
        rows = batch[0].rows or 0
        while queue and rows + (queue[0].rows or 0) <= self._batching.max_rows:
            batch.append(queue.popleft())
            rows += batch[-1].rows or 0
        if queue:
            # To the end: one busy signature must not keep the others waiting.
            self._groups[kind] = queue
        self._waiting -= len(batch)
        return batch


def _ending() -> ServingError:
    return ServingError(Code.UNAVAILABLE, "The server is shutting down.")
