"""From embeddings to an evaluation and a verdict."""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from components.aligner import align
from components.evaluator import rows
from components.evaluator.bounds import (
    Reference,
    check_measured,
    check_names,
    compared,
    judge,
    unmet_alignment,
    without_alignment,
)
from components.evaluator.codes_pass import pass_over
from components.evaluator.examples import TEST, Chosen, choose
from components.evaluator.facts import data_facts
from components.evaluator.finding import Finding
from components.evaluator.findings import findings
from components.evaluator.measure import again, measure
from components.evaluator.sample import Sample
from components.evaluator.schema import VERSION, AlignedTo, Evaluation, Omission
from components.evaluator.settings import Settings
from components.evaluator.space import LastSpace
from components.evaluator.subject import Subject, task_names
from components.evaluator.wording import NOT_FINITE, NOT_YET, OTHER_INPUTS, SAME_SPACE
from components.metrics.procrustes import LAST_THE_SAME, NEW_THE_SAME, Alignment
from models.errors import InputError

# Without a last space whose vectors mean anything here, nothing that anyone keeps can be broken.
NOTHING_TO_BREAK = {NOT_YET, OTHER_INPUTS, SAME_SPACE, NOT_FINITE, LAST_THE_SAME}

progress = logging.getLogger("metaprior.progress")


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
        aligned: folder of the exported encoder that may have an alignment to the last blessed model's space.
        unaligned: why it has none.
    """

    embeddings: Path
    last: Path | None
    settings: Settings
    data: str
    seed: int
    code: str
    aligned: Path | None = None
    unaligned: str = NOT_YET


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, and the examples that its plots show."""

    evaluation: Evaluation
    sample: Sample


def evaluate(request: Request) -> Evaluated:
    """Measures a representation and holds it against its bounds.

    Raises:
        InputError: if a bound names a metric that does not exist or cannot be measured, the test split
            is empty, a value of this model is not finite, or the last blessed model's rows are not the same.
    """
    root, settings = request.embeddings, request.settings
    last_space, aligned_to = _last_space(request)
    head, counts = rows.header(root), rows.splits(root)
    check_names(settings, task_names(settings, head.spec))
    if not counts.get(TEST):
        raise InputError(f'data.splits: the split "{TEST}" has no examples to measure. Give it a larger share.')
    chosen = choose(root, examples=settings.examples, width=head.spec.width)
    subject = Subject(root, head, chosen, settings, seed=request.seed, last=last_space)
    progress.info("reading the codes", extra={"fraction": 0.0})
    # Many small fits: threads inside each one cost more than they give, twenty times more on a busy machine.
    with threadpool_limits(1):
        codes = pass_over(root, TEST, seed=request.seed)
        found = measure(subject, codes)
        unaligned = {each.reason for each in found.omitted if each.metric == "alignment"}
        if isinstance(last_space, str):
            unaligned.add(last_space)
        collapsed = NEW_THE_SAME in unaligned
        judged = without_alignment(settings) if collapsed or unaligned & NOTHING_TO_BREAK else settings
        check_measured(judged.bless, found.names, found.omitted)
        last = _last_blessed(request, head, chosen, counts[TEST])
    metrics = tuple(finding.metric for finding in found.findings)
    bounds = judge(judged, found.findings, last, seed=request.seed)
    if collapsed:
        bounds += unmet_alignment(settings, NEW_THE_SAME)
    evaluation = Evaluation(
        schema=VERSION,
        **_model(head),
        data=data_facts(request.data, head, counts, subject),
        metrics=metrics,
        bounds=bounds,
        blessed=all(bound.ok for bound in bounds),
        omitted=found.omitted,
        warnings=findings(metrics, head.latent),
        widths=found.widths,
        importance=found.importance,
        settings=settings,
        seed=request.seed,
        code=request.code,
        aligned_to=aligned_to,
    )
    return Evaluated(evaluation, codes.sample)


def _model(head: rows.Header) -> dict[str, Any]:
    names = ("space", "recipe", "parameters", "objective", "latent")
    return {name: getattr(head, name) for name in names}


def _last_space(request: Request) -> tuple[LastSpace | str, AlignedTo | None]:
    """Returns the last blessed model's space, or why there is none to align to, and what the evaluation says of it."""
    found = align.read(request.aligned) if request.aligned and request.last else None
    if found is None or request.last is None:
        return request.unaligned, None
    alignment, facts = found
    known = {field.name: facts[field.name] for field in dataclasses.fields(AlignedTo)}
    return LastSpace(request.last, alignment), AlignedTo(**known)


def _last_blessed(request: Request, head: rows.Header, chosen: Chosen, count: int) -> Reference:
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
    itself = LastSpace(request.last, Alignment.identity(rows.header(request.last).latent))
    subject = Subject(request.last, head, chosen, request.settings, seed=request.seed, last=itself)
    try:
        found = again(subject, pass_over(request.last, TEST, seed=request.seed), names)
    except rows.NotFiniteError:
        return Reference({}, NOT_FINITE)
    return Reference(
        {each.metric.name: each for each in found if isinstance(each, Finding) and each.metric.name in names},
        omitted={each.metric: each.reason for each in found if isinstance(each, Omission)},
    )
