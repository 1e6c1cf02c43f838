"""JSON and TensorProto to arrays and back: for all types, and by the rules of TensorFlow's own parser."""

import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving import codec, documents, messages
from serving.nests import MAX_RANK, decode
from serving.status import HTTP, Code, ServingError, guarded, http_status
from serving.tensors import BY_NAME, KINDS, fill, to_array

LIMIT = 1 << 20
CALM = settings(deadline=None, derandomize=True, max_examples=100)
JSON_KINDS = [kind for kind in KINDS if kind.name in codec.WRITABLE]


def elements(kind):
    if kind.name == "string":
        return st.binary(max_size=6)
    if kind.numpy.kind == "f":
        return st.floats(width=8 * kind.numpy.itemsize, allow_nan=False)
    if kind.name == "bfloat16":
        return st.integers(-256, 256).map(float)  # all of them exact
    return hnp.from_dtype(kind.numpy, **({"allow_nan": False} if kind.numpy.kind == "c" else {}))


@st.composite
def arrays(draw, kinds, min_dims=0):
    kind = draw(st.sampled_from(kinds))
    shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=1, max_side=3))
    return kind, draw(hnp.arrays(kind.numpy, shape, elements=elements(kind)))


def attempt(function, *args):
    """Returns the result, or None for a refusal; any other exception fails the test."""
    with contextlib.suppress(ServingError):
        return function(*args)


def same(left, right):
    assert left.dtype == right.dtype
    np.testing.assert_array_equal(left, right)


@CALM
@given(arrays(JSON_KINDS, min_dims=1), st.booleans())
def test_arrays_survive_json_in_rows_and_columns(given_array, rows):
    kind, array = given_array
    body = codec.encode_outputs({"a_bytes": array}, rows)
    value = documents.loads(body)["predictions" if rows else "outputs"]
    found_rows, found = codec.decode_inputs({"instances" if rows else "inputs": value}, {"a_bytes": kind})
    assert found_rows == rows
    same(found["a_bytes"], array)
    json.loads(body)  # NaN apart, what is written is JSON for others as well


@CALM
@given(arrays(KINDS), st.booleans())
def test_arrays_survive_tensor_protos_and_tensorflow_reads_the_same(given_array, content):
    _, array = given_array
    proto = TensorProto()
    fill(proto, array, content=content)
    same(to_array(proto, limit=LIMIT), array)
    same(np.asarray(tf.make_ndarray(proto), array.dtype), array)


@CALM
@given(st.sampled_from(KINDS), hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), st.data())
def test_few_or_many_values_are_read_as_tensorflows_parser_reads_them(kind, shape, data):
    values = data.draw(st.lists(elements(kind), max_size=10))
    proto = TensorProto(dtype=kind.number)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    held = np.array(values, kind.numpy)
    as_held = {"half_val": np.uint16, "scomplex_val": np.float32, "dcomplex_val": np.float64}
    plain = kind.numpy[0] if kind.numpy.names else as_held.get(kind.field, kind.numpy)
    getattr(proto, kind.field).extend(held.view(plain).tolist())
    expected = tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(kind.number)).numpy()
    same(to_array(proto, limit=LIMIT), np.asarray(expected, kind.numpy))


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (TensorProto(dtype=21), "type or shape of the tensor is not supported"),
        (TensorProto(dtype=1, tensor_content=b"123"), "the tensor's content has another length than its shape"),
        (TensorProto(dtype=7, tensor_content=b"123"), "the tensor's content has another length than its shape"),
    ],
)
def test_what_is_no_tensor_is_refused(proto, message):
    with pytest.raises(ValueError, match=message):
        to_array(proto, limit=LIMIT)


def test_a_tiny_message_cannot_claim_a_huge_tensor():
    proto = TensorProto(dtype=1, float_val=[1])
    proto.tensor_shape.dim.add().size = 1 << 40
    with pytest.raises(ValueError, match="the tensor takes more than 1048576 bytes"):
        to_array(proto, limit=LIMIT)


def test_arrays_without_a_tensor_type_are_refused():
    with pytest.raises(ValueError, match="no tensor type for arrays of datetime64"):
        fill(TensorProto(), np.zeros(1, "datetime64[s]"), content=True)


@CALM
@given(st.lists(st.binary(max_size=200), max_size=4), st.binary(max_size=2))
def test_strings_as_content_are_read_as_tensorflows_parser_reads_them(strings, rest):
    lengths = b"".join(_VarintBytes(len(text)) for text in strings)
    proto = TensorProto(dtype=7, tensor_content=lengths + b"".join(strings) + rest)
    proto.tensor_shape.dim.add().size = len(strings)
    try:
        expected = tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy()
    except tf.errors.InvalidArgumentError:
        with pytest.raises(ValueError, match="the tensor's content has another length than its shape"):
            to_array(proto, limit=LIMIT)
    else:
        same(to_array(proto, limit=LIMIT), expected)


NESTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b64", "x"]), inner, max_size=2),
    max_leaves=8,
)


@CALM
@given(NESTS, st.sampled_from(KINDS))
def test_any_json_value_is_an_array_or_a_refusal(value, kind):
    array = attempt(decode, value, kind)
    assert array is None or array.dtype == kind.numpy


@CALM
@given(st.dictionaries(st.sampled_from(["inputs", "instances"]), NESTS, max_size=2), st.integers(1, 2))
def test_any_predict_body_is_decoded_or_refused(document, count):
    kinds = dict.fromkeys(("x", "b64")[:count], BY_NAME["float"])
    decoded = attempt(codec.decode_inputs, document, kinds)
    assert decoded is None or decoded[1].keys() == kinds.keys()


@CALM
@given(st.binary(max_size=30))
def test_any_bytes_parse_or_are_refused(body):
    attempt(documents.loads, body)


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        (True, "int32", "JSON Value: true Type: True is not of expected type: int32"),
        (None, "float", "JSON Value: null Type: Null is not of expected type: float"),
        (2**31, "int8", "JSON Value: 2147483648 Type: Number is not of expected type: int8"),
        (-1, "uint32", "JSON Value: -1 Type: Number is not of expected type: uint32"),
        (2**64, "uint64", f"JSON Value: {2**64} Type: Number is not of expected type: uint64"),
        (1, "bool", "JSON Value: 1 Type: Number is not of expected type: bool"),
        ({"x": 1}, "float", 'JSON Value: {\n    "x": 1\n} Type: Object is not of expected type: float'),
        (2**24, "float", "Cannot convert JSON value: 16777216 to float without loss of precision."),
        ([1, [2]], "float", "Encountered list at unexpected level: 1 expected < 1"),
        (
            [[1], 2],
            "float",
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ({"b64": 1}, "string", 'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data'),
        ("\ud800", "string", 'JSON Value: "\ud800" is not valid Unicode'),
        ("x" * 2000, "float", f'JSON Value: "{"x" * 999}... Type: String is not of expected type: float'),
    ],
)
def test_values_are_refused_in_tf_servings_words(value, name, message):
    with pytest.raises(ServingError) as caught:
        decode(value, BY_NAME[name])
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


def test_lists_nested_without_end_are_refused():
    value = 1.0
    for _ in range(5000):
        value = [value]
    with pytest.raises(ServingError) as caught:
        decode(value, BY_NAME["float"])
    assert caught.value.message == f"JSON list is nested 5000 levels deep; at most {MAX_RANK} are supported"


@pytest.mark.parametrize("text", ["AAEC", "AAE=", "AAE", "AA EC\n"])
def test_base64_is_read_with_or_without_padding_and_white_space(text):
    assert decode({"b64": text}, BY_NAME["string"])[()] == b"\x00\x01\x02"[: 2 if "EC" not in text else 3]


def test_outputs_of_other_batch_sizes_have_no_rows():
    with pytest.raises(ServingError) as caught:
        codec.encode_outputs({"a": np.zeros(2), "b": np.zeros(3)}, True)
    assert caught.value.message == "Tensor name: b has inconsistent batch size: 3 expecting: 2"


def test_half_precision_has_no_json_form():
    with pytest.raises(ServingError) as caught:
        codec.encode_outputs({"a": np.zeros(2, np.float16)}, True)
    assert caught.value.message == "Failed to write JSON value for tensor type: half"


def test_the_clients_messages_are_tf_servings_on_the_wire():
    ours = messages.PredictRequest()
    ours.model_spec.name, ours.model_spec.signature_name = "m", "s"
    ours.model_spec.version.value = 7
    for kind in KINDS:
        fill(ours.inputs[kind.name], np.full([2], b"1" if kind.name == "string" else 1, kind.numpy), content=False)
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert (theirs.model_spec.name, theirs.model_spec.signature_name, theirs.model_spec.version.value) == ("m", "s", 7)
    assert {name: proto.dtype for name, proto in theirs.inputs.items()} == {k.name: k.number for k in KINDS}
    for kind in KINDS:
        same(to_array(theirs.inputs[kind.name], limit=LIMIT), to_array(ours.inputs[kind.name], limit=LIMIT))
    assert not theirs.FindInitializationErrors()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (messages.PredictResponse, predict_pb2.PredictResponse),
        (messages.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
        (messages.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
        (messages.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest),
        (messages.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
        (messages.SignatureDefMap, get_model_metadata_pb2.SignatureDefMap),
    ],
)
def test_every_field_the_client_knows_has_tf_servings_number_and_wire_type(ours, theirs):
    check_fields(ours.DESCRIPTOR, theirs.DESCRIPTOR, set())


def check_fields(ours, theirs, seen):
    if ours.full_name in seen:
        return
    seen.add(ours.full_name)
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (other.number, other.is_repeated), field.full_name
        enum_as_int = other.type == other.TYPE_ENUM and field.type == field.TYPE_INT32
        assert enum_as_int or field.type == other.type, field.full_name
        if field.message_type:
            check_fields(field.message_type, other.message_type, seen)


def test_every_code_has_tf_servings_http_status():
    assert {code.name: http_status(code) for code in Code} == {
        "OK": 200,
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }
    assert set(HTTP) < set(Code)


def test_unforeseen_failures_leave_the_boundary_without_their_text(caplog):
    with pytest.raises(ServingError) as caught:
        guarded(lambda: {}["secret"])
    assert str(caught.value) == "INTERNAL: Internal error; the server's log has the details."
    assert "secret" in caplog.text
