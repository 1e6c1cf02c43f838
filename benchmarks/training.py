"""Training speed: `model.fit` as `models.training` runs it, beside a loop written by hand.

    python -m benchmarks.training [--rounds 5] [--threads 1]

Same model, optimizer, batches and choice of XLA, steady state. Runs alternate, so that other load on the
machine meets all of them; printed are medians over the rounds of the ratio to the hand-written loop of the
same round, with the range, by wall clock and by CPU time. `fit and side work` does beside its steps what a
training does: checkpoints, curves, pictures, progress (evaluation left out, for it is work asked for).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # as `models` wants it; here TensorFlow comes first
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from models.board import Board, Curves, Pictures
from models.callbacks import Budget, Checkpointing, Count, EarlyStopping, Plan, Progress
from models.checkpoints import Checkpoints, State
from models.features.spec import FeatureSpec
from models.optimizers import Adam
from models.recipes import build
from models.training import SHARE


@dataclass(frozen=True)
class Case:
    """A network and how long one run of it is."""

    name: str
    shape: tuple[int, int, int]
    network: str
    xla: bool
    steps: int

    @property
    def plan(self) -> Plan:
        """The steps of one run."""
        return Plan.of(self.steps * 64, 64, batch=64, epochs=10**6, checkpoint_every=500)

    def model(self) -> keras.Model:
        """Returns a compiled model."""
        model = build("vae", FeatureSpec("image", self.shape, "uint8"), latent=16, network=self.network)
        model.compile(Adam(1e-3), jit_compile=self.xla, steps_per_execution=self.plan.execution)
        model.optimizer.build(model.trainable_variables)
        return model

    def data(self) -> tf.data.Dataset:
        """Returns an endless stream of batches from memory."""
        images = np.random.default_rng(0).random((4096, *self.shape), np.float32)
        options = tf.data.Options()
        options.autotune.enabled = False
        batches = tf.data.Dataset.from_tensor_slices({"x": images}).batch(64, drop_remainder=True)
        return batches.repeat().prefetch(4).with_options(options)


CASES = [
    Case("MLP 28x28x1", (28, 28, 1), "mlp", True, 480),
    Case("conv 64x64x1", (64, 64, 1), "conv", False, 48),
]


class Validated(keras.callbacks.Callback):
    """Stands for the evaluation, whose time is not measured here: reports the training's own numbers."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Adds them to the logs that the other callbacks see."""
        logs |= {f"val_{name}": value for name, value in logs.items()}


def by_hand(case: Case) -> Callable[[], None]:
    model, optimizer = case.model(), Adam(1e-3)
    optimizer.build(model.trainable_variables)

    def step(batch):
        with tf.GradientTape() as tape:
            model(batch, training=True)
            loss = tf.add_n(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    step = tf.function(step, jit_compile=case.xla)

    @tf.function
    def steps(iterator, count):
        for _ in tf.range(count):
            step(next(iterator))

    iterator = iter(case.data())
    return lambda: steps(iterator, tf.constant(case.plan.steps))


def by_fit(case: Case, callbacks: Callable[[keras.Model], list] = lambda _: []) -> Callable[[], None]:
    model, data, plan = case.model(), case.data(), case.plan
    made = callbacks(model)
    return lambda: model.fit(data, steps_per_epoch=plan.steps, callbacks=made, verbose=0, shuffle=False)


def side_work(case: Case, folder: Path) -> Callable[[keras.Model], list]:
    def callbacks(model: keras.Model) -> list:
        plan, state, board = case.plan, State(), Board(folder)
        best = [tf.Variable(weight.value) for weight in model.weights]
        checkpoints = Checkpoints(str(folder / "checkpoints"), model=model, best=best, state=state)
        batch = {"x": next(iter(case.data()))["x"][:8]}
        return [
            Validated(),
            Count(state, plan),
            EarlyStopping(state, best, patience=10**9),
            Checkpointing(checkpoints, state, plan, every=500, budget=Budget(SHARE)),
            Progress(state, plan),
            Curves(board, state),
            Pictures(board, state, plan, batch=batch, budget=Budget(SHARE)),
        ]

    return callbacks


def measure(run: Callable[[], None]) -> np.ndarray:
    """Returns wall-clock and CPU seconds of one run."""
    start = np.array([time.perf_counter(), time.process_time()])
    run()
    return np.array([time.perf_counter(), time.process_time()]) - start


def compare(case: Case, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "by hand": by_hand(case),
            "fit": by_fit(case),
            "fit and side work": by_fit(case, side_work(case, Path(folder))),
        }
        for run in runs.values():
            run()  # traces, compiles
        seconds = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                seconds[name].append(measure(run))
    base = np.array(seconds["by hand"])
    rate = case.plan.steps * 64 / np.median(base, axis=0)
    print(f"{case.name}, by hand: {rate[0]:,.0f} examples per second, {rate[1]:,.0f} per CPU second")
    for name in list(runs)[1:]:
        wall, cpu = (base / np.array(seconds[name])).T
        print(f"  {name:18} {described(wall)} by wall clock, {described(cpu)} by CPU time", flush=True)
    side = (np.array(seconds["fit and side work"]) / np.array(seconds["fit"]) - 1).T
    print(
        f"  side work costs {statistics.median(side[0]):+.1%} of wall clock, {statistics.median(side[1]):+.1%} of CPU"
    )


def described(ratios: np.ndarray) -> str:
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    for case in CASES:
        compare(case, arguments.rounds)


if __name__ == "__main__":
    main()
