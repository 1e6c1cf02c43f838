"""`metaprior index`: makes embeddings searchable."""

from pathlib import Path

import click

EXAMPLES = """\b
Examples:
  metaprior embed photos/ photos.parquet
  metaprior index photos.parquet --out photos.index
  metaprior search photos.index one.png
"""


@click.command("index", epilog=EXAMPLES)
@click.argument("source", metavar="EMBEDDINGS", type=click.Path(path_type=Path))
@click.option("--out", "target", metavar="INDEX", required=True, type=click.Path(path_type=Path), help="Its folder.")
@click.option(
    "--metric", type=click.Choice(["euclidean", "cosine"]), default="euclidean", show_default=True, help="Of distances."
)
@click.option("--kind", type=click.Choice(["flat", "hnsw", "ivf"]), help="Of index; by default chosen by the size.")
def command(source: Path, target: Path, metric, kind) -> None:
    """Index EMBEDDINGS, a Parquet file or folder as `metaprior embed` and the pipeline write them.

    Up to 200,000 the search is exact (flat), up to 1,000,000 a graph (hnsw), beyond cells (ivf): both find most of the
    true neighbors.
    """
    from pipeline.neighbors.build import build

    record = build(source, target, metric=metric, kind=kind)
    how = "exact" if record.kind == "flat" else "approximate"
    click.echo(
        f"{record.count:,} embeddings of {record.space} indexed in {target}: {record.kind} ({how}), {record.metric}, "
        f"width {record.dimension}"
    )
