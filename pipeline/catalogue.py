"""The catalogue of models as tables: the survey's columns for all, everything about one."""

import itertools

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from models.recipes import Record

WIDTHS = (23, 16, 7, None, 11)  # model, meta-prior, mechanism, penalties, needs beside x
SHORT = {"regularization": "REG", "factorization": "FAC", "prior": "PRI"}
LEGEND = """\
REG regularized posterior, FAC factorized encoder or decoder, PRI structured prior; * planned.
Minimized is D + R + R1 + R2 in nats per example: distortion, rate, and a penalty on q(z|x) or q(z)."""


def show_all(records: list[Record], console: Console | None = None) -> None:
    """Prints a line for each model, family by family, in the survey's columns."""
    console = console or Console()
    for family, members in itertools.groupby(records, key=lambda record: record.family):
        console.print(f"{family}", style="bold", highlight=False)
        drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for width in WIDTHS:
            drawn.add_column(width=width)
        for record in members:
            mark, style = ("", "") if record.status == "works" else (" *", "dim")
            columns = (record.metaprior, record.mechanism, record.labels)
            metaprior, mechanism, needs = (_short(column) for column in columns)
            cells = (f"  {record.name}{mark}", metaprior, mechanism, _penalties(record), needs)
            drawn.add_row(*(Text(cell, style=style) for cell in cells))
        console.print(drawn)
    console.print(LEGEND, highlight=False, markup=False)


def _short(text: str) -> str:
    for long, short in SHORT.items():
        text = text.replace(long, short)
    return "" if text == "none" else text.replace(" + ", "+")


def _penalties(record: Record) -> str:
    named = (("R1", record.r1), ("R2", record.r2))
    return "\n".join(f"{name} = {penalty}" for name, penalty in named if penalty)


def show_one(record: Record, console: Console | None = None) -> None:
    """Prints everything about one model."""
    console = console or Console()
    aliases = f" (also {', '.join(record.aliases)})" if record.aliases else ""
    console.print(f"{record.name}: {record.title}{aliases}, {record.status}", markup=False, highlight=False)
    for heading, text in _sections(record):
        console.print(f"\n{heading}", style="bold", markup=False)
        console.print(Padding(Text(" ".join(text.split())), (0, 0, 0, 2), expand=False))
    if record.status == "works":
        console.print("\nparameters", style="bold")
        console.print(Padding(_parameters(record) if record.parameters else Text("none"), (0, 0, 0, 2), expand=False))


def _sections(record: Record) -> list[tuple[str, str]]:
    sections = [
        ("what it is", record.summary),
        ("family", record.family),
        ("meta-prior", record.metaprior),
        ("mechanism", record.mechanism),
        ("minimizes", record.objective),
        ("R1 on q(z|x)", record.r1),
        ("R2 on q(z)", record.r2),
        ("needs beside x", record.labels),
        ("use", record.use),
        ("limits", record.limits),
        ("note", record.note),
        ("reference", record.reference),
    ]
    return [(heading, text) for heading, text in sections if text and text != "none"]


def _parameters(record: Record) -> Table:
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("model.parameters.", "type", "default", "meaning"):
        drawn.add_column(heading)
    for parameter in record.parameters:
        cells = (parameter.name, parameter.type, str(parameter.default), parameter.meaning)
        drawn.add_row(*(Text(cell) for cell in cells))
    return drawn
