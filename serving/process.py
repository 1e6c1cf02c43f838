"""What a process that serves says, and what it changes of its own."""

import contextlib
import ctypes
import gc
import ipaddress
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from serving.options import Options

READY = "ready "


def print_wait(options: Options) -> None:
    """Says what the server is about to wait for."""
    sought = f"{options.model_name} in {options.model_base_path}"
    if options.model_config_file:
        sought = f"each model in {options.model_config_file}"
    print(f"waiting for a version of {sought}", flush=True)


def print_facts(facts: dict[str, Any], options: Options) -> None:
    """Says where the server answers, a line a fact, the last of them `ready` and all of them as JSON.

    Args:
        facts: host, ports and served versions, as `Server.facts` returns them; with several workers their number.
        options: what the server was told.
    """
    for name, numbers in facts["models"].items():
        for number in numbers:
            print(f"model {name} version {number}", flush=True)
    if "workers" in facts:
        print(f"workers {facts['workers']}", flush=True)
    host, scheme = _reachable(options.host), "https" if options.rest_api_ssl else "http"
    if facts["grpc_port"]:
        print(f"grpc {host}:{facts['grpc_port']}", flush=True)
    if options.grpc_socket_path:
        print(f"grpc unix:{options.grpc_socket_path}", flush=True)
    for name in facts["models"] if facts["rest_port"] else ():
        print(f"rest {scheme}://{host}:{facts['rest_port']}/v1/models/{name}", flush=True)
    print(READY + json.dumps(facts), flush=True)


def hush() -> None:
    """Keeps the native libraries' own lines off this process's standard error, unless the user has asked for them.

    Before any of them is imported. What a request's failure is about goes to who sent it: they would write it here a
    second time, and a scanner of ports could fill the log with handshakes that fail.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@contextlib.contextmanager
def errors_to(file: int) -> Iterator[int]:
    """Sends the standard error of this process and its children to a file; gives where it went before.

    Native libraries write to the descriptor, past `sys.stderr` and past every log level.

    Args:
        file: descriptor of the file.
    """
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(file, 2)
    try:
        yield before
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


def import_tensorflow() -> None:
    """Imports TensorFlow without what its libraries say of the machine."""
    with tempfile.TemporaryFile() as noise, errors_to(noise.fileno()) as terminal:
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            with contextlib.suppress(OSError):  # what they said may be why
                noise.seek(0)
                os.write(terminal, noise.read())
            raise
    # It tells of every checkpoint it restores, and the server of every version it loads.
    logging.getLogger("tensorflow").setLevel(logging.WARNING)


def _reachable(host: str) -> str:
    """Returns what a client on this machine can put before a port: no client can ask all addresses."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "localhost"
    return f"[{host}]" if address.version == 6 else host


def switch_off_xla() -> None:
    """Has this process refuse functions that XLA must compile, as TF Serving does unless told otherwise.

    TensorFlow has no public switch for it, and its Python package switches XLA on.
    """
    import tensorflow  # noqa: F401  (first: it is what switches it on)

    package = find_spec("tensorflow")
    folder = Path(package.origin or "").parent if package else Path()
    ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"))._ZN10tensorflow21DisableXlaCompilationEv()


def calm_collector() -> None:
    """Keeps the garbage collector from walking TensorFlow's half a million objects during requests.

    A large JSON body makes so many lists that full collections used to take nine tenths of its parsing.
    """
    gc.freeze()
    gc.set_threshold(50_000)
