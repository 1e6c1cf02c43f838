"""What lies in a trained model artifact beside its signatures."""

import base64
import json

import artifacts
import keras
import numpy as np
import pytest
import samples
import tensorflow as tf
from artifacts import KINDS

from models import export

pytestmark = samples.STACK
exported = artifacts.exported


def test_golden_answers_are_the_encoders(exported):
    artifact = exported["digits"]
    golden = json.loads((artifact.folder / "golden.json").read_text())
    examples = [base64.b64decode(text) for text in golden["examples"]]
    assert examples == artifact.records[:8]
    expected = artifact.signatures.serving_default(tf.constant(examples))
    for name in ("embedding", "stddev", "rate"):
        np.testing.assert_allclose(golden[name], expected[name], atol=1e-6)


def test_the_record_says_what_the_encoder_is(exported):
    artifact = exported["digits"]
    record = json.loads((artifact.serving / "assets.extra" / "metaprior.json").read_text())
    space = record.pop("space")
    assert space == export.space(artifact.model, artifact.task)
    assert space.startswith("beta_vae-3-")
    assert len(space.split("-")[-1]) == 12
    spec = record.pop("spec")
    assert samples.FeatureSpec.from_json(json.dumps(spec)) == artifact.sample.spec
    assert record == {
        "schema": 1,
        "recipe": "beta_vae",
        "parameters": {"beta": 2.0},
        "objective": "nll + 2 * kl",
        "explains": "x",
        "latent": 3,
        "images": {"size": None, "channels": None, "letterbox": True},
        "missing": ["?"],
        "metaprior": "0.1.0",
        "outlying": {"rates": {"split": "eval", "examples": 140}, "codes": {"split": "train", "examples": 560}},
    }
    assert json.loads((artifact.folder / "training.json").read_text()) == {"epochs": 1}


def test_the_artifact_keeps_the_configuration_that_decided_the_training(exported):
    artifact = exported["digits"]
    assert json.loads((artifact.folder / "configuration.json").read_text()) == {
        "data": artifact.task.data,
        "model": artifact.task.model,
        "training": {},
        "seed": 5,
    }


def test_a_space_is_named_after_its_weights(exported):
    artifact = exported["blobs"]
    same = artifact.task.build()
    assert export.space(same, artifact.task) == export.space(artifact.model, artifact.task)
    weight = same.trainable_weights[0]
    weight.assign(weight + 1e-3)
    assert export.space(same, artifact.task) != export.space(artifact.model, artifact.task)


@pytest.mark.parametrize("kind", KINDS)
def test_baselines_are_the_input_and_a_random_encoder(exported, kind):
    artifact = exported[kind]
    baselines = tf.saved_model.load(str(artifact.folder / "Format-Baselines")).signatures["serving_default"]
    outputs = baselines(examples=tf.constant(artifact.records))
    x = artifact.signatures.inputs(tf.constant(artifact.records))
    np.testing.assert_allclose(outputs["features"], tf.reshape(x, [len(x), -1]), atol=1e-6)
    random = artifact.task.build().encode(x).mean()
    np.testing.assert_allclose(outputs["random"], random, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_keras_model_comes_back_the_same(exported, kind):
    artifact = exported[kind]
    again = keras.saving.load_model(artifact.folder / "Format-Keras" / "model.keras")
    x = artifact.signatures.inputs(tf.constant(artifact.records))
    np.testing.assert_array_equal(again.encode(x).mean(), artifact.model.encode(x).mean())
    assert str(again) == str(artifact.model)


def test_a_second_export_replaces_the_first_and_leaves_nothing_behind(exported, tmp_path):
    artifact = exported["blobs"]
    for _ in range(2):
        splits = {"held_out": artifact.sample.examples("eval"), "train": artifact.sample.examples("train")}
        export.write(artifact.model, artifact.task, **splits, summary={}, folder=tmp_path)
    names = {"Format-Serving", "Format-Keras", "Format-Baselines", "golden.json", "training.json"}
    names |= {"configuration.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
