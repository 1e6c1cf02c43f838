"""`metaprior query`: asks a server, ours or any TensorFlow Serving."""

from typing import Any

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior query                       what is being served
  metaprior query one.png two.jpg       embed pictures
  metaprior query rows.csv              embed the rows of a table (with a header line)
  metaprior query '[[0.1, 0.2, 0.3]]'   embed vectors
"""


@click.command("query", epilog=EXAMPLES)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the server is.")
@click.option("--rest-port", type=click.IntRange(1, 65535), help="Its REST port.  [default: 8501]")
@click.option("--port", type=click.IntRange(1, 65535), help="Its gRPC port, to ask over gRPC instead.")
@click.option("--model", default="encoder", show_default=True, help="The model's name.")
@click.option("--version", type=click.IntRange(1), help="A version of it; the newest by default.")
@click.option("--signature", help="A signature of it; `embed_bytes` for pictures, else `embed`, by default.")
@options.as_json
def command(inputs: tuple[str, ...], signature: str | None, version: int | None, as_json: bool, **server) -> None:
    """Ask a server for embeddings; without INPUT, what it serves.

    INPUT is one or more pictures, a CSV file, a JSON file, or JSON text.
    """
    from pipeline import query
    from serving.client import Client

    address = {"rest_port": server["rest_port"], "grpc_port": server["port"], "model": server["model"]}
    with Client(server["host"], **address) as client, query.hint_where_no_server_is():
        if inputs:
            found: Any = query.ask(client, inputs, signature=signature, version=version)
        else:
            found = query.facts(client, version=version)
    if as_json:
        options.print_json(found)
    elif isinstance(found, dict):
        _show_facts(server["model"], found)
    else:
        _show_rows(found)


def _show_facts(model: str, found: dict[str, Any]) -> None:
    for version in found["versions"]:
        trouble = f": {version['message']}" if version["message"] else ""
        click.echo(f"{model} version {version['version']} {version['state']}{trouble}")
    for name, sides in sorted(found["signatures"].items()):
        takes, gives = (", ".join(_tensor(key, sides[side][key]) for key in sides[side]) for side in sides)
        click.echo(f"  {name}: {takes} -> {gives}")


def _tensor(name: str, tensor: dict[str, Any]) -> str:
    shape = ", ".join("?" if size == -1 else str(size) for size in tensor["shape"] or [])
    return f"{name} {tensor['type']}[{shape}]"


def _show_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if "embedding" not in row or "rate" not in row:
            click.echo(str(row))
            continue
        vector = " ".join(f"{value:.3f}" for value in row["embedding"])
        click.echo(f"{row['input']}  {row['rate']:.2f} nats  {vector}")
