"""`metaprior query`: asks a server, ours or any TensorFlow Serving."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from pipeline.cli import options

EXAMPLES = """\b
Examples:
  metaprior query                                  what is being served
  metaprior query one.png two.jpg                  embed pictures
  metaprior query photos/ --out photos.parquet     embed a folder of them into a file
  metaprior query rows.csv                         embed the rows of a table (with a header line)
  metaprior query vectors.npy --out codes.parquet  embed the rows of an array
  metaprior query '[[0.1, 0.2, 0.3]]'              embed vectors
"""


@click.command("query", epilog=EXAMPLES)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option("--rest-port", type=click.IntRange(1, 65535), help="Its REST port.  [default: 8501]")
@click.option("--port", type=click.IntRange(1, 65535), help="Its gRPC port, to ask over gRPC instead.")
@options.server
@click.option("--label", help="A version of it by its label, such as stable.")
@click.option(
    "--signature",
    help="A signature of it, `embed` by default; pictures are sent to the one of that name and _bytes, such as "
    "`embed_bytes`.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.parquet",
    help="Write the answer there instead of printing it.",
)
@options.as_json
def command(inputs: tuple[str, ...], out: Path | None, as_json: bool, signature: str | None, **asking) -> None:
    """Ask a server for embeddings; without INPUT, what it serves.

    INPUT is one or more pictures or folders of them, a CSV or Parquet table, an NPY array, a JSON file, or JSON
    text. What is large is read, sent and written piece by piece.
    """
    from models.errors import InputError
    from pipeline import query

    if out and out.suffix != ".parquet":
        raise InputError(f"--out {out}: must end in .parquet.")
    if out and not inputs:
        raise InputError("--out: there is nothing to embed. Name an INPUT.")
    version: dict[str, Any] = {"version": asking.pop("version"), "label": asking.pop("label")}
    model = asking["model"]
    with options.client(**asking) as client, query.hint_where_no_server_is():
        if not inputs:
            found = query.facts(client, **version)
            options.print_json(found) if as_json else _show_facts(model, found)
            return
        # A bar and rows on one terminal would overwrite each other.
        bar = out is not None or not sys.stdout.isatty()
        parts = query.ask(client, inputs, signature=signature, bar=bar, **version)
        if out:
            rows = query.write(parts, out)
            click.echo(f"{rows:,} embedding{'' if rows == 1 else 's'} written to {out}")
        else:
            (_print_json if as_json else _show_rows)(query.records(parts))


def _show_facts(model: str, found: dict[str, Any]) -> None:
    for version in found["versions"]:
        trouble = f": {version['message']}" if version["message"] else ""
        click.echo(f"{model} version {version['version']} {version['state']}{trouble}")
    if found["space"]:
        click.echo(f"  space {found['space']}")
    for name, sides in sorted(found["signatures"].items()):
        takes, gives = (", ".join(_tensor(key, sides[side][key]) for key in sides[side]) for side in sides)
        click.echo(f"  {name}: {takes} -> {gives}")


def _tensor(name: str, tensor: dict[str, Any]) -> str:
    shape = ", ".join("?" if size == -1 else str(size) for size in tensor["shape"] or [])
    return f"{name} {tensor['type']}[{shape}]"


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    """Prints a list without ever holding it."""
    before = "["
    for row in rows:
        click.echo(f"{before}\n  {json.dumps(row, ensure_ascii=False)}", nl=False)
        before = ","
    click.echo("[]" if before == "[" else "\n]")


def _show_rows(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        if "embedding" not in row or "rate" not in row:
            click.echo(str(row))
            continue
        vector = " ".join(f"{value:.3f}" for value in row["embedding"])
        click.echo(f"{row['input']}  {row['rate']:.2f} nats  {vector}")
