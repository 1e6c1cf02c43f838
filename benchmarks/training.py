"""Training speed: `model.fit` as `models.training` runs it, beside a loop written by hand and beside pythae.

    python -m benchmarks.training [--rounds 5] [--threads 1] [--only 'vae mlp' 'vae conv'] [--other-xla] [--times 10]

Same network, batch, optimizer and likelihood everywhere, data in memory, steady state, as many cores as threads.
Runs alternate, so that other load on the machine meets all of them; printed are medians over the rounds of the
ratio of speeds in the same round, with the range, by wall clock and by CPU time.

`fit and side work` does beside its steps what a training does: checkpoints, curves, pictures, diagnosis, progress
(evaluation left out, for it is work asked for). `pythae` is version 0.1.2 with its own models, data loader and
trainers, in an environment that is made at the first use. Its FactorVAE halves the batch, learns to reconstruct
one half and permutes the other; so it is measured reading 64 examples a step as ours does, and learning from 64.
"""

import argparse
import itertools
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_ENABLE_ONEDNN_OPTS": "1"}  # as in `models`; here TensorFlow comes first
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers import pythae
from models.autoencoder import Autoencoder
from models.board import Board, Curves, Pictures
from models.callbacks import Budget, Checkpointing, Count, EarlyStopping, Plan, Progress
from models.checkpoints import Checkpoints, State
from models.diagnosis import Diagnose
from models.factors import Bernoulli, Factor
from models.features.spec import FeatureSpec
from models.networks import dense
from models.optimizers import Adam
from models.recipes.plan import Plan as Parts
from models.recipes.records import function, validate
from models.task import LONG, Task
from models.training import SHARE
from models.watch import Watch

BATCH, LATENT, HIDDEN, RATE = 64, 16, (400, 400), 1e-3
SHAPES = {"mlp": (28, 28, 1), "conv": (64, 64, 1)}
BY_HAND, FIT, SIDE, OTHER = "by hand", "fit", "fit and side work", "fit, other XLA"


class Narrow(Parts):
    """The plan of a recipe, its dense networks of the widths compared here."""

    def trunk(self) -> keras.Layer:
        """Returns the encoder's network."""
        return dense.encoder(self.spec.event_shape, HIDDEN) if self.network == "mlp" else super().trunk()

    def decoder(self, likelihood: str = "auto") -> Factor:
        """Returns p(x|z)."""
        if self.network == "mlp":
            return Bernoulli(dense.decoder(self.spec.event_shape, HIDDEN))
        return super().decoder(likelihood)


@dataclass(frozen=True)
class Case:
    """A recipe with a network, and how many steps one run of it is."""

    recipe: str
    network: str
    steps: int

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.recipe} {self.network}"

    @property
    def plan(self) -> Plan:
        """The steps of one run."""
        return Plan.of(self.steps * BATCH, BATCH, batch=BATCH, epochs=10**6, checkpoint_every=500)

    @property
    def parameters(self) -> dict[str, Any]:
        """The recipe's parameters, at the papers' values."""
        return validate(self.recipe, {})

    @property
    def task(self) -> Task:
        """The case as a long training knows it."""
        spec = FeatureSpec("image", SHAPES[self.network], "uint8", examples=self.steps * BATCH)
        model = {"recipe": self.recipe, "latent": LATENT, "network": self.network, "parameters": self.parameters}
        return Task(spec=spec, model=model, training={"xla": "auto"}, seed=0, data={}, checkpoints="")

    def model(self) -> Autoencoder:
        """Returns the model."""
        spec = self.task.spec
        model = function(self.recipe)(Narrow(spec=spec, latent=LATENT, network=self.network), **self.parameters)
        model.build({"x": (None, *spec.event_shape)})
        return model

    def data(self) -> tf.data.Dataset:
        """Returns an endless stream of batches from memory, shuffled anew in every epoch."""
        count = self.steps * BATCH
        images = tf.constant(np.random.default_rng(0).random((count, *SHAPES[self.network]), np.float32))
        options = tf.data.Options()
        options.autotune.enabled = False
        rows = tf.data.Dataset.range(count).shuffle(count).repeat().batch(BATCH, drop_remainder=True)
        return rows.map(lambda index: {"x": tf.gather(images, index)}).prefetch(4).with_options(options)

    def peers(self) -> dict[str, dict[str, Any]]:
        """Returns what pythae is asked for, by the name of the row."""
        model = self.model()
        asked = {
            "recipe": self.recipe,
            "network": self.network,
            "shape": SHAPES[self.network],
            "hidden": HIDDEN,
            "latent": LATENT,
            "steps": self.steps,
            "learning_rate": RATE,
            "epsilon": Adam().epsilon,
            "parameters": {key: value for key, value in self.parameters.items() if not key.startswith("critic")},
        }
        batches = {"pythae": BATCH}
        for critic in model.critics:
            hidden, its = [bias.shape[0] for bias in critic.network.weights[1:-2:2]], critic.optimizer
            rate = float(its.learning_rate.value)
            asked["critic"] = {"hidden": hidden, "learning_rate": rate, "betas": [its.beta_1, its.beta_2]}
            batches = {"pythae, reads 64": BATCH, "pythae, learns from 64": 2 * BATCH}
        return {row: asked | {"name": f"{self.name}, {row}", "batch": batch} for row, batch in batches.items()}


CASES = [
    Case("vae", "mlp", 480),
    Case("beta_tcvae", "mlp", 480),
    Case("factor_vae", "mlp", 64),
    Case("vae", "conv", 32),
    Case("beta_tcvae", "conv", 32),
    Case("factor_vae", "conv", 32),
]


class Validated(keras.callbacks.Callback):
    """Stands for the evaluation, whose time is not measured here: reports the training's own numbers."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Adds them to the logs that the other callbacks see."""
        logs |= {f"val_{name}": value for name, value in logs.items()}


def by_hand(case: Case, *, xla: bool) -> Callable[[], None]:
    model, optimizer = case.model(), Adam(RATE)
    optimizer.build(model.trainable_variables)

    def step(batch):
        with tf.GradientTape() as tape:
            model(batch, training=True)
            loss = tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    step = tf.function(step, jit_compile=xla)

    @tf.function
    def steps(iterator, count):
        for _ in tf.range(count):
            step(next(iterator))

    iterator = iter(case.data())
    return lambda: steps(iterator, tf.constant(case.steps))


def by_fit(case: Case, callbacks: Callable[[keras.Model], list] = lambda _: [], *, xla: bool) -> Callable[[], None]:
    model, data, plan = case.model(), case.data(), case.plan
    model.compile(Adam(RATE), jit_compile=xla, steps_per_execution=plan.execution)
    model.optimizer.build(model.trainable_variables)
    made = callbacks(model)
    return lambda: model.fit(data, steps_per_epoch=plan.steps, callbacks=made, verbose=0, shuffle=False)


def side_work(case: Case, folder: Path, share: float) -> Callable[[keras.Model], list]:
    def callbacks(model: keras.Model) -> list:
        plan, state, board = case.plan, State(), Board(folder)
        best = [tf.Variable(weight.value) for weight in model.weights]
        checkpoints = Checkpoints(str(folder / "checkpoints"), model=model, best=best, state=state)
        sample = next(iter(case.data().rebatch(1024)))
        return [
            Validated(),
            Count(state, plan),
            EarlyStopping(state, best, patience=10**9),
            Watch(board, state, plan, task=case.task, diagnose=Diagnose(model, sample), budget=Budget(share)),
            Checkpointing(checkpoints, state, plan, every=500, budget=Budget(share)),
            Progress(state, plan),
            Curves(board, state),
            Pictures(board, state, plan, batch={"x": sample["x"][:8]}, budget=Budget(share)),
        ]

    return callbacks


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Runs and returns wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(case: Case, peer: pythae.Peer | None, *, rounds: int, other_xla: bool) -> None:
    """Measures one case and prints its table."""
    xla, asked = case.task.compiles(case.model(), steps=LONG), case.peers() if peer else {}
    print(f"\n{case.name}, batch {BATCH}, XLA {'on' if xla else 'off'}, {sizes(case, asked, peer)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = {BY_HAND: by_hand(case, xla=xla), FIT: by_fit(case, xla=xla)}
        if case.recipe == "vae":
            # What budgets go by is the wall clock, of which this run has about a quarter.
            runs[SIDE] = by_fit(case, side_work(case, Path(folder), SHARE / 4), xla=xla)
        if other_xla and case.network == "mlp":
            runs[OTHER] = by_fit(case, xla=not xla)
        calls = {name: partial(timed, run) for name, run in runs.items()}
        calls |= {row: partial(peer.run, each["name"]) for row, each in asked.items()}
        seconds = {name: [] for name in calls}
        for _ in range(1 + rounds):
            for name, call in calls.items():
                seconds[name].append(call())
    # The first round traces, compiles and warms up.
    report(case, {name: np.array(values[1:]) for name, values in seconds.items()}, list(asked))


def sizes(case: Case, asked: dict[str, dict], peer: pythae.Peer | None) -> str:
    """Has pythae build its models and returns the numbers of parameters in words.

    Raises:
        ValueError: if the architectures differ.
    """
    model = case.model()
    ours = {"model": sum(math.prod(weight.shape) for weight in model.trainable_weights), "critic": 0}
    for critic in model.critics:
        ours["critic"] = sum(math.prod(weight.shape) for weight in critic.network.weights)
    text = f"parameters {ours}"
    for each in asked.values():
        theirs = peer.build(each)
        # The loss of pythae's FactorVAE reads two logits, ours one: its last layer is twice as wide.
        logit = each["critic"]["hidden"][-1] + 1 if ours["critic"] else 0
        if theirs != {"model": ours["model"], "critic": ours["critic"] + logit}:
            raise ValueError(f"`{each['name']}` must have {logit} parameters more than {ours}. Received: {theirs}.")
        text = f"parameters {ours}, pythae {theirs}"
    return text


def report(case: Case, seconds: dict[str, np.ndarray], peers: Sequence[str]) -> None:
    """Prints speeds, and the ratios to the loop written by hand and to each peer."""
    for name, each in seconds.items():
        wall, cpu = case.steps * BATCH / np.median(each, axis=0)
        print(f"  {name:22} {wall:7,.0f} examples per second, {cpu:7,.0f} per CPU second")
    for base, name in itertools.product((BY_HAND, *peers), seconds):
        if name not in (base, *peers):
            wall, cpu = (seconds[base] / seconds[name]).T
            print(f"  {name} over {base}: {described(wall)} by wall clock, {described(cpu)} by CPU time", flush=True)
    if SIDE in seconds:
        wall, cpu = np.median(seconds[SIDE] / seconds[FIT] - 1, axis=0)
        print(f"  side work costs {wall:+.1%} of wall clock, {cpu:+.1%} of CPU time")


def described(ratios: np.ndarray) -> str:
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def main() -> None:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--times", type=int, default=1, help="so many times the steps in a run, which is an epoch")
    parser.add_argument("--other-xla", action="store_true", help="also the choice of XLA that is not made (mlp)")
    parser.add_argument("--no-peer", action="store_true", help="leave pythae out")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])  # pythae's process inherits it
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    with ExitStack() as stack:
        peer = None
        if not arguments.no_peer:
            try:
                peer = stack.enter_context(pythae.peer(arguments.threads))
            except pythae.Unavailable as error:
                print(f"{error} The rows beside pythae are left out.", flush=True)
        for case in (replace(case, steps=arguments.times * case.steps) for case in CASES):
            if case.name in arguments.only:
                compare(case, peer, rounds=arguments.rounds, other_xla=arguments.other_xla)


if __name__ == "__main__":
    main()
