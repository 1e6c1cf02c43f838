"""The end of a server's process, which comes whatever TensorFlow does."""

import functools
import logging
import os
import signal
import sys
import threading
from typing import NoReturn

LAST = 4.0  # seconds to end beyond what was promised to requests


def await_signals(seconds: float) -> None:
    """Has SIGTERM and SIGINT raise KeyboardInterrupt, once, and end the process in time.

    Args:
        seconds: what the end may take; `LAST` later the process ends with 0, whatever still runs.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, functools.partial(_interrupt, seconds + LAST))


def leave() -> NoReturn:
    """Ends the process with 0 and without its threads: one that TensorFlow does not return to cannot be joined."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _interrupt(seconds: float, *_: object) -> NoReturn:
    # The second signal is the system's to act on: whatever the process is busy with, it ends.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    last = threading.Timer(seconds, leave)
    last.daemon = True
    last.start()
    raise KeyboardInterrupt
