"""Callers in processes of their own, which import no TensorFlow; each caller has a connection of its own."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.embedding.callers import grpc_call, threads

PROCESSES = 8


class Callers:
    """Processes that ask one server, all for the same time.

    Args:
        port: the server's, for gRPC.
        callers: how many ask at a time, in all processes together.
        rows: examples of a request.
        shape: of an example.
    """

    def __init__(self, port: int, callers: int, rows: int, shape: tuple[int, ...]):
        number = min(callers, PROCESSES)
        numbers = [port, callers // number, rows, *shape]
        command = [sys.executable, "-m", "benchmarks.embedding.processes", *map(str, numbers)]
        self._processes: list[Any] = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        for process in self._processes:
            process.stdout.readline()

    @property
    def processes(self) -> list[int]:
        """Ids of the processes."""
        return [process.pid for process in self._processes]

    def measure(self, seconds: float) -> int:
        """Returns the number of answers that all got within some seconds."""
        for process in self._processes:
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        return sum(int(process.stdout.readline()) for process in self._processes)

    def __enter__(self) -> "Callers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.communicate()


def _each_with_its_own(port: int, x: np.ndarray) -> Callable[[], None]:
    own = threading.local()

    def call() -> None:
        if not hasattr(own, "call"):
            own.call = grpc_call(port, x)
        own.call()

    return call


def main(port: int, callers: int, rows: int, *shape: int) -> None:
    """Asks for as many seconds as each line says, and prints the number of answers."""
    x = np.random.default_rng(0).normal(size=[rows, *shape]).astype("f")
    print("here", flush=True)
    for line in sys.stdin:
        # New connections: which worker gets which is chance, and the median is to be over it.
        print(len(threads(callers, float(line), _each_with_its_own(port, x))), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
