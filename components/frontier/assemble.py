"""From the evaluations of a sweep's trials to its frontier."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from components.evaluator.sample import read_codes
from components.evaluator.schema import EVALUATION_FILE, Evaluation, Metric, find, read_evaluation
from components.frontier import pareto
from components.frontier.bound import information_bound
from components.frontier.recommend import recommend
from components.frontier.request import Measured, Request, better
from components.frontier.schema import (
    Configuration,
    Frontier,
    InformationBound,
    Knee,
    LeftOut,
    Trial,
    Usefulness,
    Value,
)
from components.metrics.intervals import draws_interval
from components.metrics.udr import udr
from components.metrics.undefined import UndefinedError
from models import recipes
from models.artifact import SERVING, TRAINING, read_metadata, read_spec
from models.errors import InputError

Pair = tuple[Measured, Evaluation]
EVERYWHERE = (-math.inf, math.inf)
WITHIN = {"accuracy": (0.0, 1.0), "auc": (0.0, 1.0)}
"""Between which values metrics of a unit lie."""


def assemble(request: Request, records: Iterable[bytes]) -> Frontier:
    """Returns the frontier.

    Args:
        request: what it is made of.
        records: serialized examples of the evaluation split.

    Raises:
        InputError: if no configuration is complete.
    """
    evaluations = [read_evaluation(Path(one.evaluation, EVALUATION_FILE)) for one in request.trials]
    pairs = list(zip(request.trials, evaluations, strict=True))
    alike = [pair for pair in pairs if pair[1].data.explains == evaluations[0].data.explains]
    trials = tuple(found for one, evaluation in alike if (found := _trial(one, evaluation, request.usefulness)))
    usefulness = _usefulness(request.usefulness, evaluations)
    configurations = tuple(_configurations(trials, request.seeds, unit=usefulness.unit))
    if not configurations:
        raise InputError(f"sweep: no configuration has {request.usefulness}, rate and distortion of all its seeds.")
    sign = -1 if usefulness.better == "higher" else 1
    plane = np.array([(one.rate.value, one.distortion.value) for one in configurations])
    costs = np.column_stack([plane, [sign * one.usefulness.value for one in configurations]])
    names = np.array([one.name for one in configurations])
    best, lowest = (tuple(names[pareto.pareto(values)].tolist()) for values in (costs, plane))
    return Frontier(
        schema=1,
        sweep=request.sweep,
        data=evaluations[0].data.name,
        usefulness=usefulness,
        trials=trials,
        configurations=configurations,
        pareto=best,
        pareto_rate_distortion=lowest,
        knee=_knee([one for one in configurations if one.name in lowest]),
        bound=_bound(request, records),
        recommendation=recommend(configurations, trials, pareto=best, usefulness=usefulness),
        left_out=(*request.left_out, *_unlike(pairs, alike), *_unmeasured(alike, request.usefulness)),
        run=request.run,
        code=request.code,
    )


def _usefulness(name: str, evaluations: Sequence[Evaluation]) -> Usefulness:
    unit = next((metric.unit for one in evaluations if (metric := find(one.metrics, name))), "")
    return Usefulness(metric=name, unit=unit, better=better(name))


def _trial(one: Measured, evaluation: Evaluation, usefulness: str) -> Trial | None:
    """Returns a trial with its numbers, None where one of the three was not measured."""
    found = [find(evaluation.metrics, name) for name in ("rate", "distortion", usefulness)]
    values = [_value(metric) for metric in found if metric]
    if len(values) < 3:
        return None
    rate, distortion, useful = values
    return Trial(
        configuration=one.configuration,
        recipe=one.recipe,
        parameters=one.parameters,
        latent=one.latent,
        seed=one.seed,
        rung=one.rung,
        epochs=one.epochs,
        rate=rate,
        distortion=distortion,
        usefulness=useful,
        evaluation=str(Path(one.evaluation, EVALUATION_FILE)),
        model=one.model,
    )


def _value(metric: Metric) -> Value:
    return Value(value=metric.value, interval=metric.interval)


def _configurations(trials: Sequence[Trial], seeds: int, *, unit: str) -> Iterable[Configuration]:
    """Yields each configuration at the last rung of which all seeds are there."""
    for name in dict.fromkeys(trial.configuration for trial in trials):
        own = [trial for trial in trials if trial.configuration == name]
        whole = [rung for rung in {t.rung for t in own} if sum(t.rung == rung for t in own) >= seeds]
        if not whole:
            continue
        members = sorted((t for t in own if t.rung == max(whole)), key=lambda trial: trial.seed)
        first = members[0]
        yield Configuration(
            name=name,
            recipe=first.recipe,
            parameters=first.parameters,
            latent=first.latent,
            rung=first.rung,
            epochs=first.epochs,
            seeds=tuple(trial.seed for trial in members),
            rate=_mean([trial.rate for trial in members], within=(0, math.inf)),
            distortion=_mean([trial.distortion for trial in members]),
            usefulness=_mean([trial.usefulness for trial in members], within=WITHIN.get(unit, EVERYWHERE)),
            udr=_udr(members),
        )


def _udr(members: Sequence[Trial]) -> float | None:
    """Returns the mean UDR score of one configuration's seeds, None where it has no value."""
    found = [read_codes(Path(trial.evaluation).parent) for trial in members]
    known = [each for each in found if each is not None]
    if len(known) < len(members):
        return None
    try:
        return float(udr([codes for codes, _ in known], [rates for _, rates in known]).scores.mean())
    except UndefinedError:
        return None


def _mean(values: Sequence[Value], *, within: tuple[float, float] = EVERYWHERE) -> Value:
    """Returns the mean over seeds with its Student-t interval, which takes two seeds and ends where values do."""
    numbers = np.array([value.value for value in values])
    if len(numbers) < 2:
        return Value(value=float(numbers.mean()), interval=None)
    low, high = draws_interval(numbers)
    return Value(value=float(numbers.mean()), interval=(max(low, within[0]), min(high, within[1])))


def _knee(members: Sequence[Configuration]) -> Knee:
    rate, distortion = (np.array([getattr(one, axis).value for one in members]) for axis in ("rate", "distortion"))
    found = pareto.knee(rate, distortion)
    if found is None:
        why = "fewer than three points" if len(members) < 3 else "no point below the chord between its ends"
        return Knee(configuration=None, distance=None, rule=f"the rate-distortion Pareto set has {why}")
    return Knee(configuration=members[found[0]].name, distance=found[1], rule=pareto.KNEE)


def _bound(request: Request, records: Iterable[bytes]) -> InformationBound:
    first = request.trials[0]
    spec = read_spec(read_metadata(Path(first.model, SERVING)))
    trainings = [json.loads(Path(one.model, TRAINING).read_text(encoding="utf-8")) for one in request.trials]
    return information_bound(
        spec,
        request.run["model"]["likelihood"],
        records,
        sums=[training["rate"] + training["distortion"] for training in trainings],
        told=any(recipes.find(one.recipe).needs for one in request.trials),
    )


def _unlike(pairs: Sequence[Pair], alike: Sequence[Pair]) -> Iterable[LeftOut]:
    """Yields the configurations whose distortion is of something else than the first one's."""
    kinds = {"x": "the example", "label": "the label"}
    others = {
        one.configuration: evaluation.data.explains for one, evaluation in pairs if (one, evaluation) not in alike
    }
    for name, explains in others.items():
        reason = f"its distortion is of {kinds[explains]}, that of {pairs[0][0].configuration} is not"
        yield LeftOut(what=name, reason=reason)


def _unmeasured(pairs: Sequence[Pair], usefulness: str) -> Iterable[LeftOut]:
    for one, evaluation in pairs:
        if missing := [name for name in ("rate", "distortion", usefulness) if find(evaluation.metrics, name) is None]:
            reasons = {omission.metric: omission.reason for omission in evaluation.omitted}
            why = reasons.get(missing[0], "the evaluation has no such metric")
            yield LeftOut(what=f"{one.configuration}, seed {one.seed}", reason=f"{missing[0]} was not measured: {why}")
