"""Which trial is next: asynchronous successive halving over configurations, kept by Optuna in a file.

A configuration is one Optuna trial; its value at a rung is the mean usefulness over its seeds. So all seeds of a
configuration are promoted together, and comparisons over seeds stay paired.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from pipeline.sweep.grid import Arm, Trial

WAITING, RUNNING, STOPPED, DONE, FAILED = "waiting", "running", "pruned", "done", "failed"
_STATES = {
    TrialState.WAITING: WAITING,
    TrialState.RUNNING: RUNNING,
    TrialState.PRUNED: STOPPED,
    TrialState.COMPLETE: DONE,
    TrialState.FAIL: FAILED,
}
Result = dict[str, Any]


@dataclass
class _Rung:
    """A configuration at work: the seeds it still has to train at this rung, and what came of the others."""

    arm: Arm
    kept: optuna.Trial
    rung: int
    pending: list[int]
    values: dict[int, float] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)


class Schedule:
    """The order of a sweep's trials; what was done is remembered in a file, whatever happens to the process.

    The first configuration comes first, is always promoted, and so can be what others are compared with; the
    others come in an order drawn with the seed, because halving compares a configuration with those before it.

    Args:
        arms: the configurations.
        rungs: epochs of each rung.
        seeds: seeds of each configuration.
        factor: one configuration in so many is promoted.
        path: the file.
        key: names what the results depend on: another key begins anew.
        lower: whether lower values are better.
    """

    def __init__(
        self,
        arms: list[Arm],
        *,
        rungs: list[int],
        seeds: range,
        factor: int,
        path: Path,
        key: str,
        lower: bool = False,
    ):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._arms = {arm.name: arm for arm in arms}
        self._rungs, self._seeds = rungs, seeds
        self._study = optuna.create_study(
            study_name=key,
            storage=f"sqlite:///{path}",
            load_if_exists=True,
            direction="minimize" if lower else "maximize",
            sampler=optuna.samplers.RandomSampler(seed=seeds.start),  # never asked: every trial is enqueued
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=rungs[0], reduction_factor=factor),
        )
        self._enqueue(arms)
        self._active = [self._resumed(kept) for kept in self._study.get_trials(states=[TrialState.RUNNING])]
        for at in list(self._active):
            self._settle(at)  # where the earlier process ended between a rung's last seed and its decision

    def next(self) -> Trial | None:
        """Returns a trial to start now, the highest rung first; None where all that is left waits for others."""
        for at in sorted(self._active, key=lambda active: -active.rung):
            if at.pending:
                return self._start(at)
        if not self._study.get_trials(deepcopy=False, states=[TrialState.WAITING]):
            return None
        kept = self._study.ask({"arm": CategoricalDistribution(list(self._arms))})
        self._active.append(_Rung(self._arms[kept.params["arm"]], kept, 0, list(self._seeds)))
        return self._start(self._active[-1])

    def done(self, trial: Trial, result: Result, value: float) -> str | None:
        """Takes in a finished trial; returns what it decides for its configuration, None if that waits for others.

        Args:
            trial: the trial.
            result: what is to be remembered of it.
            value: its usefulness.
        """
        at = self._at(trial)
        at.kept.set_user_attr(f"{trial.rung}/{trial.seed}", result | {"value": value})
        at.running.discard(trial.seed)
        at.values[trial.seed] = value
        return self._settle(at)

    def failed(self, trial: Trial, reason: str) -> str | None:
        """Takes in a trial that came to nothing; returns as `done` does."""
        at = self._at(trial)
        at.running.discard(trial.seed)
        at.reasons.append(f"seed {trial.seed}: {reason}")
        at.kept.set_user_attr("reasons", at.reasons)
        return self._settle(at)

    def give_back(self, trial: Trial) -> None:
        """Takes back a trial that was stopped in the middle: it is the next one of its configuration."""
        at = self._at(trial)
        at.running.discard(trial.seed)
        at.pending.insert(0, trial.seed)

    def results(self) -> Iterator[tuple[Trial, Result]]:
        """Yields every finished trial with what is remembered of it, in the order of the configurations and rungs."""
        kept = {one.params["arm"]: one.user_attrs for one in self._study.get_trials(deepcopy=False) if one.params}
        for name, arm in self._arms.items():
            for rung, epochs in enumerate(self._rungs):
                for seed in self._seeds:
                    if f"{rung}/{seed}" in kept.get(name, {}):
                        yield Trial(arm, seed, rung, epochs), kept[name][f"{rung}/{seed}"]

    def standing(self) -> Iterator[tuple[Arm, str, list[str]]]:
        """Yields every configuration with its state and, where it failed, the reasons."""
        states = {_name(one): (one.state, one.user_attrs) for one in self._study.get_trials(deepcopy=False)}
        for name, arm in self._arms.items():
            state, attributes = states[name]
            yield arm, _STATES[state], attributes.get("reasons", [])

    def _enqueue(self, arms: list[Arm]) -> None:
        states = {_name(one): one.state for one in self._study.get_trials(deepcopy=False)}
        known = {name for name, state in states.items() if state != TrialState.FAIL}  # what failed is tried again
        others = arms[1:]
        random.Random(self._seeds.start).shuffle(others)
        for arm in [arms[0], *others]:
            if arm.name not in known:
                self._study.enqueue_trial({"arm": arm.name})

    def _resumed(self, frozen: optuna.trial.FrozenTrial) -> _Rung:
        """Returns a configuration that was at work when an earlier process ended."""
        kept = optuna.Trial(self._study, frozen._trial_id)
        rung = min(len(frozen.intermediate_values), len(self._rungs) - 1)
        at = _Rung(self._arms[_name(frozen)], kept, rung, [])
        for seed in self._seeds:
            result = frozen.user_attrs.get(f"{rung}/{seed}")
            if result and Path(result["evaluation"]["uri"]).exists():
                at.values[seed] = result["value"]
            else:
                at.pending.append(seed)
        return at

    def _start(self, at: _Rung) -> Trial:
        seed = at.pending.pop(0)
        at.running.add(seed)
        return Trial(at.arm, seed, at.rung, self._rungs[at.rung])

    def _at(self, trial: Trial) -> _Rung:
        return next(at for at in self._active if at.arm.name == trial.arm.name)

    def _settle(self, at: _Rung) -> str | None:
        """Decides on a configuration once all its seeds are there."""
        if at.pending or at.running:
            return None
        if at.reasons:
            return self._end(at, FAILED, lambda: self._study.tell(at.kept, state=TrialState.FAIL))
        value = sum(at.values.values()) / len(at.values)
        at.kept.report(value, self._rungs[at.rung])
        if at.rung == len(self._rungs) - 1:
            return self._end(at, DONE, lambda: self._study.tell(at.kept, value))
        if at.kept.should_prune():
            return self._end(at, STOPPED, lambda: self._study.tell(at.kept, state=TrialState.PRUNED))
        at.rung += 1
        at.pending, at.values = list(self._seeds), {}
        return RUNNING

    def _end(self, at: _Rung, state: str, tell: Callable[[], Any]) -> str:
        tell()
        self._active.remove(at)
        return state


def _name(kept: optuna.trial.FrozenTrial) -> str:
    """Returns a configuration's name; one that waits has it among what it was enqueued with."""
    return kept.params.get("arm") or kept.system_attrs["fixed_params"]["arm"]
