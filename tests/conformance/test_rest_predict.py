"""Cases 42 to 55 and 58 to 62: Predict over REST, with its bodies, numbers and encodings."""

import base64
import gzip
import json

import numpy as np
import pytest

ONE = [[1.0, 2.0]]
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
        {"signature_name": "text", "instances": [b64(b"\x01\x00"), "plain"]},
        {
            "predictions": [
                {"out": "\x01\x00", "out_bytes": b64(b"\x01\x00")},
                {"out": "plain", "out_bytes": b64(b"plain")},
            ]
        },
    ),
    ({"signature_name": "text", "inputs": {"s": ["é"]}}, {"outputs": {"out": ["é"], "out_bytes": [b64("é".encode())]}}),
    ({"signature_name": "scalar", "inputs": ONE}, {"outputs": 3.0}),
]


@pytest.mark.parametrize(("body", "expected"), ANSWERED)
def test_42_to_48_rows_and_columns_are_answered(rest, body, expected):
    response = rest.post(PREDICT, body)
    assert (response.status_code, response.json()) == (200, expected)
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "JSON Parse error: The document is empty"),
        (b"{", 400, "JSON Parse error: "),
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
        (
            {"signature_name": "two_in", "instances": [b64(b"x")]},
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            {"signature_name": "__saved_model_init_op"},
            400,
            "Failed to get input map for signature: __saved_model_init_op",
        ),
        ({"inputs": [True]}, 400, "JSON Value: true Type: True is not of expected type: float"),
    ],
)
def test_47_to_59_bad_bodies_are_refused(rest, body, status, text):
    response = rest.post(PREDICT, body)
    assert response.status_code == status
    assert text in response.json()["error"]
    assert response.headers["Content-Type"] == "application/json"


def test_51_bytes_that_are_no_text_come_back_in_base64(rest):
    response = rest.post(PREDICT, {"signature_name": "text", "instances": [b64(b"\xff")]})
    # Of the output that is not called bytes, TF Serving writes the bytes as they are, valid text or not.
    answer = json.loads(response.content.decode("utf-8", "replace"))
    assert answer["predictions"][0]["out_bytes"] == b64(b"\xff")


def test_56_bad_json_to_an_unknown_model_is_bad_json(rest):
    assert rest.post("/v1/models/nomodel:predict", b"{").status_code == 400


def test_60_nan_and_infinity_travel_as_bare_tokens(rest):
    response = rest.post(PREDICT, b'{"instances": [[NaN, -Infinity], [Inf, 3e38]], "s": "Inf"} trailing text')
    (nan, low), (high, large) = response.json()["predictions"]
    assert np.isnan(nan)
    assert (low, high, large) == (-np.inf, np.inf, pytest.approx(1.5e38))
    assert b"NaN" in response.content


def test_60_a_byte_order_mark_is_no_fault(rest):
    body = b"\xef\xbb\xbf" + json.dumps({"instances": ONE}).encode()
    assert rest.post(PREDICT, body).json() == {"predictions": [[2.5, 3.0]]}


def test_61_floats_over_rest_are_those_over_grpc(rest, api):
    given = np.random.default_rng(0).normal(size=[50, 2]) * 10.0 ** np.arange(-25, 25)[:, None]
    given = given.astype(np.float32)
    response = rest.post(PREDICT, {"inputs": given.astype(float).tolist()})
    over_rest = np.array(response.json()["outputs"], np.float32)
    np.testing.assert_array_equal(over_rest, api.predict({"x": given})["y"])
    assert response.content.count(b".") >= given.size, "whole numbers have their .0"


def test_62_packed_bodies_are_unpacked(rest):
    packed = {"Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps({"instances": ONE}).encode())
    answer = rest.post(PREDICT, body, headers=packed)
    assert answer.json() == {"predictions": [[2.5, 3.0]]}
    assert "Content-Encoding" not in answer.headers
    garbage = rest.post(PREDICT, b"garbage", headers=packed)
    assert garbage.status_code == 400
    assert "document is empty" in garbage.json()["error"].lower()
