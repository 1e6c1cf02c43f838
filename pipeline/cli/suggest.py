"""`metaprior suggest`: which recipes to try on some data."""

import click

from pipeline.cli import options

METAPRIORS = (
    "general",
    "disentanglement",
    "invariance",
    "bottleneck",
    "hierarchy",
    "clustering",
    "semi-supervised",
    "sequences",
)
RECIPE = ("model.recipe", "model.parameters")
Pairs = tuple[tuple[str, str], ...]
EXAMPLES = """\b
Examples:
  metaprior suggest --data photos/
  metaprior suggest --data rows.csv --set data.sensitive=sex --metaprior invariance
"""


@click.command("suggest", epilog=EXAMPLES)
@options.data
@click.option(
    "--metaprior",
    type=click.Choice(METAPRIORS),
    metavar="NAME",
    help=f"What the code shall be like, told from the data by default: {', '.join(METAPRIORS)}.",
)
@options.as_json
def command(path: str | None, data: str | None, sets: Pairs, metaprior: str | None, as_json: bool) -> None:
    """Name recipes to try on some data, with starting values, and what the data lacks for others."""
    if path is None and data is None and not sets:
        raise click.UsageError("give --config FILE or --data PATH.", click.get_current_context())

    from pipeline import loading, preflight

    config = loading.load(path, data=data, sets=sets)
    source = preflight.look(config)

    import dataclasses

    from pipeline import suggest

    advice = suggest.advise(config, source, metaprior=metaprior, flags=_flags(path, data, sets))
    if as_json:
        options.print_json(dataclasses.asdict(advice))
    else:
        suggest.show(advice)


def _flags(path: str | None, data: str | None, sets: Pairs) -> list[str]:
    """The flags that say what the data is, for other commands to repeat: those about the recipe are left out."""
    named = [("--config", path), ("--data", data)]
    kept = [("--set", f"{key}={text}") for key, text in sets if not key.startswith(RECIPE)]
    return [part for flag, text in (*named, *kept) if text is not None for part in (flag, text)]
