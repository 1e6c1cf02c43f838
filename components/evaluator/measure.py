"""Every family of metrics on every representation of one model, and on slices of the test examples."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.evaluator import slicing
from components.evaluator.codes_pass import NATS, CodesPass
from components.evaluator.families import FAMILIES
from components.evaluator.families.disentanglement import importance
from components.evaluator.finding import Finding
from components.evaluator.names import Name
from components.evaluator.schema import REPRESENTATIONS, Omission
from components.evaluator.subject import Subject
from components.evaluator.wording import WORDS, in_words, number

progress = logging.getLogger("metaprior.progress")

ORDER = (*REPRESENTATIONS, "ceiling")
# The families that hold a name's first part; every other one bears the family's own name.
BEGINNINGS: Mapping[str, tuple[str, ...]] = {
    "probes": ("probe", "label_distortion", "efficiency"),
    "ceiling": (),
    "density": ("decomposition", "correlation"),
    "leakage": ("leakage", "leakage_auc", "attribute_inference", "fairness"),
    "privacy": ("membership",),
}


@dataclass(frozen=True)
class Measured:
    """Everything measured of one model.

    Args:
        findings: the numbers; for one name, the encoder's comes first.
        omitted: what could not be measured, and why.
        widths: number of values in a code of each representation.
        importance: how much each dimension says of each factor, in shares; empty without factors.
    """

    findings: tuple[Finding, ...]
    omitted: tuple[Omission, ...]
    widths: dict[str, int]
    importance: tuple[tuple[float, ...], ...]

    @property
    def names(self) -> set[str]:
        """Names of what was measured of the encoder."""
        return {f.metric.name for f in self.findings if f.metric.representation == "encoder"}


def measure(subject: Subject, codes: CodesPass) -> Measured:
    """Measures one model.

    Args:
        subject: the model's embeddings of the chosen examples.
        codes: what the pass over all test examples found.
    """
    settings = subject.settings
    families = [family for family in FAMILIES if family in settings.measure]
    found: list[Finding | Omission] = list(_plain(subject, codes))
    widths, matrix = {}, ()
    views = subject.views()
    for place, view in enumerate(views):
        widths[view.representation] = view.codes.test.shape[1]
        for step, family in enumerate(families, start=1):
            fraction = (place * len(families) + step) / (subject.count * len(families))
            for each in FAMILIES[family](view):
                _tell(each, fraction)
                found.append(each)
        if view.trained and "disentanglement" in families:
            matrix = _shares(importance(view))
    sliced = list(_sliced(subject, found))
    findings = [each for each in found if isinstance(each, Finding)]
    names = {name: rank for rank, name in enumerate(dict.fromkeys(_names(findings)))}
    findings.sort(key=lambda each: (names[each.metric.name], ORDER.index(each.metric.representation)))
    return Measured(
        findings=(*findings, *(each for each in sliced if isinstance(each, Finding))),
        omitted=tuple(dict.fromkeys(each for each in [*found, *sliced] if isinstance(each, Omission))),
        widths={name: widths[name] for name in REPRESENTATIONS if name in widths},
        importance=matrix,
    )


def again(subject: Subject, codes: CodesPass, names: Sequence[str]) -> list[Finding | Omission]:
    """Measures of another model's encoder what is held against the first one's; says why where it cannot.

    Args:
        subject: the other model's embeddings of the chosen examples.
        codes: what the pass over all test examples found.
        names: the metrics.
    """
    beginnings = {Name.parse(name).base.split("/")[0] for name in names}
    families = [family for family in FAMILIES if beginnings & set(BEGINNINGS.get(family, (family,)))]
    found: list[Finding | Omission] = list(_plain(subject, codes))
    if families:
        view = subject.encoder()
        found += [each for family in families for each in FAMILIES[family](view)]
    return [*found, *_sliced(subject, found)]


def _plain(subject: Subject, codes: CodesPass) -> Iterator[Finding]:
    """Yields rate, distortion, ELBO and active units of all test examples, with the chosen ones' own numbers."""
    for metric in codes.metrics:
        if metric.name in NATS:
            outcomes = subject.nats(metric.name)
            yield Finding(metric, rows=np.arange(len(outcomes)), outcomes=outcomes)
        else:
            yield Finding(metric)


def _sliced(subject: Subject, found: Iterable[Finding | Omission]) -> Iterator[Finding | Omission]:
    """Yields the encoder's numbers on slices."""
    for each in found:
        if isinstance(each, Finding) and each.metric.representation == "encoder":
            yield from slicing.sliced(each, subject.slices, seed=subject.seed)


def _names(findings: Iterable[Finding]) -> Iterator[str]:
    """Yields every name, those of the encoder first and in its order."""
    for trained in (True, False):
        yield from (f.metric.name for f in findings if (f.metric.representation == "encoder") is trained)


def _tell(each: Finding | Omission, fraction: float) -> None:
    if isinstance(each, Finding):
        metric = each.metric
        text = f"{WORDS[metric.representation]}, {in_words(metric.name)}: {number(metric.value, metric.unit)}"
        progress.info(text, extra={"fraction": fraction})


def _shares(matrix: np.ndarray | None) -> tuple[tuple[float, ...], ...]:
    """Returns a matrix in shares of its sum, as JSON can hold it."""
    if matrix is None or not matrix.sum() > 0:
        return ()
    return tuple(tuple(float(value) for value in row) for row in matrix / matrix.sum())
