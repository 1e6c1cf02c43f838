"""The server: both protocols over the versions of one or several models, and its command line.

    python -m serving.server --model_name=encoder --model_base_path=/srv/encoder --rest_api_port=8501

Flags have TF Serving's names where TF Serving has them. When the server answers, it prints one line per
fact, the last of them `ready` and a JSON object with the ports, for programs that start it.
"""

import ctypes
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serving import flags, settings
from serving.options import Options
from serving.status import ServingError

if TYPE_CHECKING:
    from serving.servable import Servable

READY = "ready "


class Server:
    """An embedded TF Serving.

    Args:
        options: what to serve and how.

    Raises:
        ServingError: a configuration file cannot be used.

    Example:
        >>> options = Options(model_name="encoder", model_base_path=Path("serving/encoder"), rest_api_port="any")
        >>> with Server(options) as server:
        ...     print(server.grpc_port, server.rest_port)
    """

    def __init__(self, options: Options):
        # Everything that reads a file, before TensorFlow is imported and the first thread starts.
        self._wanted, self._ssl = settings.wanted(options), settings.ssl(options)
        parameters, metrics_path = settings.batching(options), settings.metrics_path(options)
        access = settings.access(options)
        # Heavy: TensorFlow is wanted by who starts a server, not by who asks for its --help.
        from serving import assembly
        from serving.batching import Batcher
        from serving.callers import Form, Limits
        from serving.metrics import Metrics
        from serving.rest import Rest
        from serving.rpc import Rpc
        from serving.service import Service

        self._options = options
        self.grpc_port = self.rest_port = 0
        self._metrics = Metrics()
        self._log = assembly.request_log(options, self._metrics.log_count)
        self.models = assembly.models(options, self._load)
        batching = assembly.batching(options, parameters)
        most = parameters.max_enqueued_batches * parameters.max_batch_size if parameters else options.max_requests
        self._batcher = Batcher(batching, max_queue=most, observe=self._metrics.batching.observe)
        self._metrics.watch("queue_depth", "Requests waiting for a run.", lambda: self._batcher.waiting)
        self._metrics.describe(self.models.served)
        limits = Limits(options.max_request_bytes, options.rest_api_timeout_in_ms / 1000)
        form = Form(options.enable_serialization_as_tensor_content, options.enable_signature_method_name_check)
        service = Service(self.models, self._batcher, limits=limits, form=form, metrics=self._metrics, log=self._log)
        self._rpc = Rpc(
            service,
            threads=options.grpc_max_threads,
            max_requests=options.max_requests,
            grace=options.shutdown_grace_seconds,
            arguments=options.channel_arguments,
            health=options.enable_grpc_healthcheck_service,
            access=access,
        )
        self._rest = Rest(
            service,
            cors=options.rest_api_enable_cors_support,
            max_requests=options.max_requests,
            grace=options.shutdown_grace_seconds,
            metrics_path=metrics_path,
            access=access,
            connections=options.max_connections,
            idle_seconds=options.idle_connection_seconds,
        )

    def start(self) -> None:
        """Waits until every model has a version that serves, then opens the ports.

        Raises:
            ServingError: a model has no folder or cannot be loaded, or a port is taken.
        """
        options = self._options
        if self._log:
            self._log.start()
        self.models.reload(self._wanted)
        if options.model_config_file and options.model_config_file_poll_wait_seconds:
            self.models.watch(options.model_config_file, options.model_config_file_poll_wait_seconds)
        if options.port or options.grpc_socket_path:
            port = settings.number(options.port) if options.port else None
            self.grpc_port = self._rpc.start(options.host, port, socket=options.grpc_socket_path, ssl=self._ssl)
        if options.rest_api_port:
            port, ssl = settings.number(options.rest_api_port), self._ssl if options.rest_api_ssl else None
            self.rest_port = self._rest.start(options.host, port, ssl)

    def stop(self) -> None:
        """Stops listening, lets running requests finish within the grace, and closes the models."""
        answered = self._rpc.stop()
        if self.rest_port:
            self._rest.stop()
        answered.wait()
        self._batcher.close()
        if self._log:
            self._log.close()
        self.models.stop(self._options.shutdown_grace_seconds)

    def announce_end(self) -> None:
        """Has the health service answer NOT_SERVING, and goes on for the delay that the options name."""
        self._rpc.announce_end()
        time.sleep(self._options.shutdown_delay_seconds)

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _load(self, path: Path) -> "Servable":
        from serving.servable import Servable
        from serving.warmup import WarmUp

        options = self._options
        iterations = options.num_request_iterations_for_warmup or 1
        warm_up = WarmUp(self._metrics, enabled=options.enable_model_warmup, iterations=iterations)
        with self._metrics.loading(path):
            return Servable(
                path,
                threads=options.threads,
                tags=options.tags,
                may_reach_out=options.allow_reaching_out,
                warm_up=warm_up,
            )


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
        server = Server(options)
        if not options.xla_cpu_compilation_enabled:
            _switch_off_xla()
        print(f"waiting for a version of {_sought(options)}", flush=True)
        with server:
            _calm_collector()
            _print_facts(server, options)
            try:
                while True:
                    signal.pause()
            finally:
                server.announce_end()
    except KeyboardInterrupt:
        print("stopped", flush=True)


def _sought(options: Options) -> str:
    if options.model_config_file:
        return f"each model in {options.model_config_file}"
    return f"{options.model_name} in {options.model_base_path}"


def _switch_off_xla() -> None:
    """Has this process refuse functions that XLA must compile, as TF Serving does unless told otherwise.

    TensorFlow has no public switch for it, and its Python package switches XLA on.
    """
    import tensorflow  # noqa: F401  (first: it is what switches it on)

    package = find_spec("tensorflow")
    folder = Path(package.origin or "").parent if package else Path()
    ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"))._ZN10tensorflow21DisableXlaCompilationEv()


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
    serving = {name: [v.number for v in server.models.status(name) if v.servable] for name in server.models.names}
    for name, numbers in serving.items():
        for number in numbers:
            print(f"model {name} version {number}", flush=True)
    if server.grpc_port:
        print(f"grpc {options.host}:{server.grpc_port}", flush=True)
    if options.grpc_socket_path:
        print(f"grpc unix:{options.grpc_socket_path}", flush=True)
    for name in serving if server.rest_port else ():
        print(f"rest http://{options.host}:{server.rest_port}/v1/models/{name}", flush=True)
    facts = {
        "host": options.host,
        "grpc_port": server.grpc_port,
        "rest_port": server.rest_port,
        "models": serving,
    }
    print(READY + json.dumps(facts), flush=True)


@click.command()
@flags.add
@click.version_option(flags.version(), message="%(version)s")
def command(**values: str | None) -> None:
    """Serves SavedModels over gRPC and REST, as TF Serving does.

    Either --model_base_path or --model_config_file is needed.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve(flags.options(values))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 1 for a server that cannot start, 2 for a wrong flag.

    Args:
        argv: arguments without the program's name; None takes the process's own.
    """
    try:
        command.main(args=argv, prog_name="serving.server", standalone_mode=False)
    except click.ClickException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        return 2
    except ServingError as error:
        print(f"Failed to start server. Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
