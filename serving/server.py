"""The server: both protocols over the versions of one or several models, and its command line.

    python -m serving.server --model_name=encoder --model_base_path=/srv/encoder --rest_api_port=8501

Flags have TF Serving's names where TF Serving has them. When the server answers, it prints one line per
fact, the last of them `ready` and a JSON object with the ports, for programs that start it.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving import ending, flags, process, settings, supervisor
from serving.options import Options
from serving.process import READY as READY
from serving.status import ServingError

if TYPE_CHECKING:
    from serving.servable import Servable
    from serving.team import Team

REUSE_PORT = ("grpc.so_reuseport", 1)
MOMENT = 1.0  # seconds that the callers of what is abandoned have to read so, and threads to end


class Server:
    """An embedded TF Serving.

    Args:
        options: what to serve and how.
        team: the processes that serve together; None where this is the only one.

    Raises:
        ServingError: a configuration file cannot be used.

    Attributes:
        has_ended: False once it was stopped with a run that did not end; its thread cannot be joined.

    Example:
        >>> options = Options(model_name="encoder", model_base_path=Path("serving/encoder"), rest_api_port="any")
        >>> with Server(options) as server:
        ...     print(server.grpc_port, server.rest_port)
    """

    def __init__(self, options: Options, team: "Team | None" = None):
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

        self._options, self._team = options, team
        self.grpc_port = self.rest_port = 0
        self.has_ended = True
        batching = assembly.batching(options, parameters)
        self.metrics = Metrics(batching.pool)
        self._log = assembly.request_log(options, self.metrics.log_count)
        self.models = assembly.models(options, self._load)
        most = parameters.max_enqueued_batches * parameters.max_batch_size if parameters else options.max_requests
        self._batcher = Batcher(batching, max_queue=most, observe=self.metrics.batching.observe)
        self.metrics.watch("queue_depth", "Requests waiting for a run.", lambda: self._batcher.waiting)
        self.metrics.describe(self.models.served)
        limits = Limits(options.max_request_bytes, options.rest_api_timeout_in_ms / 1000)
        form = Form(options.enable_serialization_as_tensor_content, options.enable_signature_method_name_check)
        service = Service(
            self.models, self._batcher, limits=limits, form=form, metrics=self.metrics, log=self._log, team=team
        )
        self._rpc = Rpc(
            service,
            threads=options.grpc_max_threads,
            max_requests=options.max_requests,
            grace=options.shutdown_grace_seconds + MOMENT,
            idle_seconds=options.idle_connection_seconds,
            arguments=[*options.channel_arguments, *([REUSE_PORT] if team else [])],
            health=options.enable_grpc_healthcheck_service,
            access=access,
        )
        self._rest = Rest(
            service,
            cors=options.rest_api_enable_cors_support,
            max_requests=options.max_requests,
            grace=options.shutdown_grace_seconds + MOMENT,
            metrics_path=metrics_path,
            access=access,
            connections=options.max_connections,
            idle_seconds=options.idle_connection_seconds,
            unread_seconds=options.unread_answer_seconds,
        )

    def start(self) -> None:
        """Waits until every model has a version that serves, then opens the ports.

        Raises:
            ServingError: a model has no folder or cannot be loaded, or a port is taken.
        """
        options = self._options
        if self._log:
            self._log.start()
        if self._team:
            self._team.begin(self.models, self._wanted)
        else:
            self.models.reload(self._wanted)
        if options.model_config_file and options.model_config_file_poll_wait_seconds:
            self.models.watch(options.model_config_file, options.model_config_file_poll_wait_seconds)
        if options.port or options.grpc_socket_path:
            port = settings.number(options.port) if options.port else None
            self.grpc_port = self._rpc.start(options.host, port, socket=options.grpc_socket_path, ssl=self._ssl)
        if options.rest_api_port:
            port, ssl = settings.number(options.rest_api_port), self._ssl if options.rest_api_ssl else None
            self.rest_port = self._rest.start(options.host, port, ssl)

    def facts(self) -> dict[str, Any]:
        """Returns host, ports and the versions that are served, by model."""
        served = {name: [v.number for v in self.models.status(name) if v.servable] for name in self.models.names}
        ports = {"grpc_port": self.grpc_port, "rest_port": self.rest_port}
        return {"host": self._options.host, **ports, "models": served}

    def stop(self) -> None:
        """Stops listening, lets running requests finish within the grace, and closes the models.

        What is not finished then is abandoned: its callers get UNAVAILABLE, or their connections are closed.
        """
        deadline = time.monotonic() + self._options.shutdown_grace_seconds
        answered = self._rpc.stop()
        self.models.halt()
        if self.rest_port:
            self._rest.stop()
        # A run that is left when all are answered is nobody's.
        self.has_ended = self._wait(answered, deadline) and self._batcher.close(MOMENT)
        if not self.has_ended:
            self._batcher.abandon()
            self._wait(answered, deadline + 2 * MOMENT)
            self.has_ended = self._batcher.close(MOMENT)
        if self._log:
            self._log.close()
        self.models.stop(max(deadline - time.monotonic(), 0.0))

    def _wait(self, answered: threading.Event, deadline: float) -> bool:
        """Waits for both ports to have answered; False where they have not until a `time.monotonic()`."""
        over_rest = not self.rest_port or self._rest.wait(deadline - time.monotonic())
        return answered.wait(max(deadline - time.monotonic(), 0.0)) and over_rest

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
        warm_up = WarmUp(self.metrics, enabled=options.enable_model_warmup, iterations=iterations)
        with self.metrics.loading(path):
            return Servable(
                path,
                threads=options.threads,
                tags=options.tags,
                may_reach_out=options.allow_reaching_out,
                warm_up=warm_up,
            )


def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once.

    Prints a line per fact once the ports are open. Where something keeps running beyond the grace, the process
    ends here, with 0.

    Raises:
        ServingError: the server could not start.
    """
    process.hush()
    if options.workers > 1:
        supervisor.supervise(options)
        return
    settings.check(options)  # what is wrong with a file is told before TensorFlow takes its seconds
    ending.await_signals(options.shutdown_delay_seconds + options.shutdown_grace_seconds)
    server = None
    try:
        process.import_tensorflow()
        server = Server(options)
        if not options.xla_cpu_compilation_enabled:
            process.switch_off_xla()
        process.print_wait(options)
        with server:
            process.calm_collector()
            process.print_facts(server.facts(), options)
            try:
                while True:
                    signal.pause()
            finally:
                server.announce_end()
    except KeyboardInterrupt:
        print("stopped", flush=True)
    if server and not server.has_ended:
        ending.leave()


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
