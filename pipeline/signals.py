"""What ends a command that a person watches."""

import signal


def end_by_interrupt() -> None:
    """Has SIGTERM and a closed terminal raise KeyboardInterrupt, as Ctrl-C does.

    A signal that this process was started to ignore stays ignored: `nohup` keeps its promise.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
