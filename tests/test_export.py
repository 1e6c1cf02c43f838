"""The trained model artifact: the same numbers in process, as a SavedModel, and in a session."""

import base64
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import samples
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session

from models import export
from models.signatures import Signatures
from models.task import Task

pytestmark = samples.STACK

KINDS = ("digits", "blobs", "people")
INPUTS = ("examples", "image", "vector", "input_")


@dataclass(frozen=True)
class Exported:
    sample: samples.Sample
    task: Task
    model: keras.Model
    folder: Path

    @property
    def serving(self) -> Path:
        return self.folder / "Format-Serving"

    @property
    def signatures(self) -> Signatures:
        return Signatures(self.model, self.sample.output, self.task.spec)

    @property
    def records(self) -> list[bytes]:
        return list(self.sample.examples("eval").records().as_numpy_iterator())

    def requests(self) -> dict[str, dict]:
        rows = self.sample.rows[len(self.sample.rows) * 4 // 5 :]
        requests = {name: {"examples": self.records} for name in ("serving_default", "score")}
        requests["embed"] = {
            key: [row.get(key, missing(t)) for row in rows] for key, t in self.signatures.tensors.items()
        }
        if self.task.spec.kind == "image":
            pixels = [np.frombuffer(row["image"], np.uint8).reshape(8, 8, 1) for row in rows]
            requests["embed"] = {"image": pixels}
            requests["embed_bytes"] = {"image_bytes": [png(image) for image in pixels]}
        types = self.signatures.tensors
        return {
            name: {
                key: np.array(value, types[key].dtype.as_numpy_dtype if key in types else object)
                for key, value in inputs.items()
            }
            for name, inputs in requests.items()
        }


def missing(tensor):
    return b"" if tensor.dtype == tf.string else np.nan


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "PNG")
    return file.getvalue()


def task_of(sample, **model):
    section = {"recipe": "beta_vae", "latent": 3, "network": "auto", "likelihood": "auto", "parameters": {"beta": 2.0}}
    images = {"size": None, "channels": None, "letterbox": True}
    return Task(
        spec=sample.spec, model=section | model, training={}, seed=5, images=images, missing=("?",), checkpoints=""
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.getbasetemp() / "samples"
    artifacts = {}
    for kind in KINDS:
        sample = getattr(samples, kind)(root)
        task = task_of(sample)
        model = task.build()
        folder = tmp_path_factory.mktemp(kind)
        export.write(model, task, sample.examples("eval"), summary={"epochs": 1}, folder=folder)
        artifacts[kind] = Exported(sample, task, model, folder)
    return artifacts


def in_process(artifact, name, inputs):
    function = getattr(artifact.signatures, name)
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    outputs = function(tensors) if name == "embed" else function(*tensors.values())
    return {key: value.numpy() for key, value in outputs.items()}


def in_session(folder, calls):
    outputs = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
        for name, inputs in calls.items():
            signature = loaded.signature_def[name]
            feed = {signature.inputs[key].name: value for key, value in inputs.items()}
            outputs[name] = session.run({key: t.name for key, t in signature.outputs.items()}, feed)
    return outputs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*loader.load")
def test_every_signature_agrees_in_process_loaded_and_in_a_session(exported, kind):
    artifact = exported[kind]
    requests = artifact.requests()
    loaded = tf.saved_model.load(str(artifact.serving))
    assert sorted(loaded.signatures) == sorted(requests)
    for name, served in in_session(artifact.serving, requests).items():
        expected = in_process(artifact, name, requests[name])
        tensors = {key: tf.constant(value) for key, value in requests[name].items()}
        again = loaded.signatures[name](**tensors)
        assert sorted(served) == sorted(expected) == sorted(again)
        for key, value in expected.items():
            np.testing.assert_allclose(served[key], value, atol=1e-5, err_msg=f"{name} {key}")
            np.testing.assert_allclose(again[key], value, atol=1e-5, err_msg=f"{name} {key}")


@pytest.mark.parametrize("kind", KINDS)
def test_raw_tensors_and_image_files_get_the_codes_of_the_same_examples(exported, kind):
    artifact = exported[kind]
    requests = artifact.requests()
    expected = in_process(artifact, "serving_default", requests["serving_default"])
    for name in requests.keys() - {"serving_default", "score"}:
        given = in_process(artifact, name, requests[name])
        for key, value in expected.items():
            np.testing.assert_allclose(given[key], value, atol=1e-6, err_msg=f"{name} {key}")


@pytest.mark.parametrize("kind", KINDS)
def test_serving_sees_what_training_saw(exported, kind):
    artifact = exported[kind]
    served = artifact.signatures.inputs(tf.constant(artifact.records))
    trained = [batch["x"] for batch in artifact.sample.examples("eval").evaluation(batch=64)]
    np.testing.assert_array_equal(served, np.concatenate(trained))


def test_only_the_inputs_are_needed(exported):
    for artifact in exported.values():
        row = {key: value for key, value in artifact.sample.rows[0].items() if key in artifact.signatures.tensors}
        whole = artifact.signatures.serving_default(tf.constant([samples.example(artifact.sample.rows[0])]))
        bare = artifact.signatures.serving_default(tf.constant([samples.example(row)]))
        np.testing.assert_array_equal(whole["embedding"], bare["embedding"])


def test_a_row_gets_the_same_code_in_any_batch(exported):
    for artifact in exported.values():
        together = artifact.signatures.score(tf.constant(artifact.records[:3]))
        alone = artifact.signatures.score(tf.constant(artifact.records[1:2]))
        for key, value in alone.items():
            np.testing.assert_allclose(together[key][1:2], value, rtol=1e-5, err_msg=key)


def test_the_score_adds_up_and_is_taken_at_the_posterior_mean(exported):
    artifact = exported["digits"]
    score = artifact.signatures.score(tf.constant(artifact.records))
    x = artifact.signatures.inputs(tf.constant(artifact.records))
    code = artifact.model.encode(x).mean()
    logits = artifact.model.decoder.network(code)
    expected = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits), axis=[1, 2, 3])
    np.testing.assert_allclose(score["distortion"], expected, rtol=1e-5)
    np.testing.assert_allclose(score["elbo"], -(score["rate"] + score["distortion"]), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*loader.load")
@pytest.mark.parametrize(
    ("name", "key"), [("serving_default", "examples"), ("embed", "image"), ("embed_bytes", "image_bytes")]
)
def test_a_wrong_rank_is_an_invalid_argument(exported, name, key):
    artifact = exported["digits"]
    value = artifact.requests()[name][key][None]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(artifact.serving))
        graph, signature = session.graph, loaded.signature_def[name]
        feed = graph.get_tensor_by_name(signature.inputs[key].name)._as_tf_output()
        fetch = graph.get_tensor_by_name(signature.outputs["embedding"].name)._as_tf_output()
        # `Session.run` would look at the shape itself; this is how a server runs a graph.
        with pytest.raises(tf.errors.InvalidArgumentError, match="^Shape of tensor .* is not compatible"):
            pywrap_tf_session.TF_SessionRun_wrapper(session._session, None, {feed: value}, [fetch], [], None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_endpoint_begins_by_fixing_its_shapes_and_none_needs_xla(exported, kind):
    artifact = exported[kind]
    graph = saved_model_pb2.SavedModel.FromString((artifact.serving / "saved_model.pb").read_bytes()).meta_graphs[0]
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    assert not any("_XlaMustCompile" in f.attr and f.attr["_XlaMustCompile"].b for f in functions.values())
    assert not any("_XlaMustCompile" in node.attr for f in functions.values() for node in f.node_def)
    for name, definition in graph.signature_def.items():
        if name.startswith("__"):
            continue
        assert all(tensor.tensor_shape.dim[0].size == -1 for tensor in definition.inputs.values())
        assert all(tensor.tensor_shape.dim[0].size == -1 for tensor in definition.outputs.values())
        body = next(f for key, f in functions.items() if key.startswith(f"__inference_{name}_"))
        inputs = {arg.name for arg in body.signature.input_arg if arg.name.startswith(INPUTS)}
        readers = {node.op for node in body.node_def for source in node.input if source.split(":")[0] in inputs}
        assert (len(inputs), readers) == (len(definition.inputs), {"EnsureShape"}), name


def test_table_columns_keep_their_names_on_the_wire(exported):
    artifact = exported["people"]
    graph = saved_model_pb2.SavedModel.FromString((artifact.serving / "saved_model.pb").read_bytes()).meta_graphs[0]
    names = {column.name for column in artifact.task.spec.columns}
    assert (
        set(graph.signature_def["embed"].inputs)
        == names
        == {"age", "years in", "income", "debt", "job/kind", "town", "pet"}
    )


def test_the_export_stands_alone(exported, tmp_path):
    artifact = exported["people"]
    shutil.copytree(artifact.serving, tmp_path / "moved")
    requests = artifact.requests()["serving_default"]
    expected = in_process(artifact, "serving_default", requests)
    away = artifact.sample.root.rename(artifact.sample.root.with_name("away"))
    try:
        served = tf.saved_model.load(str(tmp_path / "moved")).signatures["serving_default"](
            **{k: tf.constant(v) for k, v in requests.items()}
        )
    finally:
        away.rename(artifact.sample.root)
    np.testing.assert_allclose(served["embedding"], expected["embedding"], atol=1e-5)


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
        "latent": 3,
        "images": {"size": None, "channels": None, "letterbox": True},
        "missing": ["?"],
        "metaprior": "0.1.0",
    }
    assert json.loads((artifact.folder / "training.json").read_text()) == {"epochs": 1}


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
        export.write(artifact.model, artifact.task, artifact.sample.examples("eval"), summary={}, folder=tmp_path)
    names = {"Format-Serving", "Format-Keras", "Format-Baselines", "golden.json", "training.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
