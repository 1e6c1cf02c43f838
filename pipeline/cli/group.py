"""The command's frame: finds the verbs, and turns what a person did wrong into one line."""

import difflib
import importlib
import sys

import click

from models.errors import InputError
from serving.status import ServingError

VERBS = (
    "run",
    "sweep",
    "choose",
    "embed",
    "backfill",
    "index",
    "search",
    "serve",
    "deploy",
    "query",
    "monitor",
    "models",
    "suggest",
    "runs",
    "report",
    "compare",
    "tensorboard",
    "config",
    "doctor",
)
BAD_INPUT, INTERRUPTED = 2, 130


class Verbs(click.Group):
    """A group whose verbs are modules of this package, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the verbs' names in the order of a day's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a verb, or None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"pipeline.cli.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """Returns the verb that was typed.

        Raises:
            click.UsageError: if there is no such verb, with the nearest one.
        """
        if args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"no such command: {args[0]}." + (f" Did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def main(self, *args, **kwargs) -> None:
        """Runs the command and exits.

        Raises:
            SystemExit: 0, or the verb's own code; 2 with one line for what a person did wrong, or the help where no
                verb was named; 130 for Ctrl-C.
        """
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = BAD_INPUT
        except click.UsageError as error:
            place = error.ctx.command_path if error.ctx else "metaprior"
            code = _fail(f"{_sentence(error.format_message())} See {place} --help.")
        except click.ClickException as error:
            code = _fail(error.format_message())
        except (InputError, ServingError) as error:
            code = _fail(str(error))
        except click.Abort:
            click.echo("metaprior: stopped.", err=True)
            code = INTERRUPTED
        sys.exit(code)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _fail(message: str) -> int:
    for line in message.splitlines():
        click.echo(f"metaprior: {line}", err=True)
    return BAD_INPUT


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="metaprior", message="%(prog)s %(version)s")
def main() -> None:
    """Turns raw, mostly unlabelled data into an encoder that is measured, blessed and served.

    The main job is `metaprior run --data PATH`; what it finishes with tells the rest.
    """
