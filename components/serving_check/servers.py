"""Servers to check an encoder with, each in a process of its own: ours, or TensorFlow's where it is installed."""

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import tenacity

from models.errors import InputError
from serving.client import Client, RequestError
from serving.status import Code, ServingError

AUTO, EMBEDDED, REAL = "auto", "embedded", "tensorflow_model_server"
MODEL = "candidate"
STARTUP_SECONDS = 180
GRACE_SECONDS = 30


@dataclass(frozen=True)
class Ports:
    """Where a server of this machine answers."""

    grpc: int
    rest: int


def choose(wanted: str) -> str:
    """Returns the server to check with.

    Args:
        wanted: `embedded`, `tensorflow_model_server`, or `auto`: the latter where it is on the PATH.

    Raises:
        InputError: if TensorFlow's server is wanted and is not on the PATH.
    """
    if wanted == AUTO:
        return REAL if shutil.which(REAL) else EMBEDDED
    if wanted == REAL and not shutil.which(REAL):
        raise InputError(
            f"serving.validate_with: {REAL} is not on the PATH. Install TensorFlow Serving, or write {EMBEDDED}."
        )
    return wanted


@contextmanager
def running(server: str, folder: Path) -> Iterator[Ports]:
    """Serves the versions of a folder as `MODEL` for as long as the block takes.

    Args:
        server: `embedded` or `tensorflow_model_server`.
        folder: the folder of the versions.

    Raises:
        ServingError: UNAVAILABLE, the server did not come up.
    """
    model = [f"--model_name={MODEL}", f"--model_base_path={folder}", "--max_num_load_retries=0"]
    if server == EMBEDDED:
        command = [sys.executable, "-m", "serving.server", "--port=any", "--rest_api_port=any", *model]
        with _process(command, stdout=subprocess.PIPE) as (process, ready):
            ports = _announced(process)
            ready()
            yield ports
        return
    with ExitStack() as stack:
        yield _started(stack, model)


def _started(stack: ExitStack, model: list[str]) -> Ports:
    """Starts TensorFlow's server; once more where another process took one of its ports in the meantime."""
    ports = _free_ports()  # It takes no port for itself.
    try:
        return stack.enter_context(_real(model, ports))
    except ServingError:
        if not _taken(ports):
            raise
    return stack.enter_context(_real(model, _free_ports()))


@contextmanager
def _real(model: list[str], ports: Ports) -> Iterator[Ports]:
    with _process([REAL, f"--port={ports.grpc}", f"--rest_api_port={ports.rest}", *model]) as (process, ready):
        _wait(process, ports)
        ready()
        yield ports


@contextmanager
def _process(command: list[str], *, stdout: int | None = None) -> Iterator[tuple[subprocess.Popen, Callable[[], None]]]:
    """Yields a server's process, and what to call once it is ready."""
    process = subprocess.Popen(command, stdout=stdout, text=True)
    # A server that hangs is ended, which ends its output and so every wait for it.
    watchdog = threading.Timer(STARTUP_SECONDS, process.kill)
    watchdog.start()
    try:
        yield process, watchdog.cancel
    finally:
        watchdog.cancel()
        process.terminate()
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _announced(process: subprocess.Popen) -> Ports:
    """Returns the ports that our own server says it has taken."""
    for line in process.stdout or []:
        if line.startswith("ready "):
            facts = json.loads(line.removeprefix("ready "))
            return Ports(facts["grpc_port"], facts["rest_port"])
    raise _ended(process)


def _wait(process: subprocess.Popen, ports: Ports) -> None:
    """Asks until the version is served; TensorFlow's server opens its REST port last."""

    def ask() -> None:
        if process.poll() is not None:
            raise _ended(process)
        client.metadata()

    def early(error: BaseException) -> bool:
        # The client's own error: that the server has ended is told by the next question, and never asked again.
        return isinstance(error, RequestError) and error.code is Code.UNAVAILABLE

    with Client(rest_port=ports.rest, model=MODEL, attempts=1) as client:
        wait, stop = tenacity.wait_fixed(0.2), tenacity.stop_after_delay(STARTUP_SECONDS)
        tenacity.Retrying(retry=tenacity.retry_if_exception(early), wait=wait, stop=stop, reraise=True)(ask)


def _ended(process: subprocess.Popen) -> ServingError:
    code = process.wait(GRACE_SECONDS)
    return ServingError(
        Code.UNAVAILABLE, f"the server ended with exit status {code} before it was ready; the log says why."
    )


def _taken(ports: Ports) -> bool:
    try:
        for port in (ports.grpc, ports.rest):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return True
    return False


def _free_ports() -> Ports:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return Ports(*(probe.getsockname()[1] for probe in probes))
