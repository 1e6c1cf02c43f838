"""Greedy batching: whatever arrived while the model was busy forms the next batch.

One thread runs the batches. It waits for no timer: a lone request runs at once, and under load the batches
grow by themselves to what the model can take. A caller with a thread of its own that finds the model free
runs its request there, and saves the way to the batching thread and back.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from serving.servable import Servable, Signature
from serving.status import Code, ServingError, guarded

Arrays = Mapping[str, np.ndarray]


@dataclass(eq=False, slots=True)
class Job:
    """A request for the batching thread; `deadline` is a `time.monotonic()`, `rows` None if it runs alone."""

    servable: Servable
    signature: Signature
    inputs: Arrays
    deadline: float
    rows: int | None
    future: Future = field(default_factory=Future)

    def group(self) -> Hashable:
        """Returns what jobs must share to be concatenated: model, signature, types and row shapes."""
        if self.rows is None:
            return self.future
        kinds = tuple((alias, a.dtype.char, a.shape[1:]) for alias, a in sorted(self.inputs.items()))
        return self.servable, self.signature.name, kinds


class Batcher:
    """Runs requests on one thread, together where they may be.

    Args:
        max_rows: most rows of one run; a larger request is run in slices.
        max_queue: most requests waiting; more are refused with UNAVAILABLE.
        together: whether requests may be concatenated at all.
    """

    def __init__(self, *, max_rows: int = 256, max_queue: int = 1024, together: bool = True):
        self._max_rows, self._max_queue, self._together = max_rows, max_queue, together
        self._groups: OrderedDict[Hashable, deque[Job]] = OrderedDict()
        self._waiting = 0
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        self._model = threading.Lock()  # held by who runs
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name="batching", daemon=True)
        self._thread.start()

    def submit(self, servable: Servable, signature: Signature, inputs: Arrays, deadline: float) -> Future:
        """Queues a request and keeps its servable open until the request is done or cancelled.

        Args:
            servable: a servable the caller holds.
            signature: one of its signatures.
            inputs: an array for each input, of a checked shape.
            deadline: `time.monotonic()` after which nobody waits for the answer.

        Returns:
            Future of the outputs by alias, or of a ServingError.

        Raises:
            ServingError: UNAVAILABLE when the queue is full or the server is stopping.
        """
        job = Job(servable, signature, inputs, deadline, self._rows(signature, inputs))
        with self._changed:
            if self._closed:
                raise ServingError(Code.UNAVAILABLE, "The server is shutting down.")
            if self._waiting >= self._max_queue:
                raise ServingError(Code.UNAVAILABLE, f"The queue of {self._max_queue} requests is full.")
            servable.acquire()
            job.future.add_done_callback(lambda _: servable.release())
            self._groups.setdefault(job.group(), deque()).append(job)
            self._waiting += 1
            self._changed.notify()
        return job.future

    def run(self, servable: Servable, signature: Signature, inputs: Arrays, deadline: float) -> Arrays:
        """Returns the outputs of a request, run on the calling thread or with the next batch.

        Args:
            servable: a servable the caller holds.
            signature: one of its signatures.
            inputs: an array for each input, of a checked shape.
            deadline: `time.monotonic()` after which the caller waits no more.

        Raises:
            ServingError: the run's own, UNAVAILABLE as of `submit`, DEADLINE_EXCEEDED.
        """
        if (self._rows(signature, inputs) or 0) <= self._max_rows and self._claim():
            try:
                return servable.run(signature, inputs)
            finally:
                self._model.release()
        future = self.submit(servable, signature, inputs, deadline)
        try:
            return future.result(max(deadline - time.monotonic(), 0.0))
        except TimeoutError:
            # If it has not begun it never will; if it has, the batching thread keeps the servable open.
            future.cancel()
            raise _late() from None

    def after_batch(self, listener: Callable[[], None]) -> None:
        """Has the batching thread call `listener` each time it has set the futures of a batch."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Answers what is queued, then stops."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _rows(self, signature: Signature, inputs: Arrays) -> int | None:
        sizes = {len(array) if array.ndim else -1 for array in inputs.values()}
        return sizes.pop() if len(sizes) == 1 and self._together and signature.batch_major else None

    def _claim(self) -> bool:
        """Whether the calling thread now holds the model: nothing runs and nobody waits."""
        with self._changed:
            return not self._groups and not self._closed and self._model.acquire(blocking=False)

    def _loop(self) -> None:
        while self._wait():
            # The batch is taken once the model is free: until then it may grow.
            with self._model:
                self._answer(self._take())
            for listener in self._listeners:
                listener()

    def _wait(self) -> bool:
        """Waits for work; False when closed and all done."""
        with self._changed:
            self._changed.wait_for(lambda: self._groups or self._closed)
            return bool(self._groups)

    def _take(self) -> list[Job]:
        """Takes what fits into one batch from the group that has waited longest."""
        with self._changed:
            group, queue = self._groups.popitem(last=False)
            batch = [queue.popleft()]
            rows = batch[0].rows or 0
            while queue and rows + (queue[0].rows or 0) <= self._max_rows:
                batch.append(queue.popleft())
                rows += batch[-1].rows or 0
            if queue:
                # To the end: one busy signature must not keep the others waiting.
                self._groups[group] = queue
            self._waiting -= len(batch)
            return batch

    def _answer(self, batch: list[Job]) -> None:
        live = [job for job in batch if _start(job)]
        if len(live) < 2 or not _answer_together(live):
            for job in live:
                self._answer_alone(job)

    def _answer_alone(self, job: Job) -> None:
        try:
            job.future.set_result(guarded(self._run, job))
        except ServingError as error:
            job.future.set_exception(error)

    def _run(self, job: Job) -> Arrays:
        if job.rows is None or job.rows <= self._max_rows:
            return job.servable.run(job.signature, job.inputs)
        parts = []
        for low in range(0, job.rows, self._max_rows):
            _check_deadline(job)
            part = {alias: array[low : low + self._max_rows] for alias, array in job.inputs.items()}
            parts.append(job.servable.run(job.signature, part))
            if not _aligned(parts[-1], min(self._max_rows, job.rows - low)):
                return job.servable.run(job.signature, job.inputs)
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}


def _answer_together(jobs: list[Job]) -> bool:
    """Runs jobs as one; False where they have to be run one by one to find whose fault it is."""
    bounds = np.cumsum([0, *(job.rows or 0 for job in jobs)]).tolist()
    try:
        outputs = guarded(_run_concatenated, jobs)
    except ServingError:
        return False
    if not _aligned(outputs, bounds[-1]):
        return False
    for job, low, high in zip(jobs, bounds, bounds[1:], strict=False):
        job.future.set_result({alias: array[low:high] for alias, array in outputs.items()})
    return True


def _run_concatenated(jobs: list[Job]) -> Arrays:
    first = jobs[0]
    inputs = {alias: np.concatenate([job.inputs[alias] for job in jobs]) for alias in first.inputs}
    return first.servable.run(first.signature, inputs)


def _aligned(outputs: Arrays, rows: int) -> bool:
    """Whether every output has a row for each row that went in; a signature can only promise that."""
    return all(array.shape[:1] == (rows,) for array in outputs.values())


def _start(job: Job) -> bool:
    """Whether somebody still waits for the job; from here on it cannot be cancelled."""
    if not job.future.set_running_or_notify_cancel():
        return False
    try:
        _check_deadline(job)
    except ServingError as error:
        job.future.set_exception(error)
        return False
    return True


def _check_deadline(job: Job) -> None:
    if time.monotonic() > job.deadline:
        raise _late()


def _late() -> ServingError:
    return ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")
