"""`metaprior search`: the nearest neighbors of inputs in an index."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior search photos.index one.png two.jpg            by the encoder of the latest run
  metaprior search photos.index one.png --rest-port 8501   by a server
  metaprior search photos.index new.parquet --k 3          by what `metaprior embed` wrote
"""


@click.command("search", epilog=EXAMPLES)
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--k", type=click.IntRange(1), default=10, show_default=True, help="How many neighbors.")
@options.encoder
@click.option("--rest-port", type=click.IntRange(1, 65535), help="Ask a server at this REST port instead.")
@click.option("--port", type=click.IntRange(1, 65535), help="Ask a server at this gRPC port instead.")
@options.server
@click.option(
    "--signature",
    help="A signature that embeds.  [default: embed, or embed_aligned where only that one is of the index's space]",
)
@options.output
@options.as_json
def command(index: Path, inputs: tuple[str, ...], k: int, as_json: bool, **encoder) -> None:
    """Find what lies nearest to each INPUT in INDEX, a folder made by `metaprior index`.

    INPUT is a Parquet file of embeddings, or what `metaprior query` takes: one or more pictures, a table, an array or
    JSON. The encoder must be the one that the index was made with, or the next one, which answers in the space of
    the one before by embed_aligned. --host, --model and what secures a connection are for a server.
    """
    from pipeline.neighbors.search import Index

    opened = Index(index)
    found = []
    with _queries(inputs, opened.record.space, **encoder) as queries:
        queries.require(opened.record, index)
        for names, codes in queries.batches:
            for name, neighbors in zip(names, opened.search(codes, names, k), strict=True):
                if as_json:
                    found.append({"input": name, "neighbors": [dataclasses.asdict(one) for one in neighbors]})
                else:
                    _show(name, neighbors)
    if as_json:
        options.print_json(found)
    if queries.signature:  # here, because inside the block nothing reaches a terminal but the answer
        click.echo(f"{queries.origin} answers in the space of {index} by {queries.signature}", err=True)


@contextmanager
def _queries(
    inputs: tuple[str, ...],
    wanted: str,
    *,
    serving: Path | None,
    run: str | None,
    output: Path,
    version: int | None,
    signature: str | None,
    **server,
) -> Iterator:
    import os

    from models.errors import InputError
    from pipeline import quiet
    from pipeline.neighbors import queries

    first, *others = inputs
    if first.endswith(".parquet"):
        if others:
            raise InputError(f"{others[0]}: one Parquet file at a time; only pictures can be several.")
        yield queries.of_file(Path(first))
        return
    remote = bool(server["rest_port"] or server["port"])
    pushed = None if remote and not (serving or run) else options.pushed(serving, run, output)
    folder, own = (pushed.folder, pushed.version) if pushed else (None, None)
    if own and version:
        raise click.UsageError(f"--version: the run {run} is version {own}. Leave one of them out.")
    of = {"wanted": wanted, "folder": folder, "version": version or own, "signature": signature}
    if remote or pushed is None:
        where = f"the server at {server['host']}:{server['port'] or server['rest_port']}"
        with options.client(**server) as client:
            yield queries.of_server(client, inputs, **of, where=where)
        return
    for option in ("ca", "certificate", "key", "token_file"):
        if server[option]:
            flag = f"--{option.replace('_', '-')}"
            raise click.UsageError(f"{flag}: is for a server. Name its port with --rest-port or --port.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet.native_noise(), queries.local_client(pushed.folder, version or own) as client:
        yield queries.of_server(client, inputs, **of, where=str(pushed.folder))


def _show(name: str, neighbors: list) -> None:
    click.echo(name)
    width = max(len(one.id) for one in neighbors)
    for place, one in enumerate(neighbors, start=1):
        label = "" if one.label is None else f"  {one.label}"
        click.echo(f"  {place:>2}  {one.id:<{width}}  {one.distance:.4f}{label}")
