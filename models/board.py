"""TensorBoard: curves, pictures, and the table of hyperparameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from models import pictures
from models.callbacks import Budget, Callback, Plan
from models.checkpoints import State

EVERY = 200
BOUNDS = ("elbo", "rate", "distortion")
MEASURES = ("loss", "learning_rate", "gradient_norm", "examples_per_second")


class Board:
    """TensorBoard's files of one training: the runs `train` and `eval`.

    One file a run: TensorBoard stops following a file once it has seen a younger one beside it.

    Args:
        folder: TensorBoard's log folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._writers = {run: tf.summary.create_file_writer(str(folder / run)) for run in ("train", "eval")}

    def scalars(self, run: str, values: Mapping[str, float], *, step: int) -> None:
        """Writes metrics by name, see `tag`."""
        with self._writers[run].as_default():
            for name, value in values.items():
                tf.summary.scalar(tag(name), value, step)

    def images(self, run: str, images: Mapping[str, np.ndarray], *, step: int) -> None:
        """Writes pictures [height, width, channels], values from 0 to 1, by name."""
        with self._writers[run].as_default():
            for name, image in images.items():
                tf.summary.image(name, image[None], step)

    def hyperparameters(self, values: Mapping[str, Any], results: Mapping[str, float], *, step: int) -> None:
        """Writes what the HParams plugin shows: plain values, and final results as scalars `final/<name>`.

        Args:
            values: hyperparameters by name.
            results: the trained model's `elbo`, `rate` and `distortion` on the evaluation split, nats.
            step: the step of the trained model.
        """
        metrics = [hparams.Metric(f"final/{name}", display_name=name) for name in BOUNDS]
        with self._writers["eval"].as_default():
            hparams.hparams_config(hparams=[hparams.HParam(name) for name in values], metrics=metrics)
            hparams.hparams(dict(values))
        self.scalars("eval", {f"final/{name}": results[name] for name in BOUNDS}, step=step)

    def flush(self) -> None:
        """Writes out what is still in memory."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Writes out what is still in memory and closes the files."""
        for writer in self._writers.values():
            writer.close()


class Curves(Callback):
    """Writes scalars of the training and of the evaluation split.

    Tags: `rate`, `distortion`, `elbo` (nats), `loss`, `term/<name>` and `weight/<name>`,
    `learning_rate`, `gradient_norm`, `examples_per_second`. Values in the middle of an epoch are means
    since its start.

    Args:
        board: where to.
        state: the training's state; an earlier history is written first.
    """

    def __init__(self, board: Board, state: State):
        super().__init__()
        self._board = board
        self._state = state
        self._written = state.step
        for entry in state.history:
            self._write(entry)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes the training's means so far, every 200 steps."""
        step = self._state.step
        if step // EVERY > self._written // EVERY:
            self._board.scalars("train", logs, step=step)
            self._written = step

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the epoch."""
        self._write(self._state.history[-1])
        self._board.flush()
        self._written = self._state.step

    def _write(self, entry: Mapping[str, Any]) -> None:
        for run in ("train", "eval"):
            self._board.scalars(run, entry[run], step=entry["step"])


class Pictures(Callback):
    """Writes reconstructions, samples from the prior and latent traversals as images, while the budget allows.

    Args:
        board: where to.
        state: the training's state.
        plan: the training's steps.
        x: a few images of the evaluation split [count, height, width, channels].
        budget: the time the pictures may take.
    """

    def __init__(self, board: Board, state: State, plan: Plan, *, x: tf.Tensor, budget: Budget):
        super().__init__()
        self._board = board
        self._state = state
        self._plan = plan
        self._x = x
        self._budget = budget

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draws the model as it is now."""
        last = self._state.stopped or self._state.step >= self._plan.total
        if not last and not self._budget.allows():
            return
        with self._budget.spending():
            self._board.images("eval", self._draw(), step=self._state.step)

    def _draw(self) -> dict[str, np.ndarray]:
        samples = self.model.sample(64, seed=0)
        return {
            "reconstructions": pictures.reconstructions(self.model, self._x),
            "samples": pictures.grid(samples.numpy(), columns=8),
            "traversals": pictures.traversals(self.model, self._x[:1]),
        }


def tag(name: str) -> str:
    """Returns the TensorBoard tag of a metric: bounds and measures by name, all else is a term's or has its own."""
    if name in BOUNDS or name in MEASURES or "/" in name:
        return name
    return f"term/{name}"
