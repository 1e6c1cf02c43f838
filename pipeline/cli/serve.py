"""`metaprior serve`: the embedded server on a folder of versions, or as TensorFlow Serving's stand-in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import options

if TYPE_CHECKING:
    from serving.options import Options

REST_PORT = "8501"
# A person sees at once what is wrong, and a version whose files change is tried again anyway.
RETRIES = "0"


class Serve(click.Command):
    """The verb; TensorFlow Serving's flags join it when it runs, because they take time to import."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the command line."""
        if not {"-h", "--help"} & set(args):
            from serving import flags

            own = {parameter.name for parameter in self.params}
            if "model_base_path" not in own:
                flags.add(self, without=own, hidden=True)
        return super().parse_args(ctx, args)


@click.command("serve", cls=Serve)
@click.argument("run", required=False)
@click.option("--path", type=click.Path(path_type=Path), help="The folder of versions to serve instead.")
@click.option("--name", help="The model's name for clients; the folder's own name by default.")
@click.option("--port", help="gRPC; any: a free one, 0: none.  [default: 8500]")
@click.option("--rest-port", help=f"REST; any: a free one, 0: none.  [default: {REST_PORT}]")
@click.option("--workers", help="Processes that share the ports.  [default: 1]")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@options.output
def command(
    run: str | None, path: Path | None, name: str | None, rest_port: str | None, output: Path, **values
) -> None:
    """Serve the latest blessed encoder, and every newer version as it comes.

    RUN is a pipeline's name, or a run's id or its beginning: then the version that this run pushed is served, and no
    other. By default it is the pipeline of the latest run that pushed an encoder.
    The server speaks TensorFlow Serving's protocol and takes its flags, such as --model_base_path or
    --model_config_file; `python -m serving.server --help` lists them.
    """
    from serving import flags

    given = {flag: value for flag, value in values.items() if value is not None}
    if given.keys() & {"model_base_path", "model_config_file"}:
        _refuse({"RUN": run, "--path": path, "--name": name, "--rest-port": rest_port})
        _serve(flags.options(given))
        return
    folder, version = _place(run, path, output)
    ours = {"model_name": name or folder.name, "model_base_path": folder, "max_num_load_retries": RETRIES}
    ours |= {"enable_metrics": True, "only_version": version}
    _serve(flags.options(ours | {"rest_api_port": rest_port or REST_PORT} | given))


def _refuse(friendly: dict[str, Any]) -> None:
    for name, value in friendly.items():
        if value is not None:
            raise click.UsageError(f"{name} does not go with --model_base_path or --model_config_file.")


def _place(run: str | None, path: Path | None, output: Path) -> tuple[Path, int | None]:
    from components.pusher.versions import versions
    from models.errors import InputError
    from pipeline import history

    if run and path:
        raise click.UsageError("RUN and --path: name one of them to serve.")
    pushed = history.Pushed(path) if path else history.serving(output, run)
    folder = pushed.folder.resolve()
    if not versions(folder):
        raise InputError(
            f"{folder}: no version to serve. It must hold folders named 1, 2, ...; `metaprior run` pushes them."
        )
    if not any(folder.glob("[0-9]*/saved_model.pb*")):
        # Such as a folder of pictures by class: loading would tell of each.
        raise InputError(
            f"{folder}: none of its numbered folders holds a saved_model.pb. `metaprior run` pushes such versions; "
            "give the folder that holds them."
        )
    return folder, pushed.version


def _serve(wanted: "Options") -> None:
    import logging

    from pipeline import ports
    from serving.server import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    chosen = {"--port": wanted.port, "--rest-port": wanted.rest_api_port}
    ports.require(wanted.host, {flag: port for flag, port in chosen.items() if isinstance(port, int) and port})
    serve(wanted)
