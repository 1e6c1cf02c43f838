"""Watches what the code says while a model trains: curves for TensorBoard, and a warning when it says nothing."""

import logging
import math
from typing import Any

from models.board import Board
from models.callbacks import Budget, Callback, Plan
from models.checkpoints import State
from models.collapse import COLLAPSED, collapsed, remedy
from models.diagnosis import Diagnose, Diagnosis
from models.schedules import settled
from models.task import Task

_log = logging.getLogger("metaprior.training")
_progress = logging.getLogger("metaprior.progress")

CURVES = ("active_units", "mutual_information", "mismatch", "total_correlation")
CHARTS = {
    "of every dimension, nats": [r"rate/dimension_\d+"],
    "rate = mutual information + mismatch, nats": ["^rate$", "code/mutual_information", "code/mismatch"],
}
MOST_CURVES = 32
COLLAPSE = "training: posterior collapse"
FEW = 16  # examples whose codes may be alike by chance
EPOCHS, STEPS = 5, 500  # until both are over, a rate near zero may be the dip from which a healthy code rises


class Watch(Callback):
    """Writes what a sample of the evaluation split says about the code, while the budget allows.

    Tags: `code/active_units`, `code/mutual_information`, `code/mismatch`, `code/total_correlation`, and
    `rate/dimension_<index>` or, for more than 32 dimensions, the histogram `rate/dimensions`. Those that
    `Diagnosis` leaves undefined are left out.

    Warns of a collapsed code once per training, in the log and to the person who watches: when the training is
    over, or after five epochs and 500 steps once every schedule has come to its final value.

    Args:
        board: where to.
        state: the training's state; keeps the warning.
        plan: the training's steps.
        task: what is trained, for the words of the warning.
        diagnose: looks at a sample of the evaluation split.
        budget: the time it may take, the first look aside.
    """

    def __init__(self, board: Board, state: State, plan: Plan, *, task: Task, diagnose: Diagnose, budget: Budget):
        super().__init__()
        self._board = board
        self._state = state
        self._plan = plan
        self._task = task
        self._diagnose = diagnose
        self._budget = budget
        board.charts(CHARTS, category="rate")
        self._look()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks at the code as it is now."""
        over = self._state.stopped or self._state.step >= self._plan.total
        judged = not self._warned() and self._judges(epoch + 1, over)
        suspect = judged and logs["val_rate"] < COLLAPSED
        if not (over or suspect or self._budget.allows()):
            return
        with self._budget.spending():
            found = self._look()
        if judged and collapsed(logs["val_rate"], found.active_units):
            self._warn(found, logs["val_rate"], epoch + 1)
        elif over:
            _log.info("the code: %d of %d units active", found.active_units, found.latent)

    def _look(self) -> Diagnosis:
        found = self._diagnose()
        measures = {f"code/{name}": getattr(found, name) for name in CURVES}
        dimensions = found.dimensions or []
        if len(dimensions) <= MOST_CURVES:
            measures |= {f"rate/dimension_{index}": rate for index, rate in enumerate(dimensions)}
        else:
            self._board.histogram("eval", "rate/dimensions", dimensions, step=self._state.step)
        defined = {tag: value for tag, value in measures.items() if value is not None}
        self._board.scalars("eval", defined, step=self._state.step)
        return found

    def _judges(self, epochs: int, over: bool) -> bool:
        """Returns whether it is late enough, on enough examples, to call a code collapsed."""
        if self._diagnose.count < FEW:
            return False
        if over:
            return self._state.stopped or epochs >= EPOCHS or self._state.step >= STEPS
        return epochs >= EPOCHS and self._state.step >= STEPS and self._settled()

    def _warned(self) -> bool:
        return any(warning.startswith(COLLAPSE) for warning in self._state.warnings)

    def _settled(self) -> bool:
        step = self._state.step
        schedules = [schedule for term in self.model.terms for schedule in term.schedules.values()]
        return all(math.isclose(schedule.at(step), float(settled(schedule)), rel_tol=1e-5) for schedule in schedules)

    def _warn(self, found: Diagnosis, rate: float, epochs: int) -> None:
        task, short = self._task, self._state.step < STEPS and not self._state.stopped
        advice = remedy(
            task.model,
            task.spec,
            target=self.model.decoder.target,
            objective=str(self.model),
            epochs=self._plan.epochs if short else None,
        )
        text = (
            f"{COLLAPSE}: {found.active_units} of {found.latent} units carry information (rate {rate:.2f} nats on the "
            f"evaluation split after epoch {epochs}). {advice}"
        )
        self._state.warnings.append(text)
        for log in (_log, _progress):  # the log file has no progress, and the console nothing else
            log.warning(text)
