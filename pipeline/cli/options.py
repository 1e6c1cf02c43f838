"""Options that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
output = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder that holds the runs.",
)


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
