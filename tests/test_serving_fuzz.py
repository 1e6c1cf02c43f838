"""Whatever is sent, the server answers, with a code that blames the sender, and goes on."""

import json
import socket

import grpc
import pytest
import requests
import serving_toy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_raw import code_of
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

server = serving_toy.server
many = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))

METHODS = [
    "PredictionService/Predict",
    "PredictionService/Classify",
    "PredictionService/Regress",
    "PredictionService/MultiInference",
    "PredictionService/GetModelMetadata",
    "ModelService/GetModelStatus",
]
BLAMELESS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED", "OUT_OF_RANGE"}
SIGNATURES = ["", "two_out", "two_in", "text", "parse", "scalar", "half16", "conv", "reg", "cls", "bogus"]
PATHS = [
    "/v1/models/toy:predict",
    "/v1/models/toy/versions/1:predict",
    "/v1/models/toy/labels/stable:predict",
    "/v1/models/toy:classify",
    "/v1/models/toy:regress",
    "/v1/models/other:predict",
]
SMALL = st.integers(-2, 5)
SIZES = SMALL | st.sampled_from([2**31, 2**62, -(2**63)])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.builds(lambda text: {"b64": text}, st.text(max_size=8)),
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xabs") | st.text(), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from(["instances", "inputs", "examples", "context", "signature_name"]) | st.text(max_size=5)
BODIES = st.dictionaries(KEYS, TREES | st.sampled_from(SIGNATURES), max_size=4)


@st.composite
def tensors(draw):
    tensor = TensorProto(dtype=draw(st.integers(-1, 30) | st.sampled_from([1, 3, 7])))
    tensor.tensor_shape.unknown_rank = draw(st.booleans()) and draw(st.booleans())
    for size in draw(st.lists(SIZES, max_size=4)):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = draw(st.binary(max_size=24))
    tensor.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    tensor.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4)))
    tensor.string_val.extend(draw(st.lists(st.binary(max_size=6), max_size=3)))
    return tensor


@st.composite
def predictions(draw):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw(st.sampled_from(["toy", "toy", "toy", "other", ""]))
    request.model_spec.signature_name = draw(st.sampled_from(SIGNATURES))
    if draw(st.booleans()):
        request.model_spec.version.value = draw(st.sampled_from([1, 2]) | st.integers(-(2**63), 2**63 - 1))
    for alias in draw(st.lists(st.sampled_from("xxxabs") | st.text(max_size=3), max_size=3)):
        request.inputs[alias].CopyFrom(draw(tensors()))
    request.output_filter.extend(draw(st.lists(st.sampled_from(["y", "norm", "nope"]), max_size=3)))
    return request.SerializeToString()


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def session(server):
    with requests.Session() as opened:
        opened.trust_env = False
        opened.base = f"http://127.0.0.1:{server.rest_port}"  # type: ignore[attr-defined]
        yield opened


@pytest.fixture(scope="module", autouse=True)
def unharmed(server):
    """After everything, the server answers as at first, and nothing of what was sent is still at work."""
    yield
    body = json.dumps({"instances": [[1.0, 2.0]]}).encode()
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/toy:predict"
    assert requests.post(url, data=body, timeout=10).json() == {"predictions": [[2.5, 3.0]]}


@many
@given(method=st.sampled_from(METHODS), request=st.binary(max_size=200))
def test_bytes_over_grpc(channel, method, request):
    assert code_of(channel, method, request, 20) in BLAMELESS


@many
@given(request=predictions())
def test_predictions_over_grpc(channel, request):
    assert code_of(channel, METHODS[0], request, 20) in BLAMELESS


@many
@given(request=predictions(), method=st.sampled_from(METHODS), data=st.data())
def test_damaged_messages_over_grpc(channel, request, method, data):
    damaged = bytearray(request)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged)))
        damaged[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    assert code_of(channel, method, bytes(damaged), 20) in BLAMELESS


@many
@given(path=st.sampled_from(PATHS), body=BODIES)
def test_documents_over_rest(session, path, body):
    answer = session.post(session.base + path, data=json.dumps(body).encode("utf-8", "surrogatepass"), timeout=20)
    assert answer.status_code in {200, 400, 404, 501}
    assert answer.status_code == 200 or list(answer.json()) == ["error"]


@many
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=100), zipped=st.booleans())
def test_bytes_over_rest(session, path, body, zipped):
    headers = {"Content-Encoding": "gzip"} if zipped else {}
    answer = session.post(session.base + path, data=body, headers=headers, timeout=20)
    assert answer.status_code in {400, 404}
    assert list(answer.json()) == ["error"]


@many
@given(lines=st.lists(st.binary(max_size=60) | st.sampled_from([b"GET /v1/models/toy HTTP/1.1", b""]), max_size=5))
def test_bytes_over_tcp(server, lines):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


@pytest.mark.parametrize("depth", [200, 2_000, 200_000])
def test_no_depth_of_json_is_too_deep_to_be_refused(session, depth):
    body = b'{"instances": ' + b"[" * depth + b"]" * depth + b"}"
    answer = session.post(session.base + PATHS[0], data=body, timeout=20)
    assert answer.status_code == 400


def test_no_text_takes_long_to_be_refused(session):
    # Before strings were matched possessively: hours, with the interpreter's lock held.
    body = b'{"instances":["' + b'\\"' * (1 << 19)
    assert session.post(session.base + PATHS[0], data=body, timeout=20).status_code == 400


def test_a_header_of_any_bytes_is_answered(server):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
        head = b"POST /v1/models/toy:predict HTTP/1.1\r\nAuthorization: Bearer \xff\xff\xff\r\n"
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")
        assert connection.recv(100)[8:13] == b" 400 "
