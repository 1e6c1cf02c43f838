"""`metaprior compare`: past runs side by side."""

from pathlib import Path

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior compare digits mnist
  metaprior compare 20260701-100000 20260702-100000 --output comparison.html
"""


@click.command("compare", epilog=EXAMPLES)
@click.argument("names", nargs=-1, required=True, metavar="RUN RUN [RUN]...")
@click.option(
    "--output",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page.  [default: comparison.html in the folder that holds the runs]",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder that holds the runs.",
)
@options.as_json
def command(names: tuple[str, ...], page: Path | None, runs: Path, as_json: bool) -> None:
    """Compare runs with the first one, on one HTML page.

    RUN is a run's id, its beginning, or a pipeline's name (its latest run that was evaluated). Runs on other data
    stand beside the others, without differences. With --json, the page is written only where --output says so.
    """
    from components.report.comparison_page import render
    from models.atomic import write_whole
    from pipeline import compare

    found = compare.comparison(runs, names)
    path = page or (None if as_json else runs / "comparison.html")
    if path is not None:
        write_whole(path, render(found).encode())
    if as_json:
        options.print_json(compare.facts(found) | {"page": str(path) if path else None})
        return
    click.echo("\n".join(compare.lines(found)))
    click.echo(f"Comparison: {path}")
