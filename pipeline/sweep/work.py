"""The trials of a sweep at work: who runs what, and what comes of it."""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from components.evaluator.schema import EVALUATION_FILE, Metric, find, read_evaluation
from components.frontier.schema import LeftOut
from components.frontier.wording import amount
from models.errors import InputError
from pipeline import events
from pipeline.config import Config
from pipeline.launch import write_settings
from pipeline.sweep import grid
from pipeline.sweep.grid import Trial
from pipeline.sweep.pool import Failed, Finished, Pool, Told
from pipeline.sweep.schedule import FAILED, RUNNING, WAITING, Result, Schedule
from pipeline.sweep.view import View

BLINK = 0.25  # seconds between two looks at the clock


class Work:
    """Trials until the budget is used up, nothing is left to try, or the data turns out to be unusable.

    Args:
        config: the sweep's configuration.
        schedule: says which trial is next.
        pool: runs them.
        view: shows them.

    Attributes:
        broken: what kept the first trial from reaching its training; None where nothing did.
    """

    def __init__(self, config: Config, *, schedule: Schedule, pool: Pool, view: View):
        self._config, self._schedule, self._pool, self._view = config, schedule, pool, view
        self._metric, self._rungs = grid.usefulness(config), grid.rungs(config)
        # The first trial ingests and transforms; the others wait for it, and find that in the cache.
        self._head_done = False
        self.broken: Failed | None = None

    def train(self) -> None:
        """Runs trials; those still at work when the budget is used up are stopped, their checkpoints stay."""
        self._remember()
        deadline = time.monotonic() + 60 * self._config.sweep.minutes
        while self.broken is None and time.monotonic() < deadline:
            self._fill()
            if not self._pool.busy:
                return
            heard = self._pool.next(min(BLINK, deadline - time.monotonic()))
            if heard is not None:
                self._take(*heard)
        for slot, running in list(self._view.running.items()):
            self._pool.stop(slot)
            self._schedule.give_back(running.trial)
            self._view.stopped(slot)

    def whole(self) -> bool:
        """Returns whether a configuration has all its seeds at some rung."""
        counts = Counter((trial.arm.name, trial.rung) for trial, _ in self._schedule.results())
        return self._config.sweep.seeds in counts.values()

    def left_out(self) -> list[LeftOut]:
        """Returns what the budget or a failure kept from being complete."""
        counts = Counter((trial.arm.name, trial.rung) for trial, _ in self._schedule.results())
        found = []
        for arm, state, reasons in self._schedule.standing():
            top = max((rung for name, rung in counts if name == arm.name), default=0)
            reach = f"{counts[arm.name, top]} of {self._config.sweep.seeds} seeds at {self._rungs[top]} epochs"
            why = {
                WAITING: "not begun when the minutes were over",
                RUNNING: f"not finished when the minutes were over: {reach}",
                FAILED: "; ".join(reasons),
            }
            if state in why:
                found.append(LeftOut(arm.name, why[state]))
        return found

    def _remember(self) -> None:
        """Shows what earlier commands did."""
        for trial, result in self._schedule.results():
            self._view.known(trial, amount(result["value"], self._view.unit))
        for arm, state, _ in self._schedule.standing():
            self._view.rows[arm.name].state = WAITING if state == RUNNING else state

    def _fill(self) -> None:
        for slot in range(self._config.sweep.jobs if self._head_done else 1):
            if slot in self._pool.busy:
                continue
            trial = self._schedule.next()
            if trial is None:
                return
            config = grid.run_of(self._config, trial)
            run, _ = write_settings(config)
            self._view.start(slot, trial)
            promotable = trial.rung < len(self._rungs) - 1
            models = [] if self._head_done else self._models()
            self._pool.order(slot, run=run, config=config.model_dump(mode="json"), promotable=promotable, models=models)

    def _models(self) -> list[dict[str, Any]]:
        """Returns the section `model` of every configuration."""
        trials = (Trial(arm, self._config.seed, 0, self._rungs[0]) for arm in grid.arms(self._config))
        return [grid.run_of(self._config, trial).model.model_dump(mode="json") for trial in trials]

    def _take(self, slot: int, told: Told) -> None:
        trial = self._view.running[slot].trial
        match told:
            case Finished(result):
                self._head_done = True
                self._finished(slot, trial, result)
            case Failed() if not self._head_done:
                self.broken = told
                del self._view.running[slot]
            case Failed(component, reason):
                self._failed(slot, trial, f"{component}: {reason}" if component else reason)
            case events.Start("Trainer"):
                self._head_done = True
                self._view.tell(slot, told)
            case _:
                self._view.tell(slot, told)

    def _finished(self, slot: int, trial: Trial, result: Result) -> None:
        try:
            numbers = self._numbers(Path(result["evaluation"]["uri"], EVALUATION_FILE))
        except InputError as error:
            self._failed(slot, trial, str(error))
            return
        self._view.unit = numbers[-1].unit
        self._view.done(slot, ", ".join(f"{one.name} {amount(one.value, one.unit)}" for one in numbers))
        self._decided(trial, self._schedule.done(trial, result, numbers[-1].value))

    def _numbers(self, path: Path) -> list[Metric]:
        """Returns rate, distortion and usefulness.

        Raises:
            InputError: if one of them was not measured.
        """
        evaluation = read_evaluation(path)
        reasons = {omission.metric: omission.reason for omission in evaluation.omitted}
        found = []
        for name in (*grid.AXES, self._metric):
            metric = find(evaluation.metrics, name)
            if metric is None:
                raise InputError(f"{name} was not measured: {reasons.get(name, 'the evaluation has no such metric')}")
            found.append(metric)
        return found

    def _failed(self, slot: int, trial: Trial, reason: str) -> None:
        self._view.failed(slot, reason)
        self._decided(trial, self._schedule.failed(trial, reason))

    def _decided(self, trial: Trial, state: str | None) -> None:
        """Shows a decision; a configuration that will not go on needs its checkpoints no more."""
        if state is None:
            return
        mine = [(t, r) for t, r in self._schedule.results() if t.arm.name == trial.arm.name]
        values = [result["value"] for one, result in mine if one.rung == trial.rung]
        self._view.decided(trial, state, sum(values) / len(values) if values else None)
        if state != RUNNING:
            for _, result in mine:
                shutil.rmtree(result["checkpoints"], ignore_errors=True)


def order_of(results: list[tuple[Trial, Result]]) -> dict[str, Any]:
    """Returns the ids of the artifacts that a frontier is made of."""
    return {
        "evaluations": [result["evaluation"]["id"] for _, result in results],
        "models": [result["model"]["id"] for _, result in results],
        "examples": [results[0][1]["examples"]["id"]],
    }
