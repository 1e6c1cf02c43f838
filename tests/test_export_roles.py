"""Models that read labels, attributes or groups, from records to an exported score, and on after a crash."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import samples
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.autoencoder import Autoencoder
from models.callbacks import Count
from models.task import Task
from models.training import Training, run_fn

pytestmark = samples.STACK

CASES = {
    "vfae": ("people", {"lam": 10.0}),
    "vib": ("digits", {"beta": 0.01}),
    "dc_ign": ("blobs", {"clamp": 0.1}),
    "fader": ("people", {"leakage": 0.01, "ramp": 10, "critic_units": 8}),
}


def arguments(recipe: str, sample: samples.Sample, folder: Path, **training):
    """What the Trainer would be called with, for a recipe."""
    fn_args = samples.arguments(sample, folder, **({"epochs": 2, "batch": 16} | training))
    fn_args.custom_config["model"] |= {"recipe": recipe, "parameters": CASES[recipe][1]}
    return fn_args


@dataclass(frozen=True)
class Trained:
    """An artifact and the data behind it."""

    sample: samples.Sample
    folder: Path

    @functools.cached_property
    def model(self) -> Autoencoder:
        return keras.saving.load_model(self.folder / "model" / "Format-Keras" / "model.keras")

    @functools.cached_property
    def batch(self) -> dict[str, tf.Tensor]:
        return next(iter(self.sample.examples("eval").evaluation(batch=1000)))

    def score(self, rows: list[dict]) -> dict[str, np.ndarray]:
        served = tf.saved_model.load(str(self.folder / "model" / "Format-Serving")).signatures["score"]
        scores = served(examples=tf.constant([samples.example(row) for row in rows]))
        return {key: value.numpy() for key, value in scores.items()}

    @property
    def rows(self) -> list[dict]:
        return self.sample.rows[len(self.sample.rows) * 4 // 5 :]


@functools.cache
def trained(recipe: str, root: Path) -> Trained:
    sample = getattr(samples, CASES[recipe][0])(root / "samples")
    folder = root / "roles" / recipe
    run_fn(arguments(recipe, sample, folder))
    return Trained(sample, folder)


@pytest.fixture
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.getbasetemp()


def expected(model: Autoencoder, batch) -> dict[str, np.ndarray]:
    """Rate and distortion at the posterior mean, as the trainer's model has them."""
    context = model.context(batch)
    posterior = model.encode(batch["x"], context)
    distortion = -model.decode(posterior.mean(), context).log_prob(batch[model.decoder.target])
    return {"rate": model.rate(batch["x"], context).numpy(), "distortion": distortion.numpy()}


# Catches: a score that does not tell the decoder the attribute; one that explains x where the model explains the label.
@pytest.mark.parametrize("recipe", ["vfae", "vib", "dc_ign"])
def test_the_exported_score_is_the_one_of_the_trained_model(recipe, root):
    artifact = trained(recipe, root)
    score, own = artifact.score(artifact.rows), expected(artifact.model, artifact.batch)
    for key, values in own.items():
        np.testing.assert_allclose(score[key], values, rtol=1e-4, atol=1e-4, err_msg=key)
    np.testing.assert_allclose(score["elbo"], -(score["rate"] + score["distortion"]), rtol=1e-5)


@pytest.mark.parametrize("recipe", ["vfae", "vib", "dc_ign"])
def test_a_request_need_not_hold_the_roles(recipe, root):
    artifact = trained(recipe, root)
    roles = {"rich", "group", "digit", "side", "turn", "id"}
    bare = artifact.score([{key: value for key, value in row.items() if key not in roles} for row in artifact.rows])
    batch = {key: value if key == "x" else tf.fill(tf.shape(value), -1) for key, value in artifact.batch.items()}
    batch = {key: value if key == "x" else tf.cast(value, tf.int64) for key, value in batch.items()}
    for key, values in expected(artifact.model, batch).items():
        np.testing.assert_allclose(bare[key], values, rtol=1e-4, atol=1e-4, err_msg=key)


def test_a_label_that_a_request_lacks_has_no_distortion_and_an_attribute_matters(root):
    vib, vfae = trained("vib", root), trained("vfae", root)
    without = vib.score([{"image": row["image"], "id": b""} for row in vib.rows])
    assert np.all(without["distortion"] == 0)
    assert np.all(without["rate"] > 0)
    known = [row for row in vfae.rows if "group" in row]
    moved = [row | {"group": b"a" if row["group"] != b"a" else b"b"} for row in known]
    ours, others = vfae.score(known), vfae.score(moved)
    np.testing.assert_array_equal(ours["rate"], others["rate"])
    assert np.all(ours["distortion"] != others["distortion"])


def tags(folder: Path) -> set[str]:
    return set(EventAccumulator(str(folder / "run" / "eval")).Reload().Tags()["tensors"])


def test_a_model_of_labels_shows_no_pictures(root):
    assert not tags(trained("vib", root).folder) & {"reconstructions", "samples", "traversals"}
    assert {"term/nll", "term/kl", "elbo"} <= tags(trained("vib", root).folder)


def test_terms_beside_rate_and_distortion_have_curves(root):
    assert {"term/label_nll", "term/mmd"} <= tags(trained("vfae", root).folder)
    assert "term/invariance" in tags(trained("dc_ign", root).folder)


def test_training_in_groups_charges_the_clamp_and_evaluation_does_not(root):
    folder = trained("dc_ign", root).folder / "run"
    train, held_out = (EventAccumulator(str(folder / run)).Reload() for run in ("train", "eval"))
    values = [
        [float(tf.make_ndarray(event.tensor_proto)) for event in run.Tensors("term/invariance")]
        for run in (train, held_out)
    ]
    assert min(values[0]) > 0
    assert values[1] == [0, 0]


class CrashError(Exception):
    """The end of a process, for a test."""


def training_of(sample: samples.Sample, folder: Path) -> Training:
    fn_args = arguments("fader", sample, folder, epochs=3, checkpoint_every=2)
    task = Task.of(fn_args.custom_config).resolved(sample.spec)
    return Training(task, sample.examples("train"), sample.examples("eval"), folder=folder / "run")


def test_a_crashed_training_goes_on_with_the_critic_as_it_was(root, tmp_path, monkeypatch):
    sample = samples.people(root / "samples")
    alone, crashed = training_of(sample, tmp_path / "alone"), training_of(sample, tmp_path / "crashed")
    start = [weight.numpy() for weight in alone.model.critics[0].network.weights]
    summary = alone.run()
    with monkeypatch.context() as patch:
        count = Count.on_train_batch_end

        def count_and_crash(self, batch, logs=None):
            count(self, batch, logs)
            if self._state.step == 16:  # of 30, 10 an epoch: in the middle of the second
                raise CrashError

        patch.setattr(Count, "on_train_batch_end", count_and_crash)
        with pytest.raises(CrashError):
            crashed.run()
    again = training_of(sample, tmp_path / "crashed")
    assert again.checkpoints.restore()
    assert (again.state.step, int(again.model.step)) == (14, 14)
    again.run()
    assert json.dumps(_timeless(summary)) == json.dumps(_timeless(again._summary()))
    optimizers = [[t.model.optimizer, t.model.critics[0].optimizer] for t in (alone, again)]
    variables = [
        [*t.model.variables, *o[0].variables, *o[1].variables] for t, o in zip((alone, again), optimizers, strict=True)
    ]
    for ours, theirs in zip(*variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    assert int(alone.model.critics[0].optimizer.iterations) == 30
    assert all(np.any(a != b) for a, b in zip(start, alone.model.critics[0].network.weights, strict=True))


def _timeless(summary: dict) -> dict:
    return {key: value for key, value in summary.items() if key not in ("seconds", "examples_per_second")}
