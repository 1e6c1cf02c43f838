"""`metaprior embed`: any supported input through a blessed encoder, into one Parquet file."""

import json
from pathlib import Path

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior embed photos/ photos.parquet
  metaprior embed arrays.npz codes.parquet --array x_new
  metaprior embed sprites sprites.parquet --set data.sprites.count=1000
"""


@click.command("embed", epilog=EXAMPLES)
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUTPUT.parquet", type=click.Path(path_type=Path))
@options.encoder
@click.option("--array", metavar="NAME", help="The array of an npz file to embed: data.array of the configuration.")
@click.option(
    "--set",
    "sets",
    type=options.Pair(),
    multiple=True,
    help="Another key of the configuration that says what to read: data.kind, data.id, data.label, data.sensitive, "
    "data.factors or data.sprites.count. May be repeated.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="For inputs that draw.")
@options.output
def command(source: str, target: Path, serving: Path | None, run: str | None, **reading) -> None:
    """Embed every example of INPUT and write the embeddings to OUTPUT.parquet.

    INPUT is what the encoder was trained on in kind: a file, a folder of images or a built-in name. The
    columns are id, embedding, stddev and rate (nats), with labels and factors where INPUT has them. The same
    command goes on where one before it was stopped or killed.
    """
    from models.errors import InputError
    from pipeline import quiet

    if target.suffix != ".parquet":
        raise InputError(f"{target}: must end in .parquet.")
    pushed = options.pushed(serving, run, reading["output"])
    sets = [*_array(reading["array"]), *reading["sets"]]
    with quiet.native_noise():
        from pipeline.config import Config
        from pipeline.embed import embed_file

        beam = Config.model_fields["beam"].default
        rows = embed_file(
            source,
            target,
            serving=pushed.folder,
            version=pushed.version,
            beam_args=beam,
            seed=reading["seed"],
            sets=sets,
            say=click.echo,
        )
    click.echo(f"{rows:,} embedding{'' if rows == 1 else 's'} written to {target}")


def _array(name: str | None) -> list[tuple[str, str]]:
    """Returns the option as the key it stands for; a value of `--set` is YAML, and so is JSON."""
    return [] if name is None else [("data.array", json.dumps(name))]
