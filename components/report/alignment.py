"""Whether vectors of the last blessed space survive this model: a line for the console, a table for the report."""

import dataclasses
import shlex

from components.evaluator.names import Name
from components.evaluator.schema import Evaluation, Metric, find
from components.evaluator.wording import OTHER_INPUTS, number
from components.report.summary import interval_in_words
from components.report.tables import Cell, Score

FAMILY = "alignment"
ROWS = {
    "alignment/neighbors": "Neighbors kept",
    "alignment/retrieval": "What an index of old vectors finds",
    "alignment/recall": "The example itself among them",
    "alignment/probe": "Linear probe of old vectors",
    "alignment/residual": "Squared error",
}
LOWER = ("alignment/residual",)
COLUMNS = {"": "aligned", "/unaligned": "as they are", "/before": "old vectors"}


def compatibility(evaluation: Evaluation, *, version: int | None, data: str) -> list[str]:
    """Returns what a run's end says to whoever keeps vectors of the last blessed space; nothing without one.

    Args:
        evaluation: the numbers and the verdict.
        version: the served version of that space, if one is served.
        data: the data's name or path, for the command that embeds it again.
    """
    to = evaluation.aligned_to
    if to is None:
        reasons = [each.reason for each in evaluation.omitted if each.metric == FAMILY]
        return [f"Not aligned: {OTHER_INPUTS}. {_again(data)}"] if OTHER_INPUTS in reasons else []
    where = f"space {to.space}" + (f" (version {version})" if version else "")
    kept = find(evaluation.metrics, "alignment/neighbors")
    if kept is None:
        return [f"Aligned to {where}, and not measured: the report says why."]
    said = [f"{kept.value:.0%} of neighbors kept".replace("%", " %"), *_probe(evaluation)]
    missed = sum(not bound.ok for bound in evaluation.bounds if bound.metric.startswith(f"{FAMILY}/"))
    lines = [f"Aligned to {where}: {'; '.join(said)}."]
    if missed:
        count = f"{missed} {'bound' if missed == 1 else 'bounds'} not met"
        return [*lines, f"Not compatible enough with it ({count}). {_again(data)}"]
    return lines


def rows(evaluation: Evaluation) -> tuple[Score, ...]:
    """Returns the table: how aligned vectors fare beside vectors as they are and beside the old ones themselves."""
    found = {(base, place): find(evaluation.metrics, f"{base}{place}") for base in ROWS for place in COLUMNS}
    return tuple(
        Score(
            name=name,
            lower=base in LOWER,
            note=metric.note,
            cells=tuple(_cell(of, found[base, place]) for place, of in COLUMNS.items()),
        )
        for base, name in ROWS.items()
        if (metric := found[base, ""]) is not None
    )


def _again(data: str) -> str:
    command = shlex.join(["metaprior", "backfill", "OLD.parquet", "--data", data, "--out", "NEW.parquet"])
    return f"Whoever keeps vectors must embed again once it is served: {command}"


def _probe(evaluation: Evaluation) -> list[str]:
    """Returns what becomes of a linear probe of the label, or of the first task that has one."""
    names = [m.name for m in evaluation.metrics if Name.parse(m.name).base == "alignment/probe"]
    if not names:
        return []
    name = Name.parse(names[0])
    before, after = (
        find(evaluation.metrics, str(dataclasses.replace(name, base=f"alignment/probe{place}")))
        for place in ("/before", "")
    )
    if before is None or after is None:
        return []
    of = f" of {name.column}" if name.column else ""
    return [f"linear probe{of} {number(before.value, before.unit)} -> {number(after.value, after.unit)}"]


def _cell(of: str, metric: Metric | None) -> Cell:
    return Cell(of) if metric is None else Cell(of, number(metric.value, metric.unit), interval_in_words(metric))
