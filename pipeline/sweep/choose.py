"""Which encoder of a sweep to bless: the best at a task, within bounds on what it costs and gives away."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.evaluator.schema import Evaluation, Metric, find, read_evaluation
from components.frontier.request import better
from components.frontier.schema import FRONTIER_FILE, Configuration, Frontier, Trial, read_frontier
from components.frontier.wording import amount
from models.atomic import write_whole
from models.errors import InputError
from pipeline.listing import shown
from pipeline.problems import closest
from pipeline.show import program
from pipeline.store import FRONTIER, Store

RUN_FILE = "run.yaml"
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


@dataclass(frozen=True)
class Choice:
    """The encoder to bless.

    Args:
        sweep: name of the sweep.
        task: the metric that decided.
        better: whether higher or lower values of it are better.
        configuration: name of the chosen configuration.
        mean: the task's mean over the configuration's seeds.
        unit: its unit.
        seed: the chosen trial's.
        trial: the chosen trial.
        excluded: a line for each configuration that is not eligible.
        command: what trains, blesses and pushes it; the training comes from the cache.
        notes: what else to know.
    """

    sweep: str
    task: str
    better: str
    configuration: str
    mean: float
    unit: str
    seed: int
    trial: Trial
    excluded: tuple[str, ...]
    command: str
    notes: tuple[str, ...]


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


def choose(place: Path, *, task: str, bounds: Bounds) -> Choice:
    """Returns the encoder to bless, and writes the run configuration of the sweep beside the frontier.

    The configuration with the best mean over seeds is taken, of it the seed with the best value; both must
    meet the bounds.

    Args:
        place: the frontier's folder.
        task: a metric, or a column that probes predict: the linear probe with the most labels.
        bounds: what the encoder may cost and give away.

    Raises:
        InputError: if the task was not measured, or nothing meets the bounds.
    """
    frontier = read_frontier(place / FRONTIER_FILE)
    groups = {one.name: _candidates(frontier, one, task) for one in frontier.configurations}
    metric = _named(groups, task)
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
        command=_command(place, frontier, best.trial),
        notes=tuple(_notes(groups, bounds)),
    )


def lines(choice: Choice) -> list[str]:
    """Returns a choice in words, the command last."""
    said = amount(choice.mean, choice.unit)
    trial = choice.trial
    return [
        f"{choice.configuration}: {choice.task} {said}, the mean over its seeds; seed {choice.seed} is its best.",
        f"  rate {amount(trial.rate.value, 'nats')}, distortion {amount(trial.distortion.value, 'nats')}, "
        f"{trial.epochs} epochs",
        *(f"  {note}" for note in choice.notes),
        *(f"Excluded {line}" for line in choice.excluded),
        "",
        "Bless and push it; what was trained comes from the cache:",
        f"  {choice.command}",
    ]


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


def _named(groups: dict[str, list[Candidate]], task: str) -> str:
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
        raise InputError(f"--task: {task} is neither a metric nor a column that the trials measured. {hint}")
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
    leaks = [candidate.leakage for candidate in group if candidate.leakage]
    if bounds.leakage is not None and leaks and (value := _mean(leaks)) > bounds.leakage:
        yield f"{leaks[0].name} {value:.3f} is above {bounds.leakage:g}"


def _nearest(frontier: Frontier, groups: dict[str, list[Candidate]], bounds: Bounds) -> str:
    """Returns each bound with the least that any configuration has of it."""
    leaks = [_mean([c.leakage for c in group]) for group in groups.values() if all(c.leakage for c in group)]
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


def _notes(groups: dict[str, list[Candidate]], bounds: Bounds) -> Iterator[str]:
    everyone = [candidate for group in groups.values() for candidate in group]
    if bounds.leakage is not None and not any(candidate.leakage for candidate in everyone):
        yield (
            "leakage is not measured, so --max-leakage excludes nothing: it takes data.sensitive and evaluations "
            "with a metric leakage/..."
        )


def _mean(metrics: Iterable[Metric | None]) -> float:
    values = [metric.value for metric in metrics if metric]
    return sum(values) / len(values)


def _command(place: Path, frontier: Frontier, trial: Trial) -> str:
    """Writes what all trials have in common as a configuration, and returns the command that adds the choice."""
    text = yaml.safe_dump(_plain(frontier.run), sort_keys=False, allow_unicode=True)
    path = write_whole(place / RUN_FILE, text.encode())
    sets = {"model.latent": trial.latent, "seed": trial.seed, "training.epochs": trial.epochs}
    sets |= {f"model.parameters.{name}": value for name, value in trial.parameters.items()}
    pairs = [part for key, value in sets.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    return shlex.join([program(), "run", "--config", shown(path), "--model", trial.recipe, *pairs])


def _plain(run: dict[str, Any]) -> dict[str, Any]:
    """Returns the run configuration without the model's own, which the command gives."""
    model = {key: value for key, value in run["model"].items() if key not in ("recipe", "parameters", "latent")}
    return run | {"model": model}
