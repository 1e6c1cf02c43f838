"""The few numbers that say what was learned: the same rows in the console and at the top of the report."""

from dataclasses import dataclass

from components.evaluator.schema import REPRESENTATIONS, BoundRecord, Evaluation, Metric, find, largest_probe
from components.evaluator.wording import PROBES, WORDS, heading, number

HEADLINE = ("rate", "distortion", "elbo", "active_units")


@dataclass(frozen=True)
class Rival:
    """A baseline's value beside the encoder's."""

    name: str
    value: str
    best: bool


@dataclass(frozen=True)
class Row:
    """One of the few numbers.

    Args:
        name: the metric in words.
        value: its value.
        unit: what follows the value, as "nats" or "of 10"; "" for accuracies.
        interval: its 95 % interval, "" without one.
        best: whether the encoder is at least as good as every baseline; False without baselines.
        rivals: the baselines' values, empty where the metric has none.
    """

    name: str
    value: str
    unit: str
    interval: str
    best: bool
    rivals: tuple[Rival, ...]


def summary_rows(evaluation: Evaluation) -> list[Row]:
    """Returns rate, distortion, ELBO, active units and each probe at its largest label budget."""
    chosen = [find(evaluation.metrics, name) for name in HEADLINE]
    chosen += [largest_probe(evaluation.metrics, kind) for kind in PROBES]
    return [_row(evaluation, metric) for metric in chosen if metric]


def interval_in_words(metric: Metric) -> str:
    """Returns "13.90 to 14.50", or "" where there is no interval."""
    if metric.interval is None:
        return ""
    low, high = (number(end, metric.unit) for end in metric.interval)
    return f"{low} to {high}"


def verdict(evaluation: Evaluation) -> str:
    """Returns the verdict in one sentence."""
    total, failed = len(evaluation.bounds), sum(not bound.ok for bound in evaluation.bounds)
    if not total:
        return "Blessed: no bounds configured."
    if evaluation.blessed:
        return f"Blessed: {'the bound is' if total == 1 else f'all {total} bounds are'} met."
    return f"Refused: {failed} of {total} {'bound' if total == 1 else 'bounds'} not met."


def bounds_by_weight(evaluation: Evaluation) -> list[BoundRecord]:
    """Returns the bounds, those that are not met first."""
    return sorted(evaluation.bounds, key=lambda bound: bound.ok)


def console_summary(evaluation: Evaluation) -> list[str]:
    """Returns the end-of-run text: the few numbers in columns, the verdict, and a line per bound."""
    rows = summary_rows(evaluation)
    cells = [(row.name, row.value, row.unit, row.interval, _beside(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        f"{name:<{widths[0]}}  {value:>{widths[1]}} {unit:<{widths[2]}}  {interval:<{widths[3]}}  {beside}".rstrip()
        for name, value, unit, interval, beside in cells
    ]
    bounds = [f"  {'met' if bound.ok else 'not met'}: {bound.reason}" for bound in bounds_by_weight(evaluation)]
    return [*lines, verdict(evaluation), *bounds]


def _row(evaluation: Evaluation, metric: Metric) -> Row:
    baselines = [find(evaluation.metrics, metric.name, name) for name in REPRESENTATIONS if name != "encoder"]
    others = [other for other in baselines if other]
    top = max([metric.value, *(other.value for other in others)])
    units = {"nats": "nats", "count": f"of {evaluation.latent}", "accuracy": ""}
    return Row(
        name=heading(metric.name),
        value=number(metric.value, metric.unit),
        unit=units[metric.unit],
        interval=interval_in_words(metric),
        best=bool(others) and metric.value == top,
        rivals=tuple(Rival(WORDS[o.representation], number(o.value, o.unit), o.value == top) for o in others),
    )


def _beside(row: Row) -> str:
    """Returns the baselines' values in a line, the best one marked."""
    if not row.rivals:
        return ""
    rivals = ", ".join(f"{rival.name} {rival.value}{' (best)' if rival.best else ''}" for rival in row.rivals)
    return f"{'best, ' if row.best else ''}beside {rivals}"
