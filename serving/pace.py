"""How a session is to run a signature: on whose thread, and for how long at most."""

import functools
import math
from typing import Any

import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session

INLINE_ROWS = 16
QUICK = 0.05  # seconds; a run of less is over before it could be ended
FORGETS = 0.9  # of the longest run, with each further one: the first of all builds what the others use
STEP = 1.25  # between two limits that are told apart, so that there are few of them


class Pace:
    """The run options of a signature, by how long its runs take.

    A small batch is run by the calling thread, which saves a third of its time, but cannot be ended there. So
    this is for signatures known to be quick; the others run on the session's threads, with a limit.
    """

    def __init__(self) -> None:
        self._longest = 0.0

    def options(self, rows: int, seconds: float) -> Any:
        """Returns the session's options for a run of so many rows that is waited for so long, in seconds."""
        if self._longest >= QUICK:
            return _limited(math.ceil(math.log(max(seconds * 1000, 1.0), STEP))) if seconds < math.inf else _POOLED
        # A larger batch may spread its operations over the session's threads.
        return _INLINE if rows <= INLINE_ROWS else _POOLED

    def took(self, seconds: float) -> None:
        """Learns how long a run took."""
        self._longest = max(seconds, FORGETS * self._longest)


def _buffer(**options: int) -> Any:
    return pywrap_tf_session.TF_NewBufferFromString(tf.compat.v1.RunOptions(**options).SerializeToString())


@functools.cache
def _limited(steps: int) -> Any:
    return _buffer(timeout_in_ms=math.ceil(STEP ** min(steps, MOST_STEPS)))


MOST_STEPS = 90  # some weeks
_INLINE, _POOLED = _buffer(inter_op_thread_pool=-1), _buffer()
