"""REST answers as TF Serving does: routes, codes, texts, forms; over real sockets."""

import base64
import gzip
import json
import select
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import numpy as np
import pytest
import requests
import serving_toy

server = serving_toy.server
ONE = [[1.0, 2.0]]
PREDICT = "/v1/models/toy:predict"
ROW = "0.123456," * 1000 + "0.5"


@pytest.fixture(scope="module")
def http(server):
    with requests.Session() as session:
        session.trust_env = False

        def call(method, path, body=None, **kwargs):
            data = json.dumps(body).encode() if isinstance(body, dict) else body
            return session.request(method, f"http://127.0.0.1:{server.rest_port}{path}", data=data, **kwargs)

        yield call


def b64(value):
    return {"b64": base64.b64encode(value).decode()}


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
        ("POST", "/v1/models/toy:PREDICT", 400, "Malformed request: POST /v1/models/toy:PREDICT"),
        ("TRACE", "/v1/models/toy", 501, "Not implemented: TRACE"),
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


def test_a_body_nested_without_end_is_refused(http):
    response = http("POST", PREDICT, b"[" * 100_000)
    assert (response.status_code, response.json()["error"][:18]) == (400, "JSON Parse error: ")


@pytest.mark.parametrize("path", ["/V1/Models/toy/versions/1:predict", "/v1/models/%74oy/versions/1:predict"])
def test_paths_are_case_insensitive_and_percent_decoded(http, path):
    assert http("POST", path, {"instances": ONE}).json() == {"predictions": [[1.5, 2.0]]}


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


def test_paths_that_are_not_unicode_are_refused(server, http):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=30) as raw:
        raw.sendall(b"GET /v1/models/\xff HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 400 " in raw.recv(4096)
    encoded = http("GET", "/v1/models/%ff")
    assert (encoded.status_code, encoded.json()["error"]) == (404, "Could not find any versions of model \ufffd")


def test_strings_that_are_not_unicode_are_refused_or_kept(http):
    refused = http("POST", PREDICT, b'{"signature_name": "\xff", "instances": [1]}')
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        'Serving signature name: "?" not found in signature def',
    )
    kept = http("POST", PREDICT, b'{"signature_name": "text", "inputs": ["\xff"]}')
    assert kept.json()["outputs"]["out_bytes"] == [b64(b"\xff")]


def test_a_body_that_breaks_off_harms_nobody(server, http):
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=30) as raw:
        raw.sendall(head)
    chunked = b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=30) as raw:
        raw.sendall(chunked)
        assert b" 400 " in raw.recv(4096)
    assert http("POST", PREDICT, {"instances": ONE}).status_code == 200


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


def posted(body, headers=""):
    head = f"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(connection):
    """Returns the status and the body of the next answer."""
    file = connection.makefile("rb")
    status, length = int(file.readline().split()[1]), 0
    while line := file.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return status, file.read(length)


def connected(server):
    return socket.create_connection(("127.0.0.1", server.rest_port), timeout=60)


def rows(text, size):
    return ",".join([f"[{text}]"] * (size // len(text)))


def plain(size):
    return f'{{"instances":[{rows(ROW, size)}]}}'


def with_nan(size):
    return f'{{"instances":[{rows("NaN," + ROW, size)}]}}'


def with_an_x(size):
    return f'{{"instances":[{rows(ROW, size)},[{ROW[:-3]}"x"]]}}'


def strings(size):
    return json.dumps({"signature_name": "text", "instances": ["some text of some length" * 10] * (size // 244)})


def test_a_short_question_is_answered_before_a_long_body_is_refused(server):
    # Packed, it has arrived before the question is asked.
    packed = gzip.compress(with_an_x(16 << 20).encode())
    with connected(server) as long, connected(server) as short:
        long.sendall(posted(packed, "Content-Encoding: gzip\r\n"))
        short.sendall(b"GET /v1/models/toy HTTP/1.1\r\nHost: x\r\n\r\n")
        ready, _, _ = select.select([long, short], [], [], 60)
        assert ready == [short]
        assert answer(short)[0] == 200
        status, body = answer(long)
    last = (16 << 20) // len(ROW)
    assert status == 400
    assert f"Failed to process element: {last} of 'instances' list." in json.loads(body)["error"]


@pytest.mark.slow
@pytest.mark.parametrize("body", [plain, with_nan, with_an_x, strings])
def test_many_short_questions_are_answered_while_a_long_body_is_read(server, body):
    def ask(long):
        long.sendall(posted(body(31 << 20).encode()))
        return answer(long)

    asked = 0
    with connected(server) as long, connected(server) as short, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, long)
        while not waiting.done():
            short.sendall(b"GET /v1/models/toy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer(short)[0] == 200
            asked += 1
        status, text = waiting.result()
    assert asked > 10
    if body is strings:
        assert (status, len(json.loads(text)["predictions"])) == (200, (31 << 20) // 244)
    else:
        assert status == 400  # two columns are wanted


def test_a_long_body_and_its_long_answer_arrive_whole_packed_or_not(server):
    x = np.arange(60000, dtype=np.float32).reshape(-1, 2)
    x[-1] = np.nan, np.inf
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/toy"
    body = json.dumps({"instances": x.tolist()}).encode()
    assert len(body) > 1 << 19
    for sent, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        found = requests.post(f"{url}/versions/1:predict", sent, headers=headers, timeout=60)
        np.testing.assert_array_equal(np.array(found.json()["predictions"], np.float32), x / 2 + 1)
    texts = ["a" * 500] * 1000
    found = requests.post(f"{url}:predict", json={"signature_name": "text", "inputs": texts}, timeout=60).json()
    assert found["outputs"]["out"] == texts


def test_a_body_is_asked_for_when_it_is_wanted(server):
    body = b'{"instances": [[1.0, 2.0]]}'
    head, _, _ = posted(body, "Expect: 100-continue\r\n").partition(b"{")
    with connected(server) as raw:
        for _ in range(2):  # the connection stays
            raw.sendall(head)
            assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            raw.sendall(body)
            assert answer(raw) == (200, b'{"predictions":[[2.5,3.0]]}')


@pytest.mark.parametrize(
    ("old", "new", "status", "text"),
    [
        ("toy:", "nomodel:", 404, "Servable not found for request: Latest(nomodel)"),
        ("Length: 2", f"Length: {64 << 20}", 413, f"Request body is larger than the limit of {32 << 20} bytes."),
        ("100-continue", "200-ok", 417, "Unknown expectation: 200-ok. Expect 100-continue or nothing."),
    ],
)
def test_a_body_that_is_not_wanted_is_refused_before_it_is_sent(server, old, new, status, text):
    head = posted(b"{}", "Expect: 100-continue\r\n")[:-2].decode()
    with connected(server) as raw:
        raw.sendall(head.replace(old, new).encode())
        assert answer(raw) == (status, json.dumps({"error": text}, separators=(",", ":")).encode())
