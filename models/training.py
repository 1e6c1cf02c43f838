"""The Trainer's entry point: data and task in, a trained model artifact out."""

import dataclasses
import logging
import math
import statistics
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from models import export, pictures, projector
from models.board import Board, Curves, Pictures, hyperparameters
from models.callbacks import Budget, Checkpointing, Count, EarlyStopping, Plan, Progress
from models.checkpoints import Checkpoints, State
from models.diagnosis import Diagnose, sample
from models.errors import InputError
from models.features.dataset import Examples
from models.features.resolve import resolve
from models.optimizers import Adam
from models.task import Task
from models.watch import Watch

_log = logging.getLogger("metaprior.training")

SHARE = 0.01  # of the time: what pictures, and checkpoints that no step count asks for, may each take


def run_fn(fn_args: Any) -> None:
    """Trains a model and writes the trained model artifact: TFX's Trainer calls this.

    Args:
        fn_args: TFX's `FnArgs`; `custom_config` holds a `Task`.

    Raises:
        InputError: if there are too few examples, the loss stops being a number, or a folder cannot be written.
    """
    transform = tft.TFTransformOutput(fn_args.transform_graph_path)
    task = Task.of(fn_args.custom_config)
    spec = resolve(task.spec, fn_args.transform_graph_path)
    count = Examples(fn_args.train_files, transform, spec).count()
    task = task.resolved(dataclasses.replace(spec, examples=count))
    train = Examples(fn_args.train_files, transform, task.spec)
    held_out = Examples(fn_args.eval_files, transform, task.spec)
    training = Training(task, train, held_out, folder=Path(fn_args.model_run_dir))
    summary = training.run()
    folder = Path(fn_args.serving_model_dir).parent
    export.write(training.model, task, held_out, train=train, summary=summary, folder=folder)
    training.checkpoints.clear()


class Training:
    """One training, from where its checkpoints left it to the best weights.

    Args:
        task: what to train.
        train: the training split.
        held_out: the evaluation split.
        folder: where TensorBoard's files go.
    """

    def __init__(self, task: Task, train: Examples, held_out: Examples, *, folder: Path):
        section = task.training
        keys = ("batch", "epochs", "checkpoint_every")
        self.plan = Plan.of(*_counts(train, held_out), **{key: section[key] for key in keys})
        self.state = State()
        self.model = task.build()
        self.model.compile(
            optimizer=Adam(section["learning_rate"]),
            steps_per_execution=self.plan.execution,
            jit_compile=task.compiles(self.model, steps=self.plan.total),  # pyright: ignore[reportArgumentType]
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self._best = [tf.Variable(weight.value) for weight in self.model.weights]
        self.checkpoints = Checkpoints(task.checkpoints, model=self.model, best=self._best, state=self.state)
        self._task, self._train, self._board = task, train, Board(folder)
        self._held_out = held_out.evaluation(batch=self.plan.batch)
        self._sample = sample(self._held_out)
        self._diagnose = Diagnose(self.model, self._sample)

    def run(self) -> dict[str, Any]:
        """Trains, puts the best weights back and returns the summary that goes into `training.json`."""
        if self.checkpoints.restore(self.plan.total):
            _log.info("resuming at step %d", self.state.step)
        self._fit()
        for copy, weight in zip(self._best, self.model.weights, strict=True):
            weight.assign(copy)
        summary = self._summary()
        self._show(summary)
        return summary

    def _fit(self) -> None:
        state, plan, callbacks = self.state, self.plan, self._callbacks()
        # Keras counts whole epochs, so the rest of one that was cut off is a fit of its own.
        rest = -state.step % plan.steps
        if rest:
            self._keras_fit(callbacks, last=state.step // plan.steps + 1, steps=rest)
        if not state.stopped and state.step < plan.total:
            self._keras_fit(callbacks, last=plan.epochs, steps=plan.steps)

    def _keras_fit(self, callbacks: list[keras.callbacks.Callback], *, last: int, steps: int) -> None:
        plan, start = self.plan, self.state.step
        data = self._train.training(
            batch=plan.batch, steps=plan.steps, seed=self._task.seed, start=start, extrinsic=self.model.extrinsic
        )
        self.model.fit(
            data,
            validation_data=self._held_out,
            initial_epoch=start // plan.steps,
            epochs=last,
            steps_per_epoch=steps,
            validation_steps=math.ceil(plan.held_out / plan.batch),
            callbacks=callbacks,
            shuffle=False,
            verbose=0,  # pyright: ignore[reportArgumentType]  (Keras has types only by its default, "auto")
        )

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        state, plan, section = self.state, self.plan, self._task.training
        every, patience = section["checkpoint_every"], section["patience"]
        callbacks = [
            Count(state, plan),
            EarlyStopping(state, self._best, patience=patience),
            Watch(self._board, state, plan, task=self._task, diagnose=self._diagnose, budget=Budget(SHARE)),
            Checkpointing(self.checkpoints, state, plan, every=every, budget=Budget(SHARE)),
            Progress(state, plan),
            Curves(self._board, state),
        ]
        if pictures.drawable(self.model, self._task.spec):
            batch = {key: value[:8] for key, value in self._sample.items()}
            callbacks.append(Pictures(self._board, state, plan, batch=batch, budget=Budget(SHARE)))
        return callbacks

    def _summary(self) -> dict[str, Any]:
        state, plan = self.state, self.plan
        best = state.history[state.best_epoch - 1]
        return {
            "steps": state.step,
            "epochs": len(state.history),
            "best_epoch": state.best_epoch,
            "stopped": "early" if state.stopped and len(state.history) < plan.epochs else "limit",
            "rate": best["eval"]["rate"],
            "distortion": best["eval"]["distortion"],
            "elbo": best["eval"]["elbo"],
            "code": self._diagnose().record(),
            "warnings": state.warnings,
            "seconds": round(state.seconds, 3),
            "examples_per_second": statistics.median(e["train"]["examples_per_second"] for e in state.history),
        }

    def _show(self, summary: dict[str, Any]) -> None:
        task, best = self._task, self.state.history[self.state.best_epoch - 1]
        values = hyperparameters(task.model, task.training, seed=task.seed, objective=str(self.model))
        self._board.hyperparameters(values, summary, step=best["step"])
        self._board.close()
        projector.write(self.model, self._held_out, spec=task.spec, folder=self._board.folder / "eval")


def _counts(train: Examples, held_out: Examples) -> tuple[int, int]:
    count, others = train.spec.examples or train.count(), held_out.count()
    if count < 2:
        raise InputError(
            f"data.source: training needs at least 2 examples, the training split has {count}. "
            "Give more data or a larger data.splits.train."
        )
    if not others:
        raise InputError(
            f"data.splits: the evaluation split has no examples (the training split has {count}). "
            "Give more data or a larger data.splits.eval."
        )
    return count, others
