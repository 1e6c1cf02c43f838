"""TensorBoard: curves, pictures, and the table of hyperparameters."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.hparams import api as hparams

from models import pictures
from models.callbacks import Budget, Callback, Plan
from models.checkpoints import State

EVERY = 200
# What TensorBoard says about a tag, or about all tags below a prefix.
DESCRIPTIONS = {
    "rate": "KL(q(z|x) || p(z)): what it takes to tell the code of one example, nats.",
    "rate/dimension_": "The rate of one dimension of the code, nats; one near zero carries nothing.",
    "rate/dimensions": "The rates of the dimensions of the code, nats; those near zero carry nothing.",
    "distortion": "-log p(x|z), summed over the event: what the code leaves untold about one example, nats.",
    "elbo": "The evidence lower bound, -(rate + distortion), nats per example. Higher is better.",
    "loss": "The weighted sum of the terms with the weights of this step, nats per example.",
    "objective": "The loss with every schedule at its final value, nats: what early stopping compares.",
    "learning_rate": "Adam's step size.",
    "gradient_norm": "Norm of the gradient at the epoch's last step.",
    "examples_per_second": "Examples per second of the epoch.",
    "term/": "A term of the objective, not weighted, nats per example.",
    "weight/": "The weight of the term of this name.",
    "target/": "What the term of this name is held to.",
    "final/": "Of the best epoch's weights, nats per example.",
    "code/active_units": "Dimensions whose posterior mean varies over the examples by more than 0.01 (variance).",
    "code/mutual_information": "What a code tells about which example it is of, nats. By the exact mixture over the "
    "examples looked at: never above the logarithm of their number, 6.93 for 1,024.",
    "code/mismatch": "KL(q(z) || p(z)) = rate - mutual information, nats: how far the codes of all examples together "
    "are from the prior. Where the mutual information is at its limit, too high.",
    "code/total_correlation": "How much the dimensions of the code know of each other, nats; 0 if independent.",
    "reconstructions": "Examples of the evaluation split, below them their reconstructions.",
    "samples": "Decoded samples of the prior.",
    "traversals": "One example; in each row one dimension of its code goes from -2 to 2.",
}
BOUNDS = ("elbo", "rate", "distortion")
MEASURES = ("loss", "objective", "learning_rate", "gradient_norm", "examples_per_second")


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
                tf.summary.scalar(tag(name), value, step, description=description(tag(name)))

    def images(self, run: str, images: Mapping[str, np.ndarray], *, step: int) -> None:
        """Writes pictures [height, width, channels], values from 0 to 1, by name."""
        with self._writers[run].as_default():
            for name, image in images.items():
                tf.summary.image(name, image[None], step, description=description(name))

    def histogram(self, run: str, name: str, values: Sequence[float], *, step: int) -> None:
        """Writes how values are distributed."""
        with self._writers[run].as_default():
            tf.summary.histogram(name, values, step, description=description(name))

    def charts(self, charts: Mapping[str, Sequence[str]], *, category: str) -> None:
        """Has TensorBoard's "Custom Scalars" draw several curves in one chart.

        Args:
            charts: by title, regular expressions of the tags.
            category: heading above the charts.
        """
        lines = {title: layout_pb2.MultilineChartContent(tag=tags) for title, tags in charts.items()}
        drawn = [layout_pb2.Chart(title=title, multiline=content) for title, content in lines.items()]
        layout = layout_pb2.Layout(category=[layout_pb2.Category(title=category, chart=drawn)])
        with self._writers["eval"].as_default():
            tf.summary.experimental.write_raw_pb(custom_scalar.pb(layout).SerializeToString(), step=0)

    def hyperparameters(self, values: Mapping[str, Any], results: Mapping[str, float], *, step: int) -> None:
        """Writes what the HParams plugin shows: plain values, and final results as scalars `final/<name>`.

        Args:
            values: hyperparameters by name.
            results: the trained model's `elbo`, `rate` and `distortion` on the evaluation split, nats.
            step: the step of the trained model.
        """
        with self._writers["eval"].as_default():
            _columns(values)
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
        batch: a few images of the evaluation split, and what stands beside them.
        budget: the time the pictures may take.
    """

    def __init__(self, board: Board, state: State, plan: Plan, *, batch: Mapping[str, tf.Tensor], budget: Budget):
        super().__init__()
        self._board = board
        self._state = state
        self._plan = plan
        self._batch = batch
        self._budget = budget

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draws the model as it is now."""
        last = self._state.stopped or self._state.step >= self._plan.total
        if not last and not self._budget.allows():
            return
        with self._budget.spending():
            self._board.images("eval", pictures.all_of(self.model, self._batch), step=self._state.step)


def hyperparameters(
    model: Mapping[str, Any], training: Mapping[str, Any], *, seed: int, objective: str
) -> dict[str, Any]:
    """Returns what a row of the HParams table says of a training: plain values by name.

    Args:
        model: the configuration's `model` section.
        training: its `training` section.
        seed: the run's seed.
        objective: the objective in one line.
    """
    sections = {"model": model, "training": training, "parameters": model["parameters"]}
    values: dict[str, Any] = {"seed": seed, "objective": objective}
    for section, entries in sections.items():
        plain = {name: value for name, value in entries.items() if isinstance(value, (bool, int, float, str))}
        values |= {f"{section}.{name}": value for name, value in plain.items()}
    return values


def declare(folder: Path, names: Iterable[str]) -> None:
    """Says which columns the HParams table of all trainings below a folder has.

    Each training declares its own, and TensorBoard takes the first declaration it finds: that of the folder itself,
    where it reads runs in order (`--load_fast=false`).

    Args:
        folder: the folder; made if it is not there. What it declared before is forgotten.
        names: the hyperparameters of all of them.
    """
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        _columns(names)
    writer.close()


def _columns(names: Iterable[str]) -> None:
    metrics = [hparams.Metric(f"final/{name}", display_name=name) for name in BOUNDS]
    hparams.hparams_config(hparams=[hparams.HParam(name) for name in names], metrics=metrics)


def tag(name: str) -> str:
    """Returns the TensorBoard tag of a metric: bounds and measures by name, all else is a term's or has its own."""
    if name in BOUNDS or name in MEASURES or "/" in name:
        return name
    return f"term/{name}"


def description(tag: str) -> str | None:
    """Returns what TensorBoard says about a tag, None for one that nobody has described."""
    if tag in DESCRIPTIONS:
        return DESCRIPTIONS[tag]
    return next((text for prefix, text in DESCRIPTIONS.items() if tag.startswith(prefix) and prefix[-1] in "/_"), None)
