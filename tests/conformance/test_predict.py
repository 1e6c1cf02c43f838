"""Predict: cases 1 to 25."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from conformance.harness import CODE, make_request, refusal
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

ONE = [[1.0, 2.0]]
TENSOR = tf.float32.as_datatype_enum


def proto(shape, **values):
    tensor = TensorProto(dtype=TENSOR, **values)
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    return tensor


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        pytest.param({}, 2, id="case_1"),
        pytest.param({"version": 1}, 1, id="case_2"),
        pytest.param({"label": "stable"}, 1, id="case_3"),
    ],
)
def test_the_version_asked_for_answers_and_is_named(api, spec, version):
    response = api.prediction.Predict(make_request(**spec), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [[0.5 + version, 1.0 + version]])
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", version)
    assert response.model_spec.signature_name == "serving_default"
    assert response.model_spec.WhichOneof("version_choice") == "version"


@pytest.mark.parametrize(
    ("request_parts", "code", "texts"),
    [
        pytest.param(
            {"label": "nope"}, CODE.INVALID_ARGUMENT, ["Unrecognized servable version label: nope"], id="case_4"
        ),
        pytest.param(
            {"name": "nomodel"}, CODE.NOT_FOUND, ["Servable not found for request: Latest(nomodel)"], id="case_5"
        ),
        pytest.param(
            {"version": 99}, CODE.NOT_FOUND, ["Servable not found for request: Specific(toy, 99)"], id="case_6"
        ),
        pytest.param({"name": ""}, CODE.INVALID_ARGUMENT, ["ModelSpec has no name specified."], id="case_8"),
        pytest.param(
            {"signature": "bogus"}, CODE.FAILED_PRECONDITION, ['Serving signature key "bogus" not found.'], id="case_9"
        ),
        pytest.param(
            {"inputs": {}},
            CODE.INVALID_ARGUMENT,
            ["input size does not match signature: 0!=1", "Missing but required: {x}"],
            id="case_10",
        ),
        pytest.param(
            {"inputs": {"x": ONE, "z": ONE}}, CODE.INVALID_ARGUMENT, ["2!=1", "Sent extra: {z}"], id="case_11"
        ),
        pytest.param(
            {"inputs": {"z": ONE}}, CODE.INVALID_ARGUMENT, ["Signature input alias: x(feed name:"], id="case_12"
        ),
        pytest.param(
            {"inputs": {"x": np.array(ONE)}},
            CODE.INVALID_ARGUMENT,
            ["Expects arg[0] to be float but double is provided"],
            id="case_13",
        ),
        pytest.param(
            {"inputs": {"x": [[1.0, 2.0, 3.0]]}},
            CODE.INVALID_ARGUMENT,
            ["is not compatible with expected shape [?,2]"],
            id="case_14_width",
        ),
        pytest.param(
            {"inputs": {"x": [1.0, 2.0]}},
            CODE.INVALID_ARGUMENT,
            ["is not compatible with expected shape [?,2]"],
            id="case_14_rank",
        ),
        pytest.param(
            {"inputs": {"x": proto([2, 2], tensor_content=b"abc")}},
            CODE.INVALID_ARGUMENT,
            ["tensor parsing error: x"],
            id="case_15",
        ),
        pytest.param(
            {"outputs": ["foo"]},
            CODE.INVALID_ARGUMENT,
            ["output tensor alias not found in signature: foo"],
            id="case_20",
        ),
        pytest.param(
            {"outputs": ["y", "y"]}, CODE.INVALID_ARGUMENT, ["duplicate output tensor alias: y"], id="case_21"
        ),
    ],
)
def test_predict_refuses_and_goes_on(api, request_parts, code, texts):
    found, text = refusal(api.prediction.Predict, make_request(**request_parts))
    assert found == code
    assert [part for part in texts if part not in text] == []
    np.testing.assert_array_equal(api.predict()["y"], [[2.5, 3.0]])


def test_case_7_a_request_needs_a_model_spec(api):
    found = refusal(api.prediction.Predict, predict_pb2.PredictRequest())
    assert found == (CODE.INVALID_ARGUMENT, "Missing ModelSpec")


def test_case_16_too_few_values_repeat_the_last(api):
    np.testing.assert_array_equal(api.predict({"x": proto([2, 2], float_val=[4])})["y"], np.full([2, 2], 4.0))


def test_case_17_an_empty_batch_has_an_empty_answer(api):
    assert api.predict({"x": np.zeros([0, 2], np.float32)})["y"].shape == (0, 2)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [pytest.param([], {"y", "norm"}, id="case_18"), pytest.param(["norm"], {"norm"}, id="case_19")],
)
def test_the_filter_chooses_outputs(api, wanted, given):
    assert api.predict(outputs=wanted, signature="two_out").keys() == given


def test_case_22_every_bit_of_the_answer_is_right(api):
    rows = np.random.default_rng(0).normal(size=[50, 2]).astype(np.float32)
    tensor = api.prediction.Predict(make_request({"x": rows}), timeout=30).outputs["y"]
    assert (tensor.dtype, [dim.size for dim in tensor.tensor_shape.dim]) == (TENSOR, [50, 2])
    np.testing.assert_array_equal(tf.make_ndarray(tensor), rows / 2 + 2)


def test_case_23_bytes_are_preserved(api):
    outputs = api.predict({"s": tf.make_tensor_proto([b"\xff\x00"])}, signature="text")
    assert outputs["out"].tolist() == outputs["out_bytes"].tolist() == [b"\xff\x00"]


def test_case_24_eight_mebibytes_are_answered(api):
    rows = np.ones([1 << 20, 2], np.float32)
    assert api.predict({"x": rows}, signature="scalar")["total"] == rows.size


def test_case_25_a_deadline_is_kept(api):
    request = make_request({"rounds": np.int32([500])}, signature="slow")
    with pytest.raises(grpc.RpcError) as caught:
        api.prediction.Predict(request, timeout=0.05)
    assert caught.value.code() == CODE.DEADLINE_EXCEEDED
    np.testing.assert_array_equal(api.predict()["y"], [[2.5, 3.0]])
