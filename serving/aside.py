"""Long work beside an event loop: on few threads, in slices, and only as long as somebody waits for it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LONG = 1 << 17  # bytes of JSON from which on a change of threads costs less than the work
SHARE, BREATH = 1e-3, 1e-4  # seconds of work, and between
VALUES = 1 << 14  # of a document, let go of at a time
DEEPEST = 32  # lists and objects within each other whose values are counted

Pause = Callable[[], None]


def no_pause() -> None:
    """The pause of who keeps nobody waiting."""


def breathe() -> None:
    """Lets the event loop take the interpreter now, instead of asking for it and waiting some milliseconds."""
    time.sleep(BREATH)


def discard(value: Any) -> None:
    """Empties a long document in slices: to let go of it at once would hold the interpreter."""
    if isinstance(value, dict):
        for child in value.values():
            discard(child)
    elif isinstance(value, list) and value:
        width = _count(value[0])
        for child in value if width > VALUES else ():
            discard(child)
        step = max(VALUES // width, 1)
        while value:
            del value[-step:]
            breathe()


def _count(value: Any, deepest: int = DEEPEST) -> int:
    """Returns how many values there are in one, told by the first elements of lists."""
    if not deepest:
        return 1
    if isinstance(value, dict):
        return 1 + sum(_count(child, deepest - 1) for child in value.values())
    if isinstance(value, list) and value:
        return 1 + len(value) * _count(value[0], deepest - 1)
    return 1


class Unwanted(Exception):
    """Nobody waits for the work any more."""


class Aside:
    """The threads of one event loop for what would keep its other clients waiting.

    One call at a time would have a short one wait for a long one, and many would share one interpreter.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int = 2):
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aside")

    async def run(self, is_long: bool, function: Callable[..., Any], *args: Any) -> Any:
        """Returns what a function does; aside, it gets a `pause` to call between its slices.

        When the wait is cancelled, work that has not begun never does, and other work ends at its next pause.

        Args:
            is_long: whether it goes aside; it is done here and now otherwise.
            function: what to call.
            args: its positional arguments.
        """
        if not is_long:
            return function(*args)
        gone, since = threading.Event(), time.perf_counter()

        def pause() -> None:
            nonlocal since
            if gone.is_set():
                raise Unwanted
            if time.perf_counter() - since > SHARE:
                breathe()
                since = time.perf_counter()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, pause=pause))
        except asyncio.CancelledError:
            gone.set()
            raise

    def let_go(self, document: Any) -> None:
        """Discards a long document that nobody needs any more."""
        # A request that outlives the server's grace comes after the end of the threads.
        with contextlib.suppress(RuntimeError):
            self._pool.submit(discard, document)

    def close(self) -> None:
        """Ends the threads, once they are idle."""
        self._pool.shutdown(wait=False)
