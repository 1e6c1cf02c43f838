"""Types beyond the common ones, signatures without inputs, and models with nothing to restore."""

import shutil

import grpc
import ml_dtypes
import numpy as np
import pytest
import requests
import serving_toy
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client import Client, InvalidRequest, Unimplemented
from serving.servable import Servable
from serving.server import Options, Server
from serving.status import Code, ServingError

KINDS = ["bfloat16", "complex64", "complex128", "qint8", "quint8", "qint32"]


def twin(kind):
    """Returns a function of one type that gives back what it is given."""
    dtype = tf.as_dtype(kind)
    return tf.function(
        lambda x: {"y": tf.identity(tf.ensure_shape(x, [None, 2]))},
        input_signature=[serving_toy.spec([None, 2], dtype, "x")],
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    module = tf.Module()
    module.constant = tf.function(lambda: {"pi": tf.constant([3.0, 0.14])}, input_signature=[])
    module.text = tf.function(
        lambda x: {"length": tf.strings.length(x)}, input_signature=[serving_toy.spec([None], tf.string, "x")]
    )
    for kind in KINDS:
        setattr(module, kind, twin(kind))
    names = ["constant", "text", *KINDS]
    folder = tmp_path_factory.mktemp("types") / "types"
    tf.saved_model.save(module, str(folder / "1"), signatures={name: getattr(module, name) for name in names})
    return folder


@pytest.fixture(scope="module")
def server(base):
    options = {"model_name": "types", "model_base_path": base, "port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate(options)) as running:
        yield running


@pytest.fixture(scope="module")
def predict(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def ask(signature, **inputs):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "types", signature
            for alias, proto in inputs.items():
                request.inputs[alias].CopyFrom(proto)
            return stub.Predict(request, timeout=30).outputs

        yield ask


def post(server, signature, **body):
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/types:predict"
    return requests.post(url, json={"signature_name": signature} | body, timeout=30)


@pytest.mark.parametrize("kind", KINDS)
def test_unusual_types_travel_over_grpc_by_value_and_by_content(predict, kind):
    dtype = tf.as_dtype(kind)
    given = np.array([[1, 2], [3, 100]], np.float32).astype(dtype.as_numpy_dtype)
    typed = tf.make_tensor_proto(given, dtype)
    raw = tf.make_tensor_proto(np.zeros([2, 2]), tf.float64)
    raw.dtype, raw.tensor_content = dtype.as_datatype_enum, given.tobytes()
    for proto in (typed, raw):
        answer = predict(kind, x=proto)["y"]
        assert answer.dtype == dtype.as_datatype_enum
        np.testing.assert_array_equal(tf.make_ndarray(answer).astype(given.dtype), given)


def test_the_client_takes_and_gives_them_and_knows_what_they_cannot_hold(server):
    floats = np.array([[1.5, -2.0]], np.float32)
    with Client(grpc_port=server.grpc_port, model="types") as client:
        found = client.predict(floats, signature="bfloat16")["y"]
        assert found.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(found.astype(np.float32), floats)
        np.testing.assert_array_equal(client.predict(found, signature="bfloat16")["y"], found)
        np.testing.assert_array_equal(client.predict(floats + 2j, signature="complex64")["y"], floats + 2j)
        with pytest.raises(InvalidRequest, match=r"takes values of type qint8\. Received: float32 values"):
            client.predict(floats, signature="qint8")
        assert client.predict({}, signature="constant")["pi"].tolist() == pytest.approx([3.0, 0.14])
    text = r"^UNIMPLEMENTED: JSON holds no bfloat16\. Ask over gRPC\.$"
    with Client(rest_port=server.rest_port, model="types") as client, pytest.raises(Unimplemented, match=text):
        client.predict(floats, signature="bfloat16")


def test_strings_travel_as_content_too(predict):
    proto = tf.make_tensor_proto([b"", b""])
    del proto.string_val[:]
    proto.tensor_content = b"\x03\x01" + b"abcd"
    assert tf.make_ndarray(predict("text", x=proto)["length"]).tolist() == [3, 1]
    proto.tensor_content += b"e"
    with pytest.raises(grpc.RpcError) as caught:
        predict("text", x=proto)
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "tensor parsing error: x",
    )


def test_rest_refuses_what_json_does_not_hold_as_tf_serving_does(server):
    columns = post(server, "bfloat16", inputs=[[1.0, 2.0]])
    assert columns.status_code == 501
    assert columns.json()["error"].endswith(" to type: bfloat16")
    assert post(server, "bfloat16", instances=[[1.0, 2.0]]).status_code == 400


def test_a_signature_without_inputs_answers_grpc_and_not_rest(server, predict):
    assert tf.make_ndarray(predict("constant")["pi"]).tolist() == pytest.approx([3.0, 0.14])
    answer = post(server, "constant", inputs={})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "Failed to get input map for signature: constant"},
    )


def test_a_model_with_nothing_to_restore_needs_no_checkpoint(base, tmp_path):
    path = shutil.copytree(base / "1", tmp_path / "1")
    shutil.rmtree(path / "variables")
    servable = Servable(path)
    assert servable.run(servable.signatures["constant"], {})["pi"].tolist() == pytest.approx([3.0, 0.14])
    servable.close_when_idle(0)


class Tabled(tf.Module):
    """Has no variables, and a table whose entries only a checkpoint holds."""

    def __init__(self):
        super().__init__()
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.table.insert(["a"], [1])

    @tf.function(input_signature=[serving_toy.spec([None], tf.string, "x")])
    def look_up(self, x):
        return {"y": self.table.lookup(x)}


@pytest.mark.parametrize("what", ["variable", "table"])
def test_a_model_with_something_to_restore_does(tmp_path, what):
    if what == "variable":
        path = serving_toy.write_small(tmp_path, 1)
    else:
        module, path = Tabled(), tmp_path / "1"
        tf.saved_model.save(module, str(path), signatures=module.look_up)
    shutil.rmtree(path / "variables")
    with pytest.raises(ServingError) as caught:
        Servable(path)
    assert caught.value.code is Code.FAILED_PRECONDITION
