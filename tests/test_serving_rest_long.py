"""A long body keeps no other client of the REST port waiting, and bodies are sent when they are wanted."""

import gzip
import json
import select
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import serving_toy

server = serving_toy.server
ROW = "0.123456," * 1000 + "0.5"


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
    return json.dumps({"signature_name": "text", "instances": ["some text of some length"] * (size // 28)})


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
        assert (status, len(json.loads(text)["predictions"])) == (200, (31 << 20) // 28)
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
