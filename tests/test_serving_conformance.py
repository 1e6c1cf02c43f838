"""The embedded server answers as TF Serving does: codes, texts, forms; over real sockets."""

import base64
import gzip
import json
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
import requests
import serving_toy
import tensorflow as tf
from google.protobuf import wrappers_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.server import Options, Server

INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
MISSING, UNIMPLEMENTED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED
ONE = [[1.0, 2.0]]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "toy"
    for version in (1, 2):
        serving_toy.write(base, version)
    options = Options(
        model_name="toy", model_base_path=base, port=0, rest_api_port=0, keep_versions=2, max_request_bytes=32 << 20
    )
    with Server(options) as running:
        yield running


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


@pytest.fixture(scope="module")
def http(server):
    with requests.Session() as session:
        session.trust_env = False

        def call(method, path, body=None, **kwargs):
            data = json.dumps(body).encode() if isinstance(body, dict) else body
            return session.request(method, f"http://127.0.0.1:{server.rest_port}{path}", data=data, **kwargs)

        yield call


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
    ({"inputs": {"x": proto(tf.bfloat16, [1, 2], half_val=[1])}}, INVALID, "tensor parsing error: x"),
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
    np.testing.assert_array_equal(answer(stub)["y"], [[2.5, 3.0]]), "and goes on answering"


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


def test_what_is_not_built_is_unimplemented(stub, models, channel):
    refused = [
        (stub.Classify, classification_pb2.ClassificationRequest(), "Classify"),
        (stub.Regress, regression_pb2.RegressionRequest(), "Regress"),
        (stub.MultiInference, inference_pb2.MultiInferenceRequest(), "MultiInference"),
        (models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest(), "HandleReloadConfigRequest"),
    ]
    for call, request, name in refused:
        assert refusal(call, request) == (UNIMPLEMENTED, f"{name} is not supported by this server.")
    session_run = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert refusal(session_run, b"")[0] == UNIMPLEMENTED


PREDICT = "/v1/models/toy:predict"


def b64(value):
    return {"b64": base64.b64encode(value).decode()}


ANSWERED = [
    ({"instances": ONE}, {"predictions": [[2.5, 3.0]]}),
    ({"inputs": ONE}, {"outputs": [[2.5, 3.0]]}),
    ({"instances": [{"x": [1, 2]}]}, {"predictions": [[2.5, 3.0]]}),
    ({"inputs": {"x": ONE}, "ignored": 1}, {"outputs": [[2.5, 3.0]]}),
    (
        {"signature_name": "two_out", "instances": [[3, 4], [0, 0]]},
        {"predictions": [{"y": [3.5, 4.0], "norm": 5.0}, {"y": [2.0, 2.0], "norm": 0.0}]},
    ),
    (
        {"signature_name": "two_out", "inputs": [[3, 4]]},
        {"outputs": {"y": [[3.5, 4.0]], "norm": [5.0]}},
    ),
    ({"signature_name": "two_in", "instances": [{"a": [1, 2], "b": 3}]}, {"predictions": [6.0]}),
    ({"signature_name": "two_in", "inputs": {"a": [[1, 2]], "b": [3], "extra": 0}}, {"outputs": [6.0]}),
    (
        {"signature_name": "text", "instances": [b64(b"\xff\x00"), "plain"]},
        {
            "predictions": [
                {"out": "\ufffd\x00", "out_bytes": b64(b"\xff\x00")},
                {"out": "plain", "out_bytes": b64(b"plain")},
            ]
        },
    ),
    ({"signature_name": "text", "inputs": {"s": ["é"]}}, {"outputs": {"out": ["é"], "out_bytes": [b64("é".encode())]}}),
    ({"signature_name": "scalar", "inputs": ONE}, {"outputs": 3.0}),
]


@pytest.mark.parametrize(("body", "expected"), ANSWERED)
def test_rest_answers_rows_and_columns(http, body, expected):
    response = http("POST", PREDICT, body)
    assert (response.status_code, response.json()) == (200, expected)
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "JSON Parse error: The document is empty"),
        (b"{", 400, "JSON Parse error: "),
        (b"[" * 100_000, 400, "JSON Parse error: "),
        (b"[]", 400, "JSON Value: [] Is not object"),
        ({"signature_name": 1}, 400, "not formatted correctly. 'signature_name' key must be a string value."),
        ({"signature_name": "bogus"}, 400, 'Serving signature name: "bogus" not found in signature def'),
        ({"instances": ONE, "inputs": ONE}, 400, "Not formatted correctly expecting only one of 'inputs' or "),
        ({}, 400, "Missing 'inputs' or 'instances' key"),
        ({"instances": {}}, 400, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, 400, "No values in 'instances' array"),
        (
            {"signature_name": "two_in", "instances": ONE},
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            {"signature_name": "two_in", "inputs": ONE},
            400,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        ({"signature_name": "two_in", "inputs": {"a": ONE}}, 400, "Missing named input: b in 'inputs' object."),
        (
            {"instances": ["a"]},
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"a\" Type: "
            "String is not of expected type: float",
        ),
        (
            {"instances": [[1, 2], [1]]},
            400,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but "
            "got: 1",
        ),
        ({"inputs": [[1, 2], [1]]}, 400, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        (
            {"signature_name": "two_in", "instances": [{"a": [1, 2]}]},
            400,
            "of 'instances' list. JSON object: {\n    \"a\": [\n        1,\n        2\n    ]\n} keys must be equal to: "
            "a,b",
        ),
        (
            {"signature_name": "two_in", "instances": [{"a": [1, 2], "c": 1}]},
            400,
            "Failed to process element: 0 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: c",
        ),
        (
            {"signature_name": "two_in", "instances": [{"a": [1, 2], "b": 1.0}]},
            400,
            "Failed to process element: 0 key: b of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1.0 Type: "
            "Number is not of expected type: int32",
        ),
        (
            {"signature_name": "two_in", "instances": [{"a": [1, 2], "b": 1}, [1]]},
            400,
            "Expecting object but got list at item 1 of input list",
        ),
        ({"instances": [[1, 2], {"x": [1, 2]}]}, 400, "Expecting value/list but got object at item 1 of input list"),
        ({"signature_name": "text", "inputs": [{"b64": "%%%"}]}, 400, "Unable to base64 decode"),
        ({"signature_name": "scalar", "instances": ONE}, 400, "Tensor name: total has no shape information "),
        ({"signature_name": "half16", "instances": [1.0]}, 400, "Conversion of JSON Value: 1.0 to type: half"),
        ({"signature_name": "half16", "inputs": [1.0]}, 501, "Conversion of JSON Value: 1.0 to type: half"),
        ({"instances": [[1, 2, 3]]}, 400, "is not compatible with expected shape [?,2]"),
        ({"instances": [[1e39, 0]]}, 400, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ({"inputs": [True]}, 400, "JSON Value: true Type: True is not of expected type: float"),
    ],
)
def test_rest_refuses_bad_bodies_as_tf_serving(http, body, status, text):
    response = http("POST", PREDICT, body)
    assert response.status_code == status
    assert text in response.json()["error"]
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/v1/models/nomodel:predict", 404, "Servable not found for request: Latest(nomodel)"),
        ("POST", "/v1/models/toy/versions/99:predict", 404, "Servable not found for request: Specific(toy, 99)"),
        ("POST", "/v1/models/toy/labels/nope:predict", 400, "Unrecognized servable version label: nope"),
        (
            "POST",
            "/v1/models/toy/versions/18446744073709551615:predict",
            400,
            "Failed to convert version: 18446744073709551615 to numeric.",
        ),
        ("POST", "/v1/models/toy:predict?x=1", 400, "Malformed request: POST /v1/models/toy:predict?x=1"),
        ("POST", "/v1/models/toy:classify", 501, "classify is not supported by this server."),
        ("POST", "/v1/models/toy:regress", 501, "regress is not supported by this server."),
        ("POST", "/v1/models/../../etc:predict", 400, "Malformed request: POST /v1/models/../../etc:predict"),
        ("POST", "/v1/models/%2e%2e%2fetc:predict", 404, "Servable not found for request: Latest(../etc)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("GET", "/v1/models/toy:predict", 400, "Malformed request: GET /v1/models/toy:predict"),
        ("PUT", "/v1/models/toy", 400, "Malformed request: PUT /v1/models/toy"),
        ("GET", "/v1/models/toy?x=1", 404, "Could not find any versions of model toy?x=1"),
        ("GET", "/v1/models/nomodel", 404, "Could not find any versions of model nomodel"),
        ("GET", "/v1/models/toy/versions/99", 404, "Could not find version 99 of model toy"),
        ("GET", "/v1/models/toy/versions/99/metadata", 404, "Servable not found for request: Specific(toy, 99)"),
        ("GET", "/index", 404, "Not found: /index"),
    ],
)
def test_rest_routes_as_tf_serving(server, method, path, status, text):
    # Not through requests, which resolves the dots.
    connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    connection.request(method, path, body=json.dumps({"instances": ONE}) if method == "POST" else None)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())) == (status, {"error": text})
    connection.close()


def test_bad_json_to_an_unknown_model_is_bad_json(http):
    assert http("POST", "/v1/models/nomodel:predict", b"{").status_code == 400


@pytest.mark.parametrize("path", ["/V1/Models/toy/versions/1:predict", "/v1/models/%74oy/versions/1:predict"])
def test_paths_are_case_insensitive_and_percent_decoded(http, path):
    assert http("POST", path, {"instances": ONE}).json() == {"predictions": [[1.5, 2.0]]}


def test_nan_and_infinity_travel_as_bare_tokens(http):
    response = http("POST", PREDICT, b'{"instances": [[NaN, -Infinity], [Inf, 3e38]], "s": "Inf"} trailing text')
    (nan, low), (high, large) = response.json()["predictions"]
    assert np.isnan(nan)
    assert (low, high, large) == (-np.inf, np.inf, pytest.approx(1.5e38))
    assert b"NaN" in response.content


def test_floats_over_rest_equal_those_over_grpc(http, stub):
    given = np.random.default_rng(0).normal(size=[50, 2]).astype(np.float32) * 10.0 ** np.arange(-25, 25)[:, None]
    given = given.astype(np.float32)
    response = http("POST", PREDICT, {"inputs": given.astype(float).tolist()})
    over_rest = np.array(response.json()["outputs"], np.float32)
    np.testing.assert_array_equal(over_rest, answer(stub, inputs={"x": given})["y"])


def test_gzip_bodies_are_unpacked_within_the_limit(http):
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps({"instances": ONE}).encode())
    assert http("POST", PREDICT, body, headers=headers).json() == {"predictions": [[2.5, 3.0]]}
    garbage = http("POST", PREDICT, b"garbage", headers=headers)
    assert (garbage.status_code, garbage.json()["error"]) == (400, "JSON Parse error: The document is empty")
    bomb = http("POST", PREDICT, gzip.compress(b" " * (33 << 20)), headers=headers)
    assert bomb.status_code == 413


@pytest.mark.parametrize("wrap", [bytes, lambda body: iter([body])], ids=["whole", "chunked"])
def test_an_oversized_body_is_refused(http, wrap):
    response = http("POST", PREDICT, wrap(b" " * (33 << 20)))
    assert response.status_code == 413
    assert response.json() == {"error": f"Request body is larger than the limit of {32 << 20} bytes."}


def test_rest_status_and_metadata_have_the_protos_json(http):
    ok = {"error_code": "OK", "error_message": ""}
    both = [{"version": v, "state": "AVAILABLE", "status": ok} for v in ("2", "1")]
    assert http("GET", "/v1/models/toy").json() == {"model_version_status": both}
    assert http("GET", "/v1/models/toy/labels/stable").json() == {"model_version_status": both}
    assert http("GET", "/v1/models/toy/versions/1").json() == {"model_version_status": both[1:]}
    metadata = http("GET", "/v1/models/toy/metadata").json()
    assert metadata["model_spec"] == {"name": "toy", "signature_name": "", "version": "2"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    shape = {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False}
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"] == shape
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_options_asks_for_an_origin_and_head_has_no_body(http):
    allowed = http("OPTIONS", PREDICT, headers={"Origin": "http://localhost"})
    assert (allowed.status_code, allowed.content) == (200, b"")
    assert "Access-Control-Allow-Origin" not in allowed.headers
    assert http("OPTIONS", PREDICT).status_code == 400
    head = http("HEAD", "/v1/models/toy")
    assert (head.status_code, head.content) == (400, b"")
