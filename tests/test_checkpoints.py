"""A training that is killed goes on to the very weights of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import samples
import tensorflow as tf
from conftest import largest_file

from models.checkpoints import Checkpoints, State
from models.errors import InputError
from models.optimizers import Adam
from models.task import Task
from models.training import Training, run_fn

pytestmark = samples.STACK

KILLED = """
import json, os, signal, sys
from types import SimpleNamespace
import models
from models import callbacks
from models.training import run_fn

count = callbacks.Count.on_train_batch_end

def count_and_die(self, batch, logs=None):
    count(self, batch, logs)
    if self._state.step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

callbacks.Count.on_train_batch_end = count_and_die
run_fn(SimpleNamespace(**json.loads(sys.argv[1])))
"""


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    return samples.digits(tmp_path_factory.getbasetemp() / "samples")


def space(folder):
    record = folder / "model" / "Format-Serving" / "assets.extra" / "metaprior.json"
    return json.loads(record.read_text())["space"]


def summary(folder):
    record = json.loads((folder / "model" / "training.json").read_text())
    return {name: value for name, value in record.items() if name not in ("seconds", "examples_per_second")}


def run_until_killed(fn_args, *, step):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", KILLED, json.dumps(vars(fn_args)), str(step)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_same_weights(digits, tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    run_fn(samples.arguments(digits, alone))

    fn_args = samples.arguments(digits, killed)
    run_until_killed(fn_args, step=44)  # of 80, 16 an epoch: the last checkpoint is that of step 36
    checkpoint = tf.train.latest_checkpoint(fn_args.custom_config["checkpoints"])
    assert checkpoint.endswith("ckpt-36")
    assert not (killed / "model").exists()

    fn_args.model_run_dir = str(killed / "second run")  # TFX gives every execution a new folder
    run_fn(fn_args)
    assert space(killed) == space(alone)
    assert summary(killed) == summary(alone)
    assert not Path(fn_args.custom_config["checkpoints"]).exists()


def training_of(digits, folder, **section):
    fn_args = samples.arguments(digits, folder, **section)
    task = Task.of(fn_args.custom_config).resolved(digits.spec)
    return Training(task, digits.examples("train"), digits.examples("eval"), folder=folder / "run")


def test_a_run_that_ended_before_its_export_only_exports(digits, tmp_path):
    first = training_of(digits, tmp_path, epochs=2)
    expected = first.run()
    again = training_of(digits, tmp_path, epochs=2)
    assert again.run() == expected
    assert again.state.step == first.state.step
    for weight, other in zip(again.model.weights, first.model.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_resumed_run_shows_the_whole_history(digits, tmp_path):
    first = training_of(digits, tmp_path, epochs=2)
    first.run()
    again = training_of(digits, tmp_path, epochs=3)
    again.run()
    assert [entry["epoch"] for entry in again.state.history] == [1, 2, 3]
    assert again.state.history[:2] == first.state.history
    assert again.state.seconds > first.state.seconds


def test_a_checkpoint_holds_weights_moments_metrics_best_weights_and_state(digits, tmp_path):
    def compiled():
        model = Task.of(samples.arguments(digits, tmp_path).custom_config).resolved(digits.spec).build()
        model.compile(optimizer=Adam(1e-3))
        model.optimizer.build(model.trainable_variables)
        return model, [tf.Variable(weight.value) for weight in model.weights], State()

    batches = digits.examples("train").training(batch=32, steps=4, seed=0)
    model, best, state = compiled()
    model.fit(batches, steps_per_epoch=3, verbose=0, shuffle=False)
    best[-1].assign(tf.ones_like(best[-1]))
    state.step, state.best, state.history = 3, -1.5, [{"epoch": 1}]
    Checkpoints(str(tmp_path / "c"), model=model, best=best, state=state).save()

    other, other_best, other_state = compiled()
    restored = Checkpoints(str(tmp_path / "c"), model=other, best=other_best, state=other_state)
    assert restored.restore()
    assert other_state == state
    np.testing.assert_array_equal(other_best[-1], np.ones(best[-1].shape))
    pairs = zip(model.variables + model.optimizer.variables, other.variables + other.optimizer.variables, strict=True)
    for variable, again in pairs:
        np.testing.assert_array_equal(variable, again, err_msg=variable.path)
    other.reset_metrics()
    restored.restore_metrics()
    assert other.get_metrics_result() == model.get_metrics_result()
    assert int(other.step) == 3


def test_without_a_checkpoint_there_is_nothing_to_restore(digits, tmp_path):
    training = training_of(digits, tmp_path)
    assert not training.checkpoints.restore()
    assert training.state == State()


@pytest.fixture
def saved(digits, disk, tmp_path):
    """A training with a checkpoint of step 1 on a disk of its own; and the checkpoints' folder."""
    fn_args = samples.arguments(digits, tmp_path)
    folder = disk.folder / "checkpoints"
    fn_args.custom_config["checkpoints"] = str(folder)
    task = Task.of(fn_args.custom_config).resolved(digits.spec)
    training = Training(task, digits.examples("train"), digits.examples("eval"), folder=tmp_path / "run")
    training.state.step = 1
    training.checkpoints.save()
    return training, folder


def refusal(training) -> str:
    """What is said of a checkpoint, of step 2, that cannot be written."""
    training.state.step = 2
    with pytest.raises(InputError) as caught:
        training.checkpoints.save()
    return str(caught.value)


def line(folder: Path, words: str) -> str:
    return (
        f"checkpoints: cannot write to {folder}: {words}. Free some space or make the folder writable; then the "
        "same command resumes the training from its last whole checkpoint."
    )


def test_a_full_disk_is_told_and_leaves_the_checkpoint_before(saved, disk):
    training, folder = saved
    filler = disk.fill()
    assert refusal(training) == line(folder, "No space left on device")
    assert not list(folder.glob("ckpt-2.*"))
    assert training.checkpoints.restore()
    assert training.state.step == 1

    filler.unlink()
    training.state.step = 2
    training.checkpoints.save()
    assert tf.train.latest_checkpoint(folder) == str(folder / "ckpt-2")


def test_a_read_only_disk_is_told_and_the_checkpoint_on_it_can_be_read(saved, disk):
    training, folder = saved
    disk.set("ro")
    assert refusal(training) == line(folder, "Read-only file system")
    assert training.checkpoints.restore()
    assert training.state.step == 1


def test_a_limit_on_files_is_told(digits, tmp_path):
    training = training_of(digits, tmp_path)
    with largest_file(2**16):
        said = refusal(training)
    assert said == line(tmp_path / "checkpoints", "File too large")
