"""Which encoder of a sweep to bless: the best at a task, within bounds on what it costs and gives away."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.evaluator.schema import Evaluation, Metric, find, read_evaluation
from components.frontier.request import better
from components.frontier.schema import FRONTIER_FILE, Configuration, Frontier, Trial, read_frontier
from components.frontier.wording import amount
from models.errors import InputError
from pipeline.config import Config
from pipeline.listing import shown
from pipeline.problems import closest
from pipeline.store import FRONTIER, Store
from pipeline.sweep.choice import Choice, common, sets, words

STORE = "metadata.sqlite"


@dataclass(frozen=True)
class Bounds:
    """The most that the chosen encoder may have of each; None is no bound. Rate and distortion in nats."""

    rate: float | None = None
    distortion: float | None = None
    leakage: float | None = None


@dataclass(frozen=True)
class Candidate:
    """One trial with what is asked of it; `leakage` is the worst of its leakage metrics, None where unmeasured."""

    trial: Trial
    task: Metric | None
    leakage: Metric | None


def chosen(config: Config) -> tuple[Config, list[str]]:
    """Returns a run configuration with the model of the frontier that its section `choose` asks for.

    Recipe, parameters, latent, seed and epochs are the chosen trial's, all else is the configuration's own: on the
    data of the sweep the training comes from the cache, on other data the same model is trained anew.

    Args:
        config: a run configuration; the frontier is that of the sweep of its name.

    Returns:
        The configuration, and what was chosen in words; both unchanged and empty where `choose.task` is null.

    Raises:
        InputError: if there is no frontier yet, or nothing on it meets the bounds.
    """
    wanted = config.choose
    if wanted.task is None:
        return config, []
    bounds = Bounds(rate=wanted.max_rate, distortion=wanted.max_distortion, leakage=wanted.max_leakage)
    place = latest(config.output, config.name)
    found = choose(place, task=wanted.task, bounds=bounds, key="choose.task")
    trial = found.trial
    of_trial = {"recipe": trial.recipe, "parameters": dict(trial.parameters), "latent": trial.latent}
    changes = {
        "model": config.model.model_copy(update=of_trial),
        "training": config.training.model_copy(update={"epochs": trial.epochs}),
        "seed": trial.seed,
    }
    heading = f"From {shown(place / FRONTIER_FILE)}:"
    return config.model_copy(update=changes), [heading, *(f"  {line}" for line in words(found))]


def latest(output: Path, name: str) -> Path:
    """Returns the folder of a sweep's latest frontier.

    Raises:
        InputError: if there is no such sweep, or it has no frontier yet.
    """
    store = output / name / STORE
    if not store.exists():
        near = closest(name, [path.parent.name for path in output.glob(f"*/{STORE}")])
        hint = f"Did you mean {near}?" if near else "`metaprior sweep` makes one."
        raise InputError(f"{name}: no such sweep below {output}. {hint}")
    found = [artifact for run in Store(store).runs() if (artifact := run.artifact(FRONTIER))]
    if not found:
        raise InputError(f"{name}: no frontier yet. `metaprior sweep` makes one, and goes on where it was stopped.")
    return Path(max(found, key=lambda artifact: artifact.id).uri)


def choose(place: Path, *, task: str, bounds: Bounds, key: str = "--task") -> Choice:
    """Returns the encoder to bless, and writes the run configuration of the sweep beside the frontier.

    The configuration with the best mean over seeds is taken, of it the seed with the best value; both must
    meet the bounds.

    Args:
        place: the frontier's folder.
        task: a metric, or a column that probes predict: the linear probe with the most labels.
        bounds: what the encoder may cost and give away.
        key: what a person calls the task, for the error message.

    Raises:
        InputError: if the task was not measured, or nothing meets the bounds.
    """
    frontier = read_frontier(place / FRONTIER_FILE)
    groups = {one.name: _candidates(frontier, one, task) for one in frontier.configurations}
    metric = _named(groups, task, key)
    sign = -1 if better(metric) == "lower" else 1
    reasons = {one.name: list(_reasons(one, groups[one.name], bounds, metric)) for one in frontier.configurations}
    open_ = [name for name, why in reasons.items() if not why]
    if not open_:
        raise InputError(f"{frontier.sweep}: no configuration meets the bounds: {_nearest(frontier, groups, bounds)}.")
    means = {name: _mean([c.task for c in groups[name]]) for name in open_}
    name = max(open_, key=lambda one: sign * means[one])
    eligible = [c for c in groups[name] if not list(_faults(c.trial.rate.value, c.trial.distortion.value, [c], bounds))]
    best = max(eligible, key=lambda c: sign * c.task.value if c.task else 0.0)
    return Choice(
        sweep=frontier.sweep,
        task=metric,
        better=better(metric),
        configuration=name,
        mean=means[name],
        unit=best.task.unit if best.task else "",
        seed=best.trial.seed,
        trial=best.trial,
        excluded=tuple(f"{one}: {'; '.join(why)}" for one, why in reasons.items() if why),
        path=common(place, frontier),
        sets=sets(best.trial),
    )


def _candidates(frontier: Frontier, one: Configuration, task: str) -> list[Candidate]:
    found = []
    for trial in frontier.members(one):
        evaluation = read_evaluation(Path(trial.evaluation))
        leaks = [m for m in evaluation.metrics if m.representation == "encoder" and _leaks(m.name)]
        leakage = max(leaks, key=lambda metric: metric.value, default=None)
        found.append(Candidate(trial, _task(evaluation, task), leakage))
    return found


def _leaks(name: str) -> bool:
    return name.startswith("leakage/") and " where " not in name


def _task(evaluation: Evaluation, task: str) -> Metric | None:
    """Returns the metric of that name, or the linear probe with the most labels of the column of that name."""
    exact = find(evaluation.metrics, task)
    if exact is not None:
        return exact
    suffix = "" if task == evaluation.data.label else f" of {task}"
    pattern = re.compile(rf"probe/linear/\w+{re.escape(suffix)}")
    probes = [m for m in evaluation.metrics if m.representation == "encoder" and pattern.fullmatch(m.name)]
    return probes[-1] if probes else None


def _named(groups: dict[str, list[Candidate]], task: str, key: str) -> str:
    """Returns the name of the metric that decides.

    Raises:
        InputError: if no trial has it.
    """
    everyone = [candidate for group in groups.values() for candidate in group]
    name = next((candidate.task.name for candidate in everyone if candidate.task), None)
    if name is None:
        evaluation = read_evaluation(Path(everyone[0].trial.evaluation))
        known = [m.name for m in evaluation.metrics if m.representation == "encoder"]
        known += [evaluation.data.label] if evaluation.data.label else []
        near = closest(task, known)
        hint = f"Did you mean {near}?" if near else f"Measured are {', '.join(known)}."
        raise InputError(f"{key}: {task} is neither a metric nor a column that the trials measured. {hint}")
    return name


def _reasons(one: Configuration, group: Sequence[Candidate], bounds: Bounds, metric: str) -> Iterator[str]:
    """Yields why a configuration is not eligible: what its means, or each of its trials, break."""
    if any(candidate.task is None for candidate in group):
        yield f"{metric} was not measured"
        return
    yield from _faults(one.rate.value, one.distortion.value, group, bounds)
    trials = [list(_faults(c.trial.rate.value, c.trial.distortion.value, [c], bounds)) for c in group]
    if all(trials) and not list(_faults(one.rate.value, one.distortion.value, group, bounds)):
        yield f"none of its seeds meets the bounds: {trials[0][0]}"


def _faults(rate: float, distortion: float, group: Sequence[Candidate], bounds: Bounds) -> Iterator[str]:
    if bounds.rate is not None and rate > bounds.rate:
        yield f"rate {amount(rate, 'nats')} is above {bounds.rate:g}"
    if bounds.distortion is not None and distortion > bounds.distortion:
        yield f"distortion {amount(distortion, 'nats')} is above {bounds.distortion:g}"
    if bounds.leakage is None:
        return
    leaks = [candidate.leakage for candidate in group if candidate.leakage]
    if len(leaks) < len(group):
        yield "its leakage was not measured"
    elif (value := _mean(leaks)) > bounds.leakage:
        yield f"{leaks[0].name} {value:.3f} is above {bounds.leakage:g}"


def _nearest(frontier: Frontier, groups: dict[str, list[Candidate]], bounds: Bounds) -> str:
    """Returns each bound with the least that any configuration has of it."""
    leaks = [_mean([c.leakage for c in group]) for group in groups.values() if all(c.leakage for c in group)]
    if bounds.leakage is not None and not leaks:
        return "leakage was not measured, which takes data.sensitive and leakage in evaluation.measure"
    told = (
        ("rate", bounds.rate, [one.rate.value for one in frontier.configurations], " nats"),
        ("distortion", bounds.distortion, [one.distortion.value for one in frontier.configurations], " nats"),
        ("leakage", bounds.leakage, leaks, ""),
    )
    return ", ".join(
        f"{name} at most {bound:g}{unit} (the lowest is {min(values):.2f})"
        for name, bound, values, unit in told
        if bound is not None and values
    )


def _mean(metrics: Iterable[Metric | None]) -> float:
    values = [metric.value for metric in metrics if metric]
    return sum(values) / len(values)
