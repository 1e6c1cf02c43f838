"""The client against the server, over both protocols."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import serving_toy
import tensorflow as tf

from serving.client import Client
from serving.server import Options, Server
from serving.status import Code, ServingError

ROWS = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
NOT_INT32 = "input b takes values of type int32. Received:"
STRINGS = [b"\xff\x00", "é"]


class Encoder(tf.Module):
    """The signatures of an exported encoder, in small."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.uint8, name="image")])
    def embed(self, image):
        code = tf.cast(tf.ensure_shape(image, [None, 4]), tf.float32) * self.scale
        return {"embedding": code, "stddev": tf.ones_like(code), "rate": tf.reduce_sum(code, 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def embed_bytes(self, image_bytes):
        return self.embed(tf.io.decode_raw(image_bytes, tf.uint8, fixed_length=4))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    serving_toy.write(folder / "toy", 1)
    encoder = Encoder()
    signatures = {"serving_default": encoder.embed_bytes, "embed": encoder.embed, "embed_bytes": encoder.embed_bytes}
    tf.saved_model.save(encoder, str(folder / "encoder" / "1"), signatures=signatures)
    return folder


def options(base, model):
    return Options(model_name=model, model_base_path=base / model, port="any", rest_api_port="any")


@pytest.fixture(scope="module")
def toy(base):
    with Server(options(base, "toy")) as running:
        yield running


@pytest.fixture(scope="module")
def encoder(base):
    with Server(options(base, "encoder")) as running:
        yield running


def port(server, protocol):
    return {f"{protocol}_port": getattr(server, f"{protocol}_port")}


@pytest.fixture(params=["rest", "grpc"])
def client(request, toy):
    with Client(**port(toy, request.param), model="toy", attempts=1) as opened:
        yield opened


@pytest.fixture(params=["rest", "grpc"])
def encoder_client(request, encoder):
    with Client(**port(encoder, request.param), attempts=1) as opened:
        yield opened


def test_predict_takes_arrays_lists_and_names(client):
    for inputs in (ROWS, ROWS.tolist(), {"x": ROWS}, {"x": ROWS.astype(np.int64).tolist()}, ROWS.astype(np.float64)):
        outputs = client.predict(inputs)
        assert outputs.keys() == {"y"}
        assert outputs["y"].dtype == np.float32
        np.testing.assert_array_equal(outputs["y"], ROWS / 2 + 1)


def test_predict_takes_signature_and_version(client):
    outputs = client.predict({"a": ROWS, "b": [1, 2]}, signature="two_in", version=1)
    np.testing.assert_array_equal(outputs["s"], [4.0, 10.0])


def test_nan_and_every_bit_of_a_float_survive(client):
    given = np.array([[np.nan, np.float32(0.1)], [np.inf, -np.float32(1e-38)]], np.float32)
    np.testing.assert_array_equal(client.predict(given)["y"], given / 2 + 1)


def test_bytes_and_text_are_strings(client):
    outputs = client.predict(STRINGS, signature="text")
    assert outputs["out_bytes"].tolist() == [b"\xff\x00", "é".encode()]


def test_a_scalar_output_is_an_array_without_axes(client):
    assert client.predict(ROWS, signature="scalar")["total"][()] == 11.0


def test_status_and_metadata_are_the_same_over_both_protocols(client):
    (only,) = client.status()
    assert (only.version, only.state, only.code, only.message) == (1, "AVAILABLE", "OK", "")
    metadata = client.metadata()
    assert metadata.version == 1
    assert "__saved_model_init_op" not in metadata.signatures
    two_in = metadata.signatures["two_in"]
    assert {a: (t.kind.name, t.shape) for a, t in two_in.inputs.items()} == {
        "a": ("float", (-1, 2)),
        "b": ("int32", (-1,)),
    }
    assert {a: (t.kind.name, t.shape) for a, t in two_in.outputs.items()} == {"s": ("float", (-1,))}


@pytest.mark.parametrize(
    ("inputs", "signature", "text"),
    [
        ({"z": ROWS}, "serving_default", "signature serving_default takes x. Received: z."),
        (ROWS, "two_in", "signature two_in has several inputs, by name: a, b."),
        ([["a", "b"]], "serving_default", "input x takes values of type float. Received: <U1 values that do not fit."),
        ({"a": ROWS, "b": [0.5, 1]}, "two_in", f"{NOT_INT32} float64 values that do not fit."),
        ({"a": ROWS, "b": [2**40, 1]}, "two_in", f"{NOT_INT32} int64 values that do not fit."),
        ([1, 2], "text", "input s takes bytes or str."),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_they_travel(client, inputs, signature, text):
    with pytest.raises(ServingError) as caught:
        client.predict(inputs, signature=signature)
    assert str(caught.value) == f"INVALID_ARGUMENT: {text}"


def test_ragged_lists_and_unknown_signatures_are_refused(client):
    with pytest.raises(ServingError, match=r"^INVALID_ARGUMENT: input x is not an array: .*\.$"):
        client.predict([[1.0], [1.0, 2.0]])
    with pytest.raises(ServingError, match="^INVALID_ARGUMENT: model toy has no signature bogus; it has cls, conv, "):
        client.predict(ROWS, signature="bogus")


def test_the_servers_refusals_arrive_in_one_line(client):
    with pytest.raises(ServingError) as caught:
        client.predict(np.zeros([1, 3], np.float32))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert str(caught.value) == (
        "INVALID_ARGUMENT: Shape of tensor x [1,3] is not compatible with expected shape [?,2]."
    )
    with pytest.raises(ServingError, match=r"^NOT_FOUND: Servable not found for request: Specific\(toy, 9\)$"):
        client.predict(ROWS, version=9)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_an_unknown_model_is_told(toy, protocol):
    with Client(**port(toy, protocol), model="nomodel") as client:
        with pytest.raises(ServingError, match="^NOT_FOUND: Could not find any versions of model nomodel$"):
            client.status()
        with pytest.raises(ServingError, match=r"^NOT_FOUND: Servable not found for request: Latest\(nomodel\)$"):
            client.predict(ROWS)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_slow_answer_ends_with_the_clients_timeout(toy, protocol):
    with Client(**port(toy, protocol), model="toy") as patient:
        patient.predict([1], signature="slow")  # what the last run left is done
    client = Client(**port(toy, protocol), model="toy", timeout=0.3)
    with client, pytest.raises(ServingError, match="^DEADLINE_EXCEEDED: "):
        client.predict([2000], signature="slow")


def test_embed_takes_arrays_and_files_and_refuses_what_an_image_cannot_be(encoder_client):
    pixels = np.array([[0, 1, 2, 255]], np.uint8)
    for inputs in (pixels, pixels.tolist(), pixels.astype(np.float32), {"image": pixels}, [pixels.tobytes()]):
        outputs = encoder_client.embed(inputs)
        assert outputs.keys() == {"embedding", "stddev", "rate"}
        np.testing.assert_array_equal(outputs["embedding"], pixels * 2.0)
        assert outputs["rate"].tolist() == [516.0]
    with pytest.raises(ServingError) as caught:
        encoder_client.embed(pixels / 255)
    assert str(caught.value) == (
        "INVALID_ARGUMENT: input image takes values of type uint8. Received: float64 values that do not fit."
    )


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_no_server_is_one_clear_line(free_port, protocol):
    with Client(**{f"{protocol}_port": free_port}, attempts=2) as client, pytest.raises(ServingError) as caught:
        client.status()
    address = f"http://127.0.0.1:{free_port}" if protocol == "rest" else f"127.0.0.1:{free_port}"
    assert str(caught.value) == f"UNAVAILABLE: No server answers at {address}."


class Busy(BaseHTTPRequestHandler):
    """Refuses twice, then answers: what a client meets at a server under load."""

    left = 2

    def do_GET(self):
        type(self).left -= 1
        busy = type(self).left >= 0
        body = {"error": "busy"} if busy else {"model_version_status": []}
        self.send_response(503 if busy else 200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def busy_port():
    Busy.left = 2
    with HTTPServer(("127.0.0.1", 0), Busy) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http.server_port
        http.shutdown()
        thread.join()


def test_a_busy_server_is_asked_again(busy_port):
    with Client(rest_port=busy_port, attempts=3) as client:
        assert client.status() == []


def test_patience_has_an_end(busy_port):
    with Client(rest_port=busy_port, attempts=2) as client, pytest.raises(ServingError, match="^UNAVAILABLE: busy$"):
        client.status()


def test_the_client_and_the_command_line_import_no_tensorflow(base):
    code = (
        "import sys, serving.client, serving.server, serving.messages\n"
        "serving.client.Client(grpc_port=1).close(); serving.client.Client().close()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    light = "import sys, serving.client; assert not {'numpy', 'grpc', 'requests'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", light], check=True, timeout=60)
