"""`metaprior serve`: the embedded server on a folder of versions."""

from pathlib import Path

import click

from pipeline.cli import options


@click.command("serve")
@click.argument("run", required=False)
@click.option("--path", type=click.Path(path_type=Path), help="The folder of versions to serve instead.")
@click.option("--name", help="The model's name for clients; the folder's own name by default.")
@click.option("--port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="gRPC.")
@click.option("--rest-port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="REST.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@options.output
def command(run: str | None, path: Path | None, output: Path, host: str, **flags) -> None:
    """Serve the latest blessed encoder, and every newer version as it comes.

    RUN is a run's id, its beginning, or a pipeline's name; the latest run that pushed an encoder by default.
    The server speaks TensorFlow Serving's protocol.
    """
    from components.pusher.versions import versions
    from models.errors import InputError
    from pipeline import history, ports

    folder = (path or history.serving(output, run)).resolve()
    if not versions(folder):
        raise InputError(
            f"{folder}: no version to serve. It must hold folders named 1, 2, ...; `metaprior run` pushes them."
        )
    ports.require(host, {"--port": flags["port"], "--rest-port": flags["rest_port"]})
    _serve(folder, host=host, **flags)


def _serve(folder: Path, *, host: str, name: str | None, port: int, rest_port: int) -> None:
    import logging
    import os

    from pipeline.quiet import native_noise
    from serving.server import Options, serve

    # What a request's failure is about goes to who sent it; TensorFlow would write it here a second time.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_noise():
        import tensorflow  # noqa: F401  (here, where what it says of the machine is kept from the terminal)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ports = {"port": port, "rest_api_port": rest_port}
    model = {"model_name": name or folder.name, "model_base_path": folder}
    serve(Options.model_validate({"host": host} | ports | model))
