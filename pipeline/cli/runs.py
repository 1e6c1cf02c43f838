"""`metaprior runs`: past runs, and where a served version comes from."""

from pathlib import Path

import click

from pipeline.cli import options


@click.command("runs")
@click.argument("run", required=False)
@options.output
@options.as_json
def command(run: str | None, output: Path, as_json: bool) -> None:
    """List past runs; with RUN, show one and the lineage of its version back to the data.

    RUN is a run's id, its beginning, or a pipeline's name.
    """
    from pipeline import history, listing

    if run is None:
        found = history.runs(output)
        if as_json:
            options.print_json([listing.facts(past) for past in found])
        else:
            listing.show_all(found, output)
        return
    one = history.find(output, run)
    if as_json:
        options.print_json(listing.facts(one) | {"lineage": listing.steps(one)})
    else:
        listing.show_one(one)
