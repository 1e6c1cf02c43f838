"""gRPC answers as TF Serving does: codes, texts, forms; over real sockets."""

import grpc
import numpy as np
import pytest
import serving_toy
import tensorflow as tf
from google.protobuf import wrappers_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
MISSING, UNIMPLEMENTED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED
server = serving_toy.server
ONE = [[1.0, 2.0]]


@pytest.fixture(scope="module")
def channel(server):
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", limits) as opened:
        yield opened


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def make_spec(name="toy", version=None, signature="", label=""):
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        spec.version.CopyFrom(wrappers_pb2.Int64Value(value=version))
    if label:
        spec.version_label = label
    return spec


def make_request(inputs=None, outputs=(), **spec):
    request = predict_pb2.PredictRequest(model_spec=make_spec(**spec), output_filter=outputs)
    for alias, value in ({"x": ONE} if inputs is None else inputs).items():
        request.inputs[alias].CopyFrom(to_proto(value))
    return request


def to_proto(value):
    if isinstance(value, TensorProto):
        return value
    return tf.make_tensor_proto(np.asarray(value, np.float32) if isinstance(value, list) else value)


def answer(stub, **kwargs):
    return {k: tf.make_ndarray(v) for k, v in stub.Predict(make_request(**kwargs), timeout=30).outputs.items()}


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


def proto(dtype, shape, **values):
    tensor = TensorProto(dtype=dtype.as_datatype_enum, **values)
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    return tensor


@pytest.mark.parametrize(("version", "expected", "effective"), [(None, 2.5, 2), (1, 1.5, 1), (2, 2.5, 2)])
def test_predict_answers_the_version_asked_for_and_names_it(stub, version, expected, effective):
    response = stub.Predict(make_request(version=version), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [[expected, expected + 0.5]])
    assert response.model_spec.name == "toy"
    assert response.model_spec.version.value == effective
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["y"].float_val) == [expected, expected + 0.5], "typed fields, as TF Serving"


REFUSED_PREDICTIONS = [
    ({"label": "nope"}, INVALID, "Unrecognized servable version label: nope"),
    ({"name": "nomodel"}, MISSING, "Servable not found for request: Latest(nomodel)"),
    ({"name": "nomodel", "version": 3}, MISSING, "Servable not found for request: Specific(nomodel, 3)"),
    ({"version": 99}, MISSING, "Servable not found for request: Specific(toy, 99)"),
    ({"name": ""}, INVALID, "ModelSpec has no name specified."),
    ({"signature": "bogus"}, PRECONDITION, 'Serving signature key "bogus" not found.'),
    (
        {"inputs": {}},
        INVALID,
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    (
        {"inputs": {"x": ONE, "z": ONE}},
        INVALID,
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}.",
    ),
    (
        {"inputs": {"z": ONE}},
        INVALID,
        "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {z}, or default input alias set: ",
    ),
    ({"inputs": {"x": np.float64(ONE)}}, INVALID, "Expects arg[0] to be float but double is provided"),
    (
        {"inputs": {"x": [[1.0, 2.0, 3.0]]}},
        INVALID,
        "Shape of tensor x [1,3] is not compatible with expected shape [?,2].",
    ),
    ({"inputs": {"x": [1.0, 2.0]}}, INVALID, "Shape of tensor x [2] is not compatible with expected shape [?,2]."),
    (
        {"signature": "conv", "inputs": {"image": np.zeros([2, 64], np.float32)}},
        INVALID,
        "Shape of tensor image [2,64] is not compatible with expected shape [?,8,8,1].",
    ),
    ({"inputs": {"x": proto(tf.float32, [2, 2], tensor_content=b"abc")}}, INVALID, "tensor parsing error: x"),
    ({"inputs": {"x": proto(tf.float32, [1 << 40, 2], float_val=[1])}}, INVALID, "tensor parsing error: x"),
    ({"inputs": {"x": proto(tf.float32, [-1, 2], float_val=[1])}}, INVALID, "tensor parsing error: x"),
    (
        {"inputs": {"x": proto(tf.bfloat16, [1, 2], half_val=[1])}},
        INVALID,
        "Expects arg[0] to be float but bfloat16 is provided",
    ),
    ({"inputs": {"x": proto(tf.variant, [1, 2])}}, INVALID, "tensor parsing error: x"),
    (
        {"outputs": ["foo"]},
        INVALID,
        "output tensor alias not found in signature: foo Outputs expected to be in the set {y}.",
    ),
    ({"outputs": ["y", "y"]}, INVALID, "duplicate output tensor alias: y"),
]


@pytest.mark.parametrize(("request_parts", "code", "text"), REFUSED_PREDICTIONS)
def test_predict_refuses_with_tf_servings_code_and_text(stub, request_parts, code, text):
    assert refusal(stub.Predict, make_request(**request_parts)) == (code, text)
    np.testing.assert_array_equal(answer(stub)["y"], [[2.5, 3.0]])  # and goes on answering


def test_predict_without_a_model_spec_is_refused(stub):
    assert refusal(stub.Predict, predict_pb2.PredictRequest()) == (INVALID, "Missing ModelSpec")


def test_the_sessions_own_error_text_reaches_the_client(stub):
    request = make_request(signature="parse", inputs={"examples": tf.make_tensor_proto([b"garbage"])})
    code, text = refusal(stub.Predict, request)
    assert code == INVALID
    assert text.startswith("Could not parse example input, value: 'garbage'")


def test_long_error_messages_are_cut_on_grpc(stub):
    code, text = refusal(stub.Predict, make_request(signature="s" * 2000))
    assert code == PRECONDITION
    assert text == 'Serving signature key "' + "s" * (1024 - 23) + "...TRUNCATED"


def test_too_few_values_repeat_the_last_and_none_mean_zero(stub):
    few = proto(tf.float32, [2, 2], float_val=[4])
    np.testing.assert_array_equal(answer(stub, inputs={"x": few})["y"], np.full([2, 2], 4.0))
    none = proto(tf.float32, [1, 2])
    np.testing.assert_array_equal(answer(stub, inputs={"x": none})["y"], [[2.0, 2.0]])


def test_an_empty_batch_is_answered_with_an_empty_one(stub):
    assert answer(stub, inputs={"x": np.zeros([0, 2], np.float32)})["y"].shape == (0, 2)


def test_the_output_filter_chooses_outputs(stub):
    assert answer(stub, signature="two_out").keys() == {"y", "norm"}
    assert answer(stub, signature="two_out", outputs=["norm"])["norm"] == pytest.approx([5**0.5])


def test_bytes_are_preserved(stub):
    strings = tf.make_tensor_proto([b"\xff\x00"])
    assert answer(stub, signature="text", inputs={"s": strings})["out"].tolist() == [b"\xff\x00"]


def test_half_precision_travels_over_grpc(stub):
    given = np.array([0.5, 1.5], np.float16)
    np.testing.assert_array_equal(answer(stub, signature="half16", inputs={"x": given})["y"], given + 2)


def test_a_request_larger_than_a_batch_is_answered_whole(stub):
    rows = np.arange(1 << 17, dtype=np.float32).reshape(-1, 2)
    np.testing.assert_array_equal(answer(stub, inputs={"x": rows})["y"], rows / 2 + 2)


def test_a_message_over_the_limit_is_refused(stub):
    code, _ = refusal(stub.Predict, make_request(inputs={"x": np.zeros([5 << 20, 2], np.float32)}))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_short_deadline_is_kept_and_the_server_goes_on(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(make_request(signature="slow", inputs={"rounds": np.int32([500])}), timeout=0.05)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    np.testing.assert_array_equal(answer(stub)["y"], [[2.5, 3.0]])


def test_metadata_holds_all_signatures_as_exported(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=make_spec(), metadata_field=["signature_def"])
    response = stub.GetModelMetadata(request, timeout=30)
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 2)
    assert response.model_spec.signature_name == ""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(definitions)
    found = definitions.signature_def
    assert {"serving_default", "two_in", "text", "__saved_model_init_op"} <= found.keys()
    info = found["serving_default"].inputs["x"]
    assert (info.dtype, [d.size for d in info.tensor_shape.dim]) == (tf.float32.as_datatype_enum, [-1, 2])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["foo"], "Metadata field foo is not supported"),
    ],
)
def test_metadata_is_refused_for_other_fields(stub, fields, text):
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=make_spec(), metadata_field=fields)
    assert refusal(stub.GetModelMetadata, request) == (INVALID, text)


def test_metadata_of_no_model_is_refused_for_that_first(stub):
    assert refusal(stub.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest()) == (
        INVALID,
        "Missing ModelSpec",
    )


def status_request(**spec):
    return get_model_status_pb2.GetModelStatusRequest(model_spec=make_spec(**spec))


def test_status_lists_versions_newest_first(models):
    response = models.GetModelStatus(status_request(), timeout=30)
    found = [(s.version, s.state, s.status.error_code) for s in response.model_version_status]
    assert found == [(2, 30, 0), (1, 30, 0)]
    one = models.GetModelStatus(status_request(version=1), timeout=30)
    assert [s.version for s in one.model_version_status] == [1]


def test_status_is_refused_for_what_was_never_seen(models):
    assert refusal(models.GetModelStatus, status_request(version=99)) == (
        MISSING,
        "Could not find version 99 of model toy",
    )
    assert refusal(models.GetModelStatus, status_request(name="nomodel")) == (
        MISSING,
        "Could not find any versions of model nomodel",
    )
    empty = get_model_status_pb2.GetModelStatusRequest()
    assert refusal(models.GetModelStatus, empty) == (INVALID, "Missing ModelSpec")


def test_an_unknown_service_is_unimplemented(channel):
    session_run = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert refusal(session_run, b"")[0] == UNIMPLEMENTED
