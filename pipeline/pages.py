"""The catalogue of models as Markdown: a page for each working recipe, and an index in the survey's columns."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from models.errors import InputError
from models.recipes import Record, catalogue, wording
from models.recipes.types import SCHEDULES
from pipeline.catalogue import command, has_schedules, needs, paper, symbols, value

INDEX = "README.md"
HEAD = r"""# Models

The catalogue of the survey of [Tschannen, Bachem and Lucic (2018)](https://arxiv.org/abs/1812.05069), in its columns.
What a model minimizes, in nats per example, is the distortion D, the rate R and two penalties, one on the posterior,
one on the aggregate posterior:

```math
\mathbb{E}_{q(z|x)}[-\log p(x|z)] + \mathrm{KL}(q(z|x) \,\|\, p(z)) + R_1(q(z|x)) + R_2(q(z))
```

Beside penalties, a model builds its meta-prior in by how encoder and decoder are factorized, or by its prior. Models
with a page are recipes that work, the others are planned. `metaprior models` prints these tables, `metaprior suggest
--data PATH` says which model to try on your data, and `metaprior run --data PATH --model NAME` trains it.

These pages are written by `metaprior models --markdown docs/models`.
"""
COLUMNS = ("model", "meta-prior", "R1", "R2", "factorized", "prior", "needs beside x", "reference")
SCHEDULE_HEAD = """## Schedules

A weight is a number or a schedule, a mapping in YAML as in `--set`; the weight is at least 0 at every step:

    metaprior run --data PATH --model beta_vae --set 'model.parameters.beta={schedule: linear, end: 4, steps: 1000}'

| schedule | what the weight is | keys |
| --- | --- | --- |"""


def write(folder: Path) -> list[Path]:
    """Writes all pages into a folder, which is made, and returns their paths.

    Raises:
        InputError: if the folder cannot be written.
    """
    texts = {folder / name: text for name, text in pages().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}.") from error
    return list(texts)


def pages() -> dict[str, str]:
    """Returns the text of every page by the name of its file, the index first."""
    records = catalogue()
    working = [record for record in records if record.status == "works"]
    return {INDEX: _index(records)} | {f"{record.name}.md": page(record) for record in working}


def page(record: Record) -> str:
    """Returns the page of one working recipe."""
    return "\n".join(_page(record))


def _page(record: Record) -> Iterator[str]:
    yield f"# {record.title}\n"
    yield f"{_linked(record.summary)}\n"
    yield f"```math\n{record.formula}\n```\n"
    yield f"The same in plain text, with the names of the parameters:\n\n```text\n{record.objective}\n```\n"
    if symbols(record):
        yield f"{symbols(record)}\n"
    yield "| | |\n| --- | --- |"
    for heading, cell in _facts(record):
        yield f"| {_cell(heading)} | {_cell(cell)} |"
    for heading, text in (("Use", record.use), ("Limits", record.limits), ("Note", record.note)):
        if text:
            yield f"\n## {heading}\n\n{_linked(text)}"
    yield from _parameters(record)
    yield f"\n## Try it\n\n    {command(record)}"
    yield f"\n## Reference\n\n{_linked(record.reference)}\n\n[All models]({INDEX})\n"


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "recipe", f"`{record.name}`"
    if record.aliases:
        yield "also called", ", ".join(f"`{alias}`" for alias in record.aliases)
    yield "family", record.family
    yield "meta-prior", record.metaprior
    yield "mechanism", record.mechanism
    yield "R1, on q(z|x)", _code(record.r1) or "none"
    yield "R2, on q(z)", _code(record.r2) or "none"
    yield "needs", needs(record)


def _parameters(record: Record) -> Iterator[str]:
    yield "\n## Parameters\n"
    if not record.parameters:
        yield "None of its own."
        return
    yield "Set them under `model.parameters`, or by `--set model.parameters.NAME=VALUE`.\n"
    yield "| name | type | default | meaning |\n| --- | --- | --- | --- |"
    for parameter in record.parameters:
        cells = (f"`{parameter.name}`", parameter.type, f"`{value(parameter.default)}`", _linked(parameter.meaning))
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    if has_schedules(record):
        yield f"\nHow a schedule is written: [schedules]({INDEX}#schedules)."


def _index(records: list[Record]) -> str:
    return "\n".join([HEAD, *_tables(records), *_schedules(), *_clashes(records), ""])


def _tables(records: list[Record]) -> Iterator[str]:
    for family, members in itertools.groupby(records, key=lambda record: record.family):
        yield f"## {family.capitalize()}\n"
        yield f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}"
        for record in members:
            yield f"| {' | '.join(_cell(cell) for cell in _row(record))} |"
        yield ""


def _row(record: Record) -> tuple[str, ...]:
    works = record.status == "works"
    return (
        f"[{record.title}]({record.name}.md)" if works else f"{record.title} (planned)",
        _blank(record.metaprior),
        _code(record.r1),
        _code(record.r2),
        "yes" if "factorization" in record.mechanism else "",
        "yes" if "prior" in record.mechanism else "",
        _blank(record.labels),
        _linked_paper(record),
    )


def _schedules() -> Iterator[str]:
    yield SCHEDULE_HEAD
    for name, schedule in SCHEDULES.items():
        keys = schedule.model_json_schema()["properties"].items()
        listed = (f"`{key}` ({_expected(field)})" for key, field in keys if key != "schedule")
        yield f"| `{name}` | {schedule.__doc__} | {', '.join(listed)} |"
    yield ""


def _expected(field: dict) -> str:
    default = f"; {value(field['default'])} if left out" if "default" in field else ""
    return wording.in_words(field) + default


def _clashes(records: list[Record]) -> Iterator[str]:
    yield "## Names that clash\n"
    for record in records:
        if record.note:
            yield f"- {record.title} (`{record.name}`): {_linked(record.note)}"


def _linked_paper(record: Record) -> str:
    number = re.search(r"arXiv:(\d{4}\.\d{4,5})", record.reference)
    return f"[{paper(record)}](https://arxiv.org/abs/{number[1]})" if number else paper(record)


def _linked(text: str) -> str:
    """Papers on arXiv and recipes with a page become links."""
    text = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    pages = {record.name for record in catalogue() if record.status == "works"}
    return re.sub(r"`(\w+)`", lambda found: f"[{found[0]}]({found[1]}.md)" if found[1] in pages else found[0], text)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _blank(text: str) -> str:
    return "" if text == "none" else text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
