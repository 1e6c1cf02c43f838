"""The catalogue of models for a terminal: the survey's columns for all, everything about one."""

import itertools
import re
from collections.abc import Iterable, Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from models.recipes import Parameter, Record
from models.recipes.needs import ROLES
from models.recipes.types import SCHEDULES

WIDE = 140  # characters from which the penalties have a column of their own
ROOMY = 100  # characters from which meta-prior and reference fit on one line
HEADINGS = ("model", "meta-prior", "how", "needs", "reference")
SHORT = {
    "regularization": "REG",
    "factorization": "FAC",
    "prior": "PRI",
    "corrupted input": "noise",
    "joint matching": "joint",
}
LEGEND = (
    "how: REG regularized posterior, FAC factorized encoder or decoder, PRI prior",
    "needs: beside x; in parentheses, what is optional. *: planned, without a recipe.",
    "Minimized is D + R + R1 + R2, nats per example: distortion, rate, penalties.",
    "`metaprior models NAME` tells all about one, `metaprior suggest` what to try.",
)
SYMBOLS = "D is the distortion -log p(x|z), R the rate KL(q(z|x) || p(z)), nats per example."
SCHEDULE = (
    "A schedule is a mapping, such as {schedule: linear, start: 0, end: 4, steps: 1000}. Its kinds: "
    f"{', '.join(SCHEDULES)}."
)
ROLE_FLAGS = {
    "label": "--set data.label=COLUMN",
    "sensitive": "--set data.sensitive=COLUMN",
    "factors": "--set 'data.factors=[COLUMN_1, COLUMN_2]'",
}


def show_all(records: list[Record], console: Console | None = None) -> None:
    """Prints the survey's table, family by family, in the columns that the terminal has room for."""
    console = console or Console()
    width = console.width
    console.print(_row(HEADINGS, ("penalties",), width=width, style="dim"))
    for family, members in itertools.groupby(records, key=lambda record: record.family):
        console.print(f"\n{family}", style="bold", highlight=False)
        for record in members:
            for line in _lines(record, width=width):
                console.print(line)
    console.print()
    for line in LEGEND:
        console.print(line, highlight=False, markup=False)


def show_one(record: Record, console: Console | None = None) -> None:
    """Prints everything about one model."""
    console = console or Console()
    console.print(Text.assemble((record.name, "bold"), f": {record.title}, {record.status}\n"))
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(width=11, style="dim")
    drawn.add_column()
    for heading, text in _sections(record):
        drawn.add_row(Text(heading), Text(" ".join(text.split())))
    console.print(drawn)
    if record.status == "works":
        _show_parameters(record, console)
        console.print(f"\n{command(record)}", highlight=False, markup=False, soft_wrap=True)


def short(text: str) -> str:
    """Returns one of the survey's columns in a few characters: what is optional stands in parentheses."""
    text = re.sub(r" \((?!few|optional)[^)]*\)", "", text)
    text = re.sub(r"(\w+) \(optional\)", r"(\1)", text)
    for long, abbreviation in SHORT.items():
        text = text.replace(long, abbreviation)
    return "" if text == "none" else text.replace(" + ", "+")


def penalties(record: Record) -> list[str]:
    """Returns R1 and R2 as equations; nothing for a penalty that the model does not have."""
    named = (("R1", record.r1), ("R2", record.r2))
    return [f"{name} = {penalty}" for name, penalty in named if penalty]


def paper(record: Record) -> str:
    """Returns authors and year of a record's reference."""
    found = re.match(r".*?\b\d{4}\b", record.reference)
    return found.group() if found else record.reference


def needs(record: Record) -> str:
    """Returns what a model needs beside x, and what it can use, in words."""
    optional = [ROLES[role] for role in re.findall(r"(\w+) \(optional\)", record.labels)]
    required = re.sub(r"(, )?\w+ \(optional\)", "", record.labels).replace("none", "") or "nothing beside x"
    named = re.sub(r"\b(label|sensitive|factors)\b", lambda found: ROLES[found.group()], required)
    return f"{named}; can use {' and '.join(optional)}" if optional else named


def symbols(record: Record) -> str:
    """Returns what D and R mean, if the objective speaks of them."""
    return SYMBOLS if re.search(r"\b[DR]\b", record.objective) else ""


def value(default: object) -> str:
    """Returns a parameter's default as a configuration writes it."""
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:.10g}" if isinstance(default, float) else str(default)


def command(record: Record) -> str:
    """Returns the command that trains a model on data that a person has yet to name."""
    return " ".join(
        ["metaprior run --data PATH", *(ROLE_FLAGS[role] for role in record.needs), f"--model {record.name}"]
    )


def has_schedules(record: Record) -> bool:
    """Returns whether one of a model's parameters may be a schedule."""
    return any("schedule" in parameter.type for parameter in record.parameters)


def _lines(record: Record, *, width: int) -> Iterator[RenderableType]:
    works = record.status == "works"
    style = "" if works else "dim"
    reference = paper(record)
    if width < ROOMY:
        reference = re.sub(r" (et al\.|and .*?) (?=\d)", " ", reference)
    name = f"  {record.name}" if works else f"  {record.name} *"
    cells = (name, *(short(cell) for cell in (record.metaprior, record.mechanism, record.labels)), reference)
    found = penalties(record)
    yield _row(cells, found, width=width, style=style)
    if found and width < WIDE:
        yield Padding(Text("\n".join(found), style=style), (0, 0, 0, 6))


def _row(cells: tuple[str, ...], penalties: Iterable[str], *, width: int, style: str) -> Table:
    """A line of the table; the penalties are part of it only where there is room."""
    widths = (21, 27, 7, 13, 24) if width >= ROOMY else (21, 16, 7, 11, 17)
    if width >= WIDE:
        cells, widths = (*cells, "\n".join(penalties)), (*widths, None)
    drawn = Table.grid(padding=(0, 2, 0, 0))
    for column in widths:
        drawn.add_column(width=column)
    drawn.add_row(*(Text(cell, style=style) for cell in cells))
    return drawn


def _sections(record: Record) -> list[tuple[str, str]]:
    """What there is to say about a model, as (heading, text)."""
    found = [
        ("what it is", record.summary),
        ("minimizes", record.objective),
        ("", symbols(record)),
        ("meta-prior", record.metaprior),
        ("mechanism", record.mechanism),
        ("R1, q(z|x)", record.r1 or "none"),
        ("R2, q(z)", record.r2 or "none"),
        ("needs", needs(record)),
        ("use", record.use),
        ("limits", record.limits),
        ("also called", ", ".join(record.aliases)),
        ("note", record.note),
        ("family", record.family),
        ("reference", record.reference),
    ]
    return [(heading, text) for heading, text in found if text]


def _show_parameters(record: Record, console: Console) -> None:
    if not record.parameters:
        console.print("\nIt has no parameters of its own.")
        return
    console.print("\nIts parameters (--set model.parameters.NAME=VALUE):", highlight=False)
    for parameter in record.parameters:
        console.print(_parameter(parameter))
    if has_schedules(record):
        console.print(Text(SCHEDULE, style="dim"))


def _parameter(parameter: Parameter) -> RenderableType:
    head = Text.assemble((parameter.name, "bold"), f" = {value(parameter.default)}  ", (parameter.type, "dim"))
    return Padding(Group(head, Padding(Text(parameter.meaning), (0, 0, 0, 4))), (0, 0, 0, 2))
