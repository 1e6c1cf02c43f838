"""What a reader should not overlook, in plain language."""

from collections.abc import Iterator

from components.evaluator.names import Name, of
from components.evaluator.schema import Metric, Representation, find, largest_probe
from components.evaluator.wording import PROBES, in_words, number
from models.collapse import collapsed

RIVALS: dict[Representation, str] = {
    "random": "A randomly initialized encoder does better than the trained one",
    "pca": "PCA of the same width beats the encoder",
}
FEW = 100


def findings(metrics: tuple[Metric, ...], latent: int) -> tuple[str, ...]:
    """Returns warnings on what was measured, the gravest first.

    Args:
        metrics: what was measured.
        latent: width of a code.
    """
    return (*_collapse(metrics, latent), *_beaten(metrics), *_broken(metrics), *_few(metrics))


def _collapse(metrics: tuple[Metric, ...], latent: int) -> Iterator[str]:
    """Warns of an encoder that says nothing, or leaves units unused."""
    rate, active = (find(metrics, name) for name in ("rate", "active_units"))
    if rate is None or active is None:
        return
    units = f"{int(active.value)} of {latent} units are active"
    carries = f"it carries {number(rate.value, 'nats')} nats per example, and {units}"
    if collapsed(rate.value, int(active.value)):
        yield f"The encoder has collapsed: {carries}. Weaken the KL term (a smaller beta) or warm it up."
    elif active.value < latent:
        idle = latent - int(active.value)
        verb = "is" if idle == 1 else "are"
        yield f"{idle} of {latent} units {verb} not active. A narrower latent would say as much."


def _beaten(metrics: tuple[Metric, ...]) -> Iterator[str]:
    """Warns where a representation that costs nothing does better, at the largest label budget."""
    for kind in PROBES:
        encoder = largest_probe(metrics, kind)
        for name, what in RIVALS.items():
            other = find(metrics, encoder.name, name) if encoder else None
            if encoder is None or other is None or other.value <= encoder.value:
                continue
            values = f"{number(other.value, other.unit)} against {number(encoder.value, encoder.unit)}"
            yield f"{what} ({in_words(encoder.name)}): {values}{_within(encoder, other)}."


def _within(encoder: Metric, other: Metric) -> str:
    """Returns a remark where the two intervals overlap."""
    if encoder.interval is None or other.interval is None or other.interval[0] > encoder.interval[1]:
        return ""
    return ", but the intervals overlap"


def _broken(metrics: tuple[Metric, ...]) -> Iterator[str]:
    """Warns where a probe of the last blessed space reads aligned vectors worse than its own."""
    for drop in metrics:
        name = Name.parse(drop.name)
        if name.base != "alignment/probe_drop" or drop.interval is None or drop.interval[0] <= 0:
            continue
        before, after = (find(metrics, of(f"alignment/probe{place}", name.column)) for place in ("/before", ""))
        if before and after:
            fall = f"from {number(before.value, before.unit)} to {number(after.value, after.unit)}"
            yield (
                f"Who keeps vectors of the last blessed space loses by this model: a {in_words(after.name)} falls "
                f"{fall}. Embed what is kept again: metaprior backfill."
            )


def _few(metrics: tuple[Metric, ...]) -> Iterator[str]:
    """Warns of a split that is too small to tell models apart."""
    fewest = min((m for m in metrics if Name.parse(m.name).slice is None), key=lambda metric: metric.count)
    if fewest.count < FEW:
        examples = "1 example" if fewest.count == 1 else f"{fewest.count} examples"
        yield f'Only {examples} of the split "{fewest.split}" measured: intervals are wide.'
