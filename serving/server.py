"""The server: both protocols over one folder of versions, and its command line.

    python -m serving.server --model_name=encoder --model_base_path=serving/encoder

Flags have TF Serving's names where TF Serving has them. When the server answers, it prints one line per
fact, the last of them `ready` and a JSON object with the ports, for programs that start it.
"""

import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.status import Code, ServingError

READY = "ready "

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]


class Options(BaseModel):
    """Everything a server can be told; the command line has one flag for each."""

    # Half of the fields begin with TF Serving's "model_".
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_name: str = Field(min_length=1, description="the name clients ask for")
    model_base_path: Path = Field(description="folder of the version folders")
    host: str = Field(default="127.0.0.1", description="address to bind; loopback unless told otherwise")
    port: Port = Field(default=8500, description="gRPC port, 0 for any free one")
    rest_api_port: Port = Field(default=8501, description="REST port, 0 for any free one")
    keep_versions: Positive = Field(default=1, description="how many of the newest versions are served")
    file_system_poll_wait_seconds: float = Field(default=1.0, gt=0, description="pause between looks at the folder")
    enable_batching: bool = Field(default=True, description="run requests that wait together")
    max_batch_size: Positive = Field(default=256, description="most rows of one run; larger requests are sliced")
    max_requests: Positive = Field(default=1024, description="most requests at a time; more get UNAVAILABLE")
    max_request_bytes: Positive = Field(default=64 << 20, description="most bytes of one request")
    rest_api_timeout_in_ms: Positive = Field(default=30_000, description="longest time to an answer, gRPC included")
    rest_api_enable_cors_support: bool = Field(default=False, description="let scripts of other origins call")
    grpc_max_threads: Positive = Field(default=64, description="most gRPC requests answered at a time")
    tensorflow_intra_op_parallelism: int = Field(default=0, ge=0, description="threads of an operation, 0: all cores")
    shutdown_grace_seconds: float = Field(default=10.0, ge=0, description="time running requests have at the end")


class Server:
    """An embedded TF Serving for one model.

    Args:
        options: what to serve and how.

    Raises:
        ServingError: NOT_FOUND, there is no such base path.

    Example:
        >>> options = Options(model_name="encoder", model_base_path=Path("serving/encoder"), port=0)
        >>> with Server(options) as server:
        ...     print(server.grpc_port, server.rest_port)
    """

    def __init__(self, options: Options):
        if not options.model_base_path.is_dir():
            raise ServingError(
                Code.NOT_FOUND, f"Could not find base path {options.model_base_path}. Create it or correct it."
            )
        # Heavy: TensorFlow is wanted by who starts a server, not by who asks for its --help.
        from serving.batch import Batching
        from serving.batching import Batcher
        from serving.rest import Rest
        from serving.rpc import Rpc
        from serving.servable import Servable
        from serving.service import Limits, Service
        from serving.versions import Versions

        self._options = options
        self.grpc_port = self.rest_port = 0
        self.versions = Versions(
            options.model_name,
            options.model_base_path,
            load=lambda path: Servable(path, threads=options.tensorflow_intra_op_parallelism),
            keep=options.keep_versions,
            poll_seconds=options.file_system_poll_wait_seconds,
        )
        self._batcher = Batcher(
            Batching(together=options.enable_batching, max_rows=options.max_batch_size), max_queue=options.max_requests
        )
        limits = Limits(options.max_request_bytes, options.rest_api_timeout_in_ms / 1000)
        service = Service({options.model_name: self.versions}, self._batcher, limits=limits)
        common: dict[str, Any] = {
            "max_requests": options.max_requests,
            "grace": options.shutdown_grace_seconds,
        }
        self._rpc = Rpc(service, threads=options.grpc_max_threads, **common)
        self._rest = Rest(service, cors=options.rest_api_enable_cors_support, **common)

    def start(self) -> None:
        """Waits for a version that serves, then opens the ports.

        Raises:
            ServingError: no version can be loaded, or a port is taken.
        """
        self.versions.start()
        self.versions.wait()
        self.grpc_port = self._rpc.start(self._options.host, self._options.port)
        self.rest_port = self._rest.start(self._options.host, self._options.rest_api_port)

    def stop(self) -> None:
        """Stops listening, lets running requests finish within the grace, and closes the model."""
        answered = self._rpc.stop() if self.grpc_port else None
        if self.rest_port:
            self._rest.stop()
        if answered:
            answered.wait()
        self._batcher.close()
        self.versions.stop(self._options.shutdown_grace_seconds)

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Prints a line per fact once the ports are open.

    Raises:
        ServingError: the server could not start.
    """
    # TensorFlow greets and warns by the page.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        print(f"waiting for a version of {options.model_name} in {options.model_base_path}", flush=True)
        with Server(options) as server:
            _calm_collector()
            _print_facts(server, options)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        print("stopped", flush=True)


def _calm_collector() -> None:
    """Keeps the garbage collector from walking TensorFlow's half a million objects during requests.

    A large JSON body makes so many lists that full collections used to take nine tenths of its parsing.
    """
    gc.freeze()
    gc.set_threshold(50_000)


def _interrupt(*_: object) -> None:
    # Once: a second signal must not cut off the draining, which has its own limit.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _print_facts(server: Server, options: Options) -> None:
    serving = [version.number for version in server.versions.status() if version.servable]
    for number in serving:
        print(f"model {options.model_name} version {number}", flush=True)
    print(f"grpc {options.host}:{server.grpc_port}", flush=True)
    print(f"rest http://{options.host}:{server.rest_port}/v1/models/{options.model_name}", flush=True)
    facts = {
        "host": options.host,
        "grpc_port": server.grpc_port,
        "rest_port": server.rest_port,
        "model": options.model_name,
        "versions": serving,
    }
    print(READY + json.dumps(facts), flush=True)


def _flags(command: Any) -> Any:
    """Gives a command one flag per field of Options; Options itself checks the values."""
    for name, field in reversed(Options.model_fields.items()):
        shown = {} if field.is_required() else {"default": str(field.default), "show_default": True}
        option = click.option(f"--{name}", required=field.is_required(), help=field.description, **shown)
        command = option(command)
    return command


@click.command()
@_flags
def command(**values: str) -> None:
    """Serves the newest version of a SavedModel folder over gRPC and REST, as TF Serving does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve(Options.model_validate(values))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    Args:
        argv: arguments without the program's name; None takes the process's own.
    """
    try:
        command.main(args=argv, prog_name="serving.server", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ValidationError as error:
        first = error.errors()[0]
        print(f"error: --{first['loc'][0]}: {first['msg']}. Received: {first['input']}", file=sys.stderr)
        return 2
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
