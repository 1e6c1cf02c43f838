"""Options that several verbs share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.history import Pushed
    from serving.client import Client

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
output = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder that holds the runs.",
)


def encoder(verb: Callable) -> Callable:
    """Adds the options that say whose encoder is used: serving and run."""
    options = (
        click.option("--serving", type=click.Path(path_type=Path), help="The folder of versions; its newest is used."),
        click.option(
            "--run",
            help="The run that pushed the encoder, or a pipeline, whose newest is used; by default the pipeline of the "
            "latest run that pushed one.",
        ),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def pushed(serving: Path | None, run: str | None, output: Path) -> "Pushed":
    """Returns the encoder that the options of `encoder` say.

    Raises:
        click.UsageError: if both are given.
        InputError: if no such run pushed an encoder that is there.
    """
    from pipeline import history

    if serving is not None and run is not None:
        raise click.UsageError("--serving and --run: name one of them.", click.get_current_context())
    return history.Pushed(serving) if serving is not None else history.serving(output, run)


def server(verb: Callable) -> Callable:
    """Adds the options that say who is asked, and how, beside its ports: what `client` takes, and version."""
    file = click.Path(path_type=Path)
    options = (
        click.option("--host", default="127.0.0.1", show_default=True, help="Where the server is."),
        click.option("--ca", type=file, help="Encrypt, and trust servers with a certificate of this PEM file."),
        click.option("--certificate", type=file, help="Encrypt, and show the server this certificate, a PEM file."),
        click.option("--key", type=file, help="The PEM file of that certificate's key."),
        click.option("--token-file", type=file, help="The file that holds the bearer token to send."),
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=30.0,
            show_default=True,
            help="Seconds until the answer to a request; large inputs take several.",
        ),
        click.option("--model", default="encoder", show_default=True, help="The model's name."),
        click.option("--version", type=click.IntRange(1), help="A version of it; the newest by default."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def client(
    *,
    port: int | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    token_file: Path | None,
    **rest: Any,
) -> "Client":
    """Returns a client of the server that the options of `server` say.

    Args:
        port: of gRPC; None to ask over REST.
        ca: PEM file of whom to trust.
        certificate: PEM file of the client's own certificate.
        key: PEM file of its key.
        token_file: the file of the bearer token.
        rest: host, REST port, timeout and model.

    Raises:
        click.UsageError: if there is half of a certificate and its key.
        InvalidRequest: if a PEM file cannot be read.
    """
    # Before gRPC is imported: it would write lines of its own beside the one that says what is wrong.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from serving.client import Client, Credentials

    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key: give both of them.", click.get_current_context())
    credentials = Credentials(ca=ca, certificate=certificate, key=key, token_file=token_file)
    return Client(grpc_port=port, credentials=credentials, **rest)


class Pair(click.ParamType):
    """A `key=value` pair."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Returns (key, value).

        Raises:
            click.UsageError: if there is no `=`, or nothing before it.
        """
        key, equals, rest = value.partition("=")
        if not equals or not key:
            self.fail(f"must be KEY=VALUE, such as training.epochs=5. Received: {value}.", param, ctx)
        return key, rest


def data(verb: Callable) -> Callable:
    """Adds the options that say what the data is: config, data and sets."""
    options = (
        click.option("--config", "path", metavar="FILE", help="A YAML file; `configs/` has examples."),
        click.option("--data", metavar="PATH|NAME", help="The data: a file, a folder or a built-in name."),
        click.option(
            "--set",
            "sets",
            type=Pair(),
            multiple=True,
            help="Any key of the configuration, such as training.epochs=5. May be repeated.",
        ),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def configuration(verb: Callable) -> Callable:
    """Adds the options that make up a run's configuration: config, data, sets and model."""
    model = click.option("--model", metavar="NAME", help="The recipe, as `metaprior models` lists them.")
    return data(model(verb))


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
