"""`metaprior models`: the catalogue."""

from pathlib import Path

import click

from pipeline.cli import options


@click.command("models")
@click.argument("name", required=False)
@click.option(
    "--markdown",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the catalogue as pages into FOLDER instead.",
)
@options.as_json
def command(name: str | None, folder: Path | None, as_json: bool) -> None:
    """List the models of the survey; with NAME, show one: objective, parameters, use, limits, reference."""
    import dataclasses

    from models import recipes

    if folder is not None:
        from pipeline import pages

        click.echo(f"{len(pages.write(folder))} pages written to {folder}")
        return
    chosen = recipes.catalogue() if name is None else [recipes.find(name)]
    if as_json:
        plain = [dataclasses.asdict(record) for record in chosen]
        options.print_json(plain if name is None else plain[0])
        return
    from pipeline import catalogue

    if name is None:
        catalogue.show_all(chosen)
    else:
        catalogue.show_one(chosen[0])
