"""The exported signatures: the same numbers in process, as a SavedModel, and in a session."""

import shutil

import artifacts
import numpy as np
import pytest
import samples
import tensorflow as tf
from artifacts import KINDS
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow_serving.apis import prediction_log_pb2

from models import warmup
from models.outlying import Outlying
from serving.metrics import Metrics
from serving.servable import Servable
from serving.warmup import WarmUp, records

exported = artifacts.exported


pytestmark = samples.STACK
INPUTS = ("examples", "image", "vector", "input_")


def in_process(artifact, name, inputs):
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    outlying = Outlying(artifact.signatures, artifact.population)
    function = getattr(outlying if name.startswith("outlying") else artifact.signatures, name)
    outputs = function(tensors) if name in ("embed", "outlying") else function(*tensors.values())
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
            atol = 1e-3 if key.endswith("_percentile") else 1e-5  # the unit is a hundredth, between values close by
            np.testing.assert_allclose(served[key], value, atol=atol, err_msg=f"{name} {key}")
            np.testing.assert_allclose(again[key], value, atol=atol, err_msg=f"{name} {key}")


@pytest.mark.parametrize("kind", KINDS)
def test_raw_tensors_and_image_files_get_the_codes_of_the_same_examples(exported, kind):
    artifact = exported[kind]
    requests = artifact.requests()
    expected = in_process(artifact, "serving_default", requests["serving_default"])
    for name in [name for name in requests if name.startswith("embed")]:
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


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_encoder_warms_a_server_up(exported, kind):
    folder = exported[kind].serving
    logs = [prediction_log_pb2.PredictionLog.FromString(r).predict_log.request for r in records(folder / warmup.FILE)]
    asked = [(log.model_spec.signature_name, next(iter(log.inputs.values())).tensor_shape.dim[0].size) for log in logs]
    files = ["embed_bytes", "outlying_bytes"] if kind == "digits" else []
    signatures = ["serving_default", "embed", "outlying", *files]
    assert asked == [(name, size) for size in (1, 8) for name in signatures]
    metrics = Metrics()
    Servable(folder, warm_up=WarmUp(metrics)).close_when_idle(0)
    read = f'model_warmup_records_read{{model_path="{folder}",status="OK"}} {len(logs)}'
    assert read in metrics.exposition().decode()
