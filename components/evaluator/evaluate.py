"""From embeddings to an evaluation and a verdict."""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from components.evaluator import rows
from components.evaluator.bounds import Reference, check_measured, check_names, compared, judge
from components.evaluator.codes_pass import pass_over
from components.evaluator.findings import findings
from components.evaluator.labelled import TEST, TRAIN, Labelled, Unlabelled, find_labelled
from components.evaluator.probing import Probing, encoder_codes, omissions, probe, probe_all
from components.evaluator.sample import Sample
from components.evaluator.schema import VERSION, DataFacts, Evaluation, Metric
from components.evaluator.settings import Settings
from models.errors import InputError

progress = logging.getLogger("metaprior.progress")

NOT_YET = "no blessed model to compare with yet"
OTHER_INPUTS = "the last blessed model takes other inputs, so it is not compared"


@dataclass(frozen=True)
class Request:
    """What to evaluate.

    Args:
        embeddings: folder of the model's Embeddings artifact.
        last: folder of the last blessed model's Embeddings of the same data, without splits if it takes other
            inputs; None if no model has been blessed.
        settings: what to measure and which bounds to meet.
        data: the data's name.
        seed: seed of draws and intervals.
        code: version of the code that measures.
    """

    embeddings: Path
    last: Path | None
    settings: Settings
    data: str
    seed: int
    code: str


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, and the examples that its plots show."""

    evaluation: Evaluation
    sample: Sample


def evaluate(request: Request) -> Evaluated:
    """Measures a representation and holds it against its bounds.

    Raises:
        InputError: if a bound names a metric that does not exist or cannot be measured, the test split
            is empty, a value is not finite, or the last blessed model's rows are not the same.
    """
    root, settings = request.embeddings, request.settings
    check_names(settings.bless, settings.budgets)
    head, counts = rows.header(root), rows.splits(root)
    if not counts.get(TEST):
        raise InputError(f'data.splits: the split "{TEST}" has no examples to measure. Give it a larger share.')
    labelled = find_labelled(root, label=head.spec.label, examples=settings.examples, width=head.spec.width)
    omitted = omissions(labelled, settings)
    check_measured(settings.bless, omitted)
    progress.info("reading the codes", extra={"fraction": 0.0})
    # Many small fits: threads inside each one cost more than they give, twenty times more on a busy machine.
    with threadpool_limits(1):
        codes = pass_over(root, TEST, seed=request.seed)
        probing = _probing(request, labelled, head.latent)
        last = _last_blessed(request, labelled, counts[TEST])
    metrics = (*codes.metrics, *probing.metrics)
    bounds = judge(settings.bless, metrics, last)
    evaluation = Evaluation(
        schema=VERSION,
        **_model(head),
        data=_data(request.data, head, counts, labelled),
        metrics=metrics,
        bounds=bounds,
        blessed=all(bound.ok for bound in bounds),
        omitted=omitted,
        warnings=findings(metrics, head.latent),
        widths=probing.widths,
        settings=settings,
        seed=request.seed,
        code=request.code,
    )
    return Evaluated(evaluation, codes.sample)


def _probing(request: Request, labelled: Labelled | Unlabelled, latent: int) -> Probing:
    if isinstance(labelled, Unlabelled):
        return Probing(metrics=(), widths={})
    return probe_all(request.embeddings, labelled, request.settings, latent=latent, seed=request.seed)


def _model(head: rows.Header) -> dict[str, Any]:
    names = ("space", "recipe", "parameters", "objective", "latent")
    return {name: getattr(head, name) for name in names}


def _data(name: str, head: rows.Header, counts: dict[str, int], labelled: Labelled | Unlabelled) -> DataFacts:
    facts = DataFacts(name=name, kind=head.spec.kind, counts=counts, shape=head.spec.shape)
    if isinstance(labelled, Unlabelled):
        return facts
    return dataclasses.replace(
        facts,
        label=head.spec.label,
        classes=len(labelled.classes),
        majority=labelled.majority,
        probed={TRAIN: len(labelled.train), TEST: len(labelled.test)},
    )


def _last_blessed(request: Request, labelled: Labelled | Unlabelled, count: int) -> Reference:
    """Returns the last blessed model's values of the metrics that are held against it, on the same rows."""
    names = compared(request.settings.bless)
    if request.last is None or not names:
        return Reference({}, NOT_YET)
    there = rows.splits(request.last).get(TEST, 0)
    if not there:
        return Reference({}, OTHER_INPUTS)
    if there != count:
        raise InputError(
            f'The last blessed model was given {there:,} examples of the split "{TEST}", this one {count:,}. '
            "Embed the same data with both."
        )
    metrics: tuple[Metric, ...] = pass_over(request.last, TEST, seed=request.seed).metrics
    if isinstance(labelled, Labelled) and any(name.startswith("probe/") for name in names):
        codes = encoder_codes(request.last, labelled)
        metrics += tuple(probe("encoder", codes, labelled, request.settings, seed=request.seed))
    return Reference({metric.name: metric.value for metric in metrics if metric.name in names})
