"""`metaprior backfill`: what a file of an older space holds, embedded again."""

from pathlib import Path

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior backfill photos.parquet --data photos/ --out photos-2.parquet
  metaprior backfill old.parquet --config configs/digits.yaml --out new.parquet
"""


@click.command("backfill", epilog=EXAMPLES)
@click.argument("old", metavar="OLD.parquet", type=click.Path(path_type=Path))
@click.option(
    "--out", "target", metavar="NEW.parquet", required=True, type=click.Path(path_type=Path), help="The file."
)
@options.encoder
@click.option("--seed", type=click.IntRange(0), default=None, help="For data that draws.  [default: the file's, or 0]")
@options.data
@options.output
def command(old: Path, target: Path, serving: Path | None, run: str | None, seed: int | None, **reading) -> None:
    """Embed again what OLD.parquet holds, with the newest blessed encoder or another one.

    For whoever keeps vectors of a space that is no longer served: --data (or the data of --config) is what they were
    made of, and every id in OLD.parquet, a file or a folder, must be there. Of --set, keys of `data` that say what to
    read are taken, as of `metaprior embed`. The same command goes on where one before it was stopped or killed.
    """
    from models.errors import InputError
    from pipeline import loading, quiet

    if target.suffix != ".parquet":
        raise InputError(f"{target}: must end in .parquet.")
    if reading["path"] is None and reading["data"] is None:
        raise click.UsageError("give --data PATH or --config FILE.", click.get_current_context())
    config = loading.load(reading["path"], data=reading["data"])
    pushed = options.pushed(serving, run, reading["output"])
    with quiet.native_noise():
        from pipeline.backfill import backfill, said_of_data

        done = backfill(
            old,
            target,
            source=config.data.source,
            serving=pushed.folder,
            version=pushed.version,
            beam_args=config.beam,
            seed=config.seed if seed is None else seed,
            sets=[*said_of_data(config), *reading["sets"]],
            say=click.echo,
        )
    click.echo(f"{done.rows:,} embeddings of {done.before} embedded again in {target}: now of {done.after}")
    if done.aligned:
        click.echo("The encoder answers in the old space, too: signature embed_aligned.")
