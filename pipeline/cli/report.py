"""`metaprior report`: where a run's report is."""

from pathlib import Path

import click

from pipeline.cli import options


@click.command("report")
@click.argument("run", required=False)
@click.option("--open", "in_browser", is_flag=True, help="Open it in the browser.")
@options.output
def command(run: str | None, in_browser: bool, output: Path) -> None:
    """Print the path of a run's report.

    RUN is a run's id, its beginning, or a pipeline's name; the latest run that was evaluated by default.
    """
    from pipeline import history

    path = history.report(output, run)
    click.echo(str(path))
    if in_browser:
        click.launch(path.as_uri())
