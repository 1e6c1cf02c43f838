"""What happens beside the steps of a training: counting, stopping, checkpoints, progress."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from models.checkpoints import Checkpoints, State
from models.errors import InputError

_progress = logging.getLogger("metaprior.progress")


@dataclass(frozen=True)
class Plan:
    """The steps of a training.

    Args:
        batch: examples a step.
        steps: steps an epoch, a multiple of `execution`.
        execution: steps that TensorFlow does in one call.
        epochs: the most epochs.
        held_out: examples of the evaluation split.
    """

    batch: int
    steps: int
    execution: int
    epochs: int
    held_out: int

    @classmethod
    def of(cls, count: int, held_out: int, *, batch: int, epochs: int, checkpoint_every: int) -> "Plan":
        """Returns the plan for `count` training examples.

        At most 32 steps go into one call, and so many that the fewest examples are left out of an epoch.
        """
        batch = min(batch, count)
        steps = count // batch
        most = min(32, checkpoint_every, steps)
        execution = min(range(most // 2 + 1, most + 1), key=lambda size: (steps % size, -size))
        return cls(batch, steps - steps % execution, execution, epochs, held_out)

    @property
    def total(self) -> int:
        """The most steps."""
        return self.steps * self.epochs


class Budget:
    """Keeps what is done on the side within a share of the time.

    Args:
        share: the part of the time since construction that `spending` may take.
    """

    def __init__(self, share: float):
        self._share = share
        self._spent = 0.0
        self._start = time.monotonic()

    def allows(self) -> bool:
        """Returns whether the share is not used up."""
        return self._spent <= self._share * (time.monotonic() - self._start)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Counts the time of a `with` block."""
        start = time.monotonic()
        yield
        self._spent += time.monotonic() - start


class Callback(keras.callbacks.Callback):
    """Keras's callback; the model is an autoencoder."""

    model: Any


class Count(Callback):
    """Counts steps and seconds, writes the history, and stops when the loss is not a number.

    Args:
        state: the training's state.
        plan: the training's steps.
    """

    def __init__(self, state: State, plan: Plan):
        super().__init__()
        self._state = state
        self._plan = plan
        self._tick = self._begin = self._trained = time.monotonic()
        self._first_step = state.step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the epoch's clock."""
        self._begin = self._trained = time.monotonic()
        self._first_step = self._state.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts one execution."""
        self._state.step += self._plan.execution
        self._trained = self._elapse()
        if not math.isfinite(logs["loss"]):
            raise self._diverged("loss")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the epoch to the history."""
        now = self._elapse()
        seen = (self._state.step - self._first_step) * self._plan.batch
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        held_out = {name.removeprefix("val_"): value for name, value in logs.items() if name not in train}
        train["examples_per_second"] = seen / max(self._trained - self._begin, 1e-9)
        train["gradient_norm"] = float(self.model.optimizer.gradient_norm.value)
        train["learning_rate"] = float(self.model.optimizer.learning_rate.value)
        train |= self.model.schedules_now()
        held_out["examples_per_second"] = self._plan.held_out / max(now - self._trained, 1e-9)
        entry = {"epoch": epoch + 1, "step": self._state.step, "train": train, "eval": held_out}
        self._state.history.append(entry)
        if not math.isfinite(held_out["objective"]):
            raise self._diverged("evaluation objective")

    def _elapse(self) -> float:
        now = time.monotonic()
        self._state.seconds += now - self._tick
        self._tick = now
        return now

    def _diverged(self, what: str) -> InputError:
        rate = float(self.model.optimizer.learning_rate.value)
        epoch = (self._state.step - 1) // self._plan.steps + 1
        return InputError(
            f"training: the {what} is not a number at step {self._state.step} (epoch {epoch}). "
            f"Lower training.learning_rate (now {rate:g}) or look for extreme values in the data."
        )


class EarlyStopping(Callback):
    """Keeps the weights of the best evaluation objective, and stops when it has not fallen for a while.

    The objective is the model's own with its schedules at their final values: for a plain variational
    autoencoder minus the ELBO; for one that is asked for another rate, or to predict a label, what it is
    asked for. Keras's own callback forgets where it stood when a training is resumed.

    Args:
        state: the training's state.
        best: copies of `model.weights`.
        patience: epochs to wait for a better objective.
    """

    def __init__(self, state: State, best: list[tf.Variable], *, patience: int):
        super().__init__()
        self._state = state
        self._best = best
        self._patience = patience

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the epoch with the best one."""
        state = self._state
        objective = logs["val_objective"]
        state.wait += 1
        if objective < state.best:
            state.best, state.best_epoch, state.wait = objective, epoch + 1, 0
            for copy, weight in zip(self._best, self.model.weights, strict=True):
                copy.assign(weight.value)
        if state.wait >= self._patience:
            state.stopped = self.model.stop_training = True


class Checkpointing(Callback):
    """Saves checkpoints: every so many steps, and at the end of epochs while the budget allows.

    Args:
        checkpoints: where they go.
        state: the training's state.
        plan: the training's steps.
        every: steps between checkpoints.
        budget: the time that checkpoints at the end of epochs may take.
    """

    def __init__(self, checkpoints: Checkpoints, state: State, plan: Plan, *, every: int, budget: Budget):
        super().__init__()
        self._checkpoints = checkpoints
        self._state = state
        self._plan = plan
        self._every = every
        self._budget = budget
        self._saved = state.step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Continues the metrics of an epoch that was cut off."""
        if self._state.step % self._plan.steps:
            self._checkpoints.restore_metrics()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves in the middle of an epoch; its end is saved after the evaluation."""
        if self._due() and self._state.step % self._plan.steps:
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves at the end of an epoch."""
        last = self._state.stopped or self._state.step >= self._plan.total
        if last or self._due() or self._budget.allows():
            self._save()

    def _due(self) -> bool:
        return self._state.step // self._every > self._saved // self._every

    def _save(self) -> None:
        with self._budget.spending():
            self._checkpoints.save()
        self._saved = self._state.step


class Progress(Callback):
    """Tells how far a training is, at most once a second.

    Args:
        state: the training's state.
        plan: the training's steps.
    """

    def __init__(self, state: State, plan: Plan):
        super().__init__()
        self._state = state
        self._plan = plan
        self._told = -math.inf

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells the position."""
        if time.monotonic() - self._told < 1:
            return
        self._told = time.monotonic()
        step, plan = self._state.step, self._plan
        epoch = f"epoch {(step - 1) // plan.steps + 1} of {plan.epochs}"
        history = self._state.history
        where = f"elbo {history[-1]['eval']['elbo']:.1f}" if history else f"step {step}"
        _progress.info("%s, %s", epoch, where, extra={"fraction": step / plan.total})
