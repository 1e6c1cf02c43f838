"""The few numbers that say what was learned: the same rows in the console and at the top of the report."""

from dataclasses import dataclass

from components.evaluator.schema import REPRESENTATIONS, BoundRecord, Evaluation, Metric, find, largest_probe
from components.evaluator.wording import PROBES, WORDS, heading, number

HEADLINE = ("rate", "distortion", "elbo", "active_units")
AFTER = ("disentanglement/factor_vae", "disentanglement/mig", "leakage/mlp", "fairness/worst_group")


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
        best: whether the encoder is at least as good as every baseline, the ceiling apart; False without baselines.
        rivals: the baselines' values, empty where the metric has none.
    """

    name: str
    value: str
    unit: str
    interval: str
    best: bool
    rivals: tuple[Rival, ...]


def summary_rows(evaluation: Evaluation) -> list[Row]:
    """Returns the few numbers.

    Rate, distortion, ELBO and active units; each probe of the label at its largest label budget, and of every
    other task the first probe; the scores of disentanglement and leakage that say most, where they were measured.
    """
    metrics = evaluation.metrics
    chosen = [find(metrics, name) for name in HEADLINE]
    chosen += [largest_probe(metrics, kind) for kind in PROBES]
    chosen += [find(metrics, f"probe/{evaluation.settings.probes[0]}/all of {t.column}") for t in evaluation.data.tasks]
    chosen += [find(metrics, name) for name in AFTER]
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
    baselines = [find(evaluation.metrics, metric.name, name) for name in (*REPRESENTATIONS, "ceiling")]
    others = [other for other in baselines if other and other.representation != "encoder"]
    rivals = [other.value for other in others if other.representation != "ceiling"]
    top = (min if metric.name.startswith("leakage") else max)([metric.value, *rivals])
    units = {"nats": "nats", "count": f"of {evaluation.latent}"}
    return Row(
        name=heading(metric.name, explains=evaluation.data.explains),
        value=number(metric.value, metric.unit),
        unit=units.get(metric.unit, ""),
        interval=interval_in_words(metric),
        best=bool(others) and metric.value == top,
        rivals=tuple(
            Rival(WORDS[o.representation], number(o.value, o.unit), o.representation != "ceiling" and o.value == top)
            for o in others
        ),
    )


def _beside(row: Row) -> str:
    """Returns the baselines' values in a line, the best one marked."""
    if not row.rivals:
        return ""
    rivals = ", ".join(f"{rival.name} {rival.value}{' (best)' if rival.best else ''}" for rival in row.rivals)
    return f"{'best, ' if row.best else ''}beside {rivals}"
