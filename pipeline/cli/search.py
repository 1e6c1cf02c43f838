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
@click.option("--serving", type=click.Path(path_type=Path), help="The folder of versions; its newest is used.")
@click.option("--run", help="The run whose encoder is used; the latest that pushed one by default.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where a server is.")
@click.option("--rest-port", type=click.IntRange(1, 65535), help="Ask a server at this REST port instead.")
@click.option("--port", type=click.IntRange(1, 65535), help="Ask a server at this gRPC port instead.")
@click.option("--model", default="encoder", show_default=True, help="The model's name there.")
@click.option("--version", type=click.IntRange(1), help="A version of it; the newest by default.")
@options.output
@options.as_json
def command(index: Path, inputs: tuple[str, ...], k: int, as_json: bool, **encoder) -> None:
    """Find what lies nearest to each INPUT in INDEX, a folder made by `metaprior index`.

    INPUT is a Parquet file of embeddings, or what `metaprior query` takes: one or more pictures, a table, an array or
    JSON. The encoder must be the one that the index was made with.
    """
    from pipeline.neighbors.search import Index

    opened = Index(index)
    found = []
    with _queries(inputs, **encoder) as queries:
        queries.require(opened.record, index)
        for names, codes in queries.batches:
            for name, neighbors in zip(names, opened.search(codes, names, k), strict=True):
                if as_json:
                    found.append({"input": name, "neighbors": [dataclasses.asdict(one) for one in neighbors]})
                else:
                    _show(name, neighbors)
    if as_json:
        options.print_json(found)


@contextmanager
def _queries(inputs: tuple[str, ...], *, serving: Path | None, run: str | None, output: Path, **server) -> Iterator:
    import os

    from models.errors import InputError
    from pipeline import history, quiet
    from pipeline.neighbors import queries
    from serving.client import Client

    first, *others = inputs
    if first.endswith(".parquet"):
        if others:
            raise InputError(f"{others[0]}: one Parquet file at a time; only pictures can be several.")
        yield queries.of_file(Path(first))
        return
    if server["rest_port"] or server["port"]:
        folder = serving or (history.serving(output, run) if run else None)
        address = {"rest_port": server["rest_port"], "grpc_port": server["port"], "model": server["model"]}
        where = f"the server at {server['host']}:{server['port'] or server['rest_port']}"
        with Client(server["host"], **address) as client:
            yield queries.of_server(client, inputs, folder=folder, version=server["version"], where=where)
        return
    folder = serving or history.serving(output, run)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet.native_noise(), queries.local_client(folder) as client:
        yield queries.of_server(client, inputs, folder=folder, version=None, where=str(folder))


def _show(name: str, neighbors: list) -> None:
    click.echo(name)
    width = max(len(one.id) for one in neighbors)
    for place, one in enumerate(neighbors, start=1):
        label = "" if one.label is None else f"  {one.label}"
        click.echo(f"  {place:>2}  {one.id:<{width}}  {one.distance:.4f}{label}")
