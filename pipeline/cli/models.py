"""`metaprior models`: the catalogue."""

import click

from pipeline.cli import options


@click.command("models")
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, as_json: bool) -> None:
    """List the models of the survey; with NAME, show one: objective, parameters, use, limits, reference."""
    import dataclasses

    from models import recipes

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
