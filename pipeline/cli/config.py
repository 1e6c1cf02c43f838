"""`metaprior config`: the whole configuration of a run, or the reference of all keys."""

import click

from pipeline.cli import options


@click.command("config")
@options.configuration
@click.option("--markdown", is_flag=True, help="Print the reference of all keys instead.")
@options.as_json
def command(path: str | None, markdown: bool, as_json: bool, **flags) -> None:
    """Show a run's whole configuration, defaults included, as `metaprior run` would take it."""
    if markdown:
        from pipeline import reference

        click.echo(reference.markdown(), nl=False)
        return
    from pipeline import loading

    whole = loading.load(path, **flags).model_dump(mode="json")
    if as_json:
        options.print_json(whole)
        return
    import yaml

    click.echo(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), nl=False)
