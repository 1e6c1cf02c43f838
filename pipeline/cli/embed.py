"""`metaprior embed`: any supported input through a blessed encoder, into one Parquet file."""

from pathlib import Path

import click

from pipeline.cli import options


@click.command("embed")
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUTPUT.parquet", type=click.Path(path_type=Path))
@click.option("--serving", type=click.Path(path_type=Path), help="The folder of versions; its newest is used.")
@click.option("--run", help="The run whose encoder is used; the latest that pushed one by default.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="For inputs that draw.")
@options.output
def command(source: str, target: Path, serving: Path | None, run: str | None, seed: int, output: Path) -> None:
    """Embed every example of INPUT and write the embeddings to OUTPUT.parquet.

    INPUT is what the encoder was trained on in kind: a file, a folder of images or a built-in name. The
    columns are id, embedding, stddev and rate (nats), with labels and factors where INPUT has them.
    """
    from models.errors import InputError
    from pipeline import history, quiet

    if target.suffix != ".parquet":
        raise InputError(f"{target}: must end in .parquet.")
    folder = serving or history.serving(output, run)
    with quiet.native_noise():
        from pipeline.config import Config
        from pipeline.embed import embed_file

        beam = Config.model_fields["beam"].default
        rows = embed_file(source, target, serving=folder, beam_args=beam, seed=seed)
    click.echo(f"{rows:,} embedding{'' if rows == 1 else 's'} written to {target}")
