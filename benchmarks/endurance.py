"""Memory of the embedded server under load, minute by minute.

    python -m benchmarks.endurance [--minutes 60] [--callers 16]

Callers of both protocols call without a pause: rows by turns 1 to 64, every tenth request one that is refused, every
hundredth connection opened anew; every minute a new version takes over. Printed are the server's resident memory,
its threads and its open files. It fails where anything but a refusal was refused.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from benchmarks.embedding.encoders import Encoder, Running, server
from serving.client import Client
from serving.status import Code, ServingError

RENEWED, REFUSED = 100, 10
MINUTE = 60.0


def call_on(running: Running, index: int, ended: Callable[[], bool]) -> int:
    """Calls until the end and returns how many answers came."""
    generator, answers = np.random.default_rng(index), 0
    address: dict[str, Any] = {"grpc_port": running.grpc_port} if index % 2 else {"rest_port": running.rest_port}
    while not ended():
        with Client(model="m", **address) as client:
            for number in range(RENEWED):
                refused = number % REFUSED == 0
                x = generator.normal(size=[generator.integers(1, 65), 784]).astype(np.float32)
                try:
                    client.predict(x, version=99999 if refused else None)
                except ServingError as error:
                    if not refused or error.code is not Code.NOT_FOUND:
                        raise
                answers += 1
    return answers


def renew(base: Path, number: int) -> None:
    """Publishes the next version and takes away the oldest."""
    shutil.copytree(base / str(number), base / f"tmp-{number + 1}")
    (base / f"tmp-{number + 1}").rename(base / str(number + 1))
    shutil.rmtree(base / str(number - 1), ignore_errors=True)


def show(minute: int, process: psutil.Process) -> None:
    memory = process.memory_info().rss / 1e6
    facts = f"{process.num_threads()} threads, {process.num_fds()} files"
    click.echo(f"  minute {minute:3}  {memory:7,.0f} MB  {'#' * int(memory / 20)}  {facts}")


@click.command()
@click.option("--minutes", default=60, show_default=True)
@click.option("--callers", default=16, show_default=True)
def main(minutes: int, callers: int) -> None:
    """Shows the server's memory under load."""
    end = threading.Event()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(callers) as pool:
        base = Path(folder) / "m"
        Encoder("mlp").save(str(base / "1"))
        with server(base) as running:
            process = psutil.Process(running.process)
            show(0, process)
            calls = [pool.submit(call_on, running, index, end.is_set) for index in range(callers)]
            try:
                for minute in range(1, minutes + 1):
                    renew(base, minute)
                    time.sleep(MINUTE)
                    show(minute, process)
                    if failed := [call for call in calls if call.done()]:
                        failed[0].result()
            finally:
                end.set()
            click.echo(f"{sum(call.result() for call in calls):,} answers")


if __name__ == "__main__":
    main()
