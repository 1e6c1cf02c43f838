"""One batch: which requests may form it, how their rows are joined, padded and given back."""

import contextlib
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import numpy as np

from serving.metrics import POOL
from serving.servable import Servable
from serving.signature import Signature
from serving.status import Code, ServingError, guarded

Arrays = Mapping[str, np.ndarray]
UNEQUAL = "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"


@dataclass(frozen=True)
class Batching:
    """How requests form batches; what TF Serving calls its batching parameters.

    Attributes:
        together: whether requests may be joined and sliced. None leaves it to the model: only one that says of
            itself that it embeds every row by itself.
        max_rows: most rows of one run.
        split: whether a larger request is run in slices, instead of refused.
        threads: most runs at a time.
        gather: whether those that may be joined wait for a run of their kind to end; as many runs of different
            kinds as there are threads go on at a time in any case.
        strict: whether what cannot be joined is refused, as in TF Serving; otherwise it is run by itself.
        linger: most seconds that a request waits for company.
        sizes: the only numbers of rows that are run, ascending; smaller batches are padded. Empty allows all.
        pad_variable_length: whether requests whose rows differ in shape are padded to a common one.
        pool: name of the threads that run them.
    """

    together: bool | None = True
    max_rows: int = 256
    split: bool = True
    threads: int = 1
    gather: bool = True
    strict: bool = False
    linger: float = 0.0
    sizes: tuple[int, ...] = ()
    pad_variable_length: bool = False
    pool: str = POOL


@dataclass(eq=False, slots=True)
class Job:
    """A request to be run; `deadline` is a `time.monotonic()`, `rows` None if it runs alone."""

    servable: Servable
    signature: Signature
    inputs: Arrays
    deadline: float
    rows: int | None
    is_wanted: Callable[[], bool] | None = None
    future: Future = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    def kind(self, padded: bool) -> Hashable:
        """Returns what jobs must share to be joined: model, signature, outputs, types and, unless padded, shapes."""
        if self.rows is None:
            return self.future
        arrays = sorted(self.inputs.items())
        kinds = tuple((alias, a.dtype, a.ndim if padded else a.shape[1:]) for alias, a in arrays)
        return self.servable, self.signature.name, tuple(self.signature.outputs), kinds

    @property
    def seconds_left(self) -> float:
        """How much longer somebody waits."""
        return self.deadline - time.monotonic()

    def check(self) -> None:
        """Refuses to compute what nobody waits for.

        Raises:
            ServingError: DEADLINE_EXCEEDED, CANCELLED.
        """
        if self.seconds_left < 0:
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        if self.is_wanted is not None and not self.is_wanted():
            raise ServingError(Code.CANCELLED, "The caller has gone.")

    def answer(self, outputs: Arrays) -> None:
        """Gives the caller its outputs, unless it has been told otherwise."""
        # Checked by trying: another thread may abandon the job at any time.
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(outputs)

    def refuse(self, error: ServingError) -> None:
        """Gives the caller an error, unless it has its answer."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)


class Answers:
    """Runs batches and gives every job its own rows.

    Args:
        batching: the limits.
        observe: is told of every run: rows, rows with padding, seconds its oldest job waited.
    """

    def __init__(self, batching: Batching, observe: Callable[[int, int, float], None] | None = None):
        self._batching, self._observe = batching, observe

    def set(self, batch: Sequence[Job]) -> None:
        """Sets the futures of a batch's jobs, those that nobody waits for included."""
        live = [job for job in batch if _start(job)]
        if len(live) < 2 or not self._together(live):
            for job in live:
                try:
                    job.answer(guarded(self.alone, job))
                except ServingError as error:
                    job.refuse(error)

    def alone(self, job: Job) -> Arrays:
        """Returns the outputs of one job.

        Raises:
            ServingError: the run's own; nobody waits for a part of it any more.
        """
        job.check()
        if job.rows is None:
            return job.servable.run(job.signature, job.inputs, job.seconds_left)
        parts = []
        for low in range(0, job.rows or 1, self._batching.max_rows):
            job.check()
            rows = min(self._batching.max_rows, job.rows - low)
            part = {alias: array[low : low + rows] for alias, array in job.inputs.items()}
            outputs = self._run([Job(job.servable, job.signature, part, job.deadline, rows, arrived=job.arrived)], rows)
            if outputs is None:
                return job.servable.run(job.signature, job.inputs, job.seconds_left)
            parts.append(outputs)
        if len(parts) == 1:
            return parts[0]
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}

    def _together(self, jobs: Sequence[Job]) -> bool:
        """Runs jobs as one; False where they have to be run one by one to find whose fault it is."""
        bounds = np.cumsum([0, *(job.rows or 0 for job in jobs)]).tolist()
        try:
            outputs = guarded(self._run, jobs, bounds[-1])
        except ServingError:
            return False
        if outputs is None:
            return False
        for job, low, high in zip(jobs, bounds, bounds[1:], strict=False):
            job.answer({alias: array[low:high] for alias, array in outputs.items()})
        return True

    def _run(self, jobs: Sequence[Job], rows: int) -> Arrays | None:
        """Returns a row of outputs for each row of the jobs, None where the signature gives other numbers.

        A signature can only promise that its outputs have the rows of its inputs.

        Raises:
            ServingError: the run's own; FAILED_PRECONDITION for other numbers, where they are not allowed.
        """
        first = jobs[0]
        size = next((size for size in self._batching.sizes if size >= rows), rows)
        if self._observe is not None:
            self._observe(rows, size, time.monotonic() - min(job.arrived for job in jobs))
        inputs = {alias: _join([job.inputs[alias] for job in jobs], size - rows) for alias in first.inputs}
        outputs = first.servable.run(first.signature, inputs, max(job.seconds_left for job in jobs))
        if any(array.shape[:1] != (size,) for array in outputs.values()):
            if self._batching.strict:
                raise ServingError(Code.FAILED_PRECONDITION, UNEQUAL)
            return None
        return {alias: array[:rows] for alias, array in outputs.items()} if size > rows else outputs


def _join(arrays: Sequence[np.ndarray], padding: int) -> np.ndarray:
    """Joins arrays along their rows and repeats the first row `padding` times; ragged ones are filled up.

    What fills is a value that the model has met: the first of each array, as in TF Serving.
    """
    if len({array.shape[1:] for array in arrays}) > 1:
        widest = np.max([array.shape[1:] for array in arrays], axis=0)
        arrays = [_filled(array, widest) for array in arrays]
    if padding and (first := next((array[:1] for array in arrays if len(array)), None)) is not None:
        arrays = [*arrays, np.repeat(first, padding, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _filled(array: np.ndarray, widest: np.ndarray) -> np.ndarray:
    if not array.size:
        return np.zeros([len(array), *widest], array.dtype)
    margins = [(0, 0), *((0, int(wide - own)) for wide, own in zip(widest, array.shape[1:], strict=True))]
    return np.pad(array, margins, constant_values=array.flat[0])


def _start(job: Job) -> bool:
    """Whether somebody still waits for the job; from here on it cannot be cancelled."""
    if job.future.done() or not job.future.set_running_or_notify_cancel():
        return False
    try:
        job.check()
    except ServingError as error:
        job.refuse(error)
        return False
    return True
