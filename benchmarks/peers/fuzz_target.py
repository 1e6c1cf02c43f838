"""One target of `benchmarks.fuzz`: a server, and a function that sends it an input and looks at the answer."""

import gzip
import http.client
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with atheris.instrument_imports(include=["serving"]):
    from serving.server import Options, Server

import grpc
import psutil
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

EVERY = 1000  # inputs between two looks at the memory
# Reloading the configuration is left out: an empty list is a valid one, and unloads what is fuzzed.
METHODS: dict[str, Any] = {
    "PredictionService/Predict": predict_pb2.PredictRequest,
    "PredictionService/Classify": classification_pb2.ClassificationRequest,
    "PredictionService/Regress": regression_pb2.RegressionRequest,
    "PredictionService/MultiInference": inference_pb2.MultiInferenceRequest,
    "PredictionService/GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "ModelService/GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
}
PATHS = ["", "/versions/1", "/labels/stable", "/versions/99999999999999999999"]
VERBS = [":predict", ":classify", ":regress", ":PREDICT", "", "/metadata"]
BLAMELESS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED", "OUT_OF_RANGE"}
BLAMELESS |= {"200", "400", "404", "413", "501"}


class Model(tf.Module):
    """Signatures on floats, strings and serialized examples."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable([[1.0, 0.5, 2.0], [0.0, 1.0, 3.0]])

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x"), tf.TensorSpec([None], tf.string, name="s")])
    def embed(self, x, s):
        """Returns a projection, and the bytes as they came."""
        return {"embedding": tf.ensure_shape(x, [None, 2]) @ self.weight, "s_bytes": tf.identity(s)}

    def _rows(self, inputs):
        return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([2], tf.float32)})["x"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        """Returns a number for each example."""
        return {"outputs": tf.reduce_sum(self._rows(inputs), 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        """Returns scores for each example."""
        return {"scores": self._rows(inputs) @ self.weight}


def save(folder: Path) -> Path:
    """Writes version 1 of the model that is fuzzed."""
    model = Model()
    signatures = {"serving_default": model.embed, "reg": model.regress, "cls": model.classify}
    tf.saved_model.save(model, str(folder / "m" / "1"), signatures=signatures)
    return folder / "m"


def seeds(target: str) -> list[bytes]:
    """Returns inputs that are valid, for the fuzzer to begin with."""
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.extend([1.0, 2.0])
    predict = predict_pb2.PredictRequest()
    predict.model_spec.name = "m"
    predict.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0]]))
    predict.inputs["s"].CopyFrom(tf.make_tensor_proto([b"\xff"]))
    messages = [predict]
    for kind, signature in (
        (classification_pb2.ClassificationRequest, "cls"),
        (regression_pb2.RegressionRequest, "reg"),
    ):
        request = kind()
        request.model_spec.name, request.model_spec.signature_name = "m", signature
        request.input.example_list.examples.append(example)
        messages.append(request)
    several = inference_pb2.MultiInferenceRequest()
    for method, signature in (("classify", "cls"), ("regress", "reg")):
        task = several.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "m", signature
    several.input.example_list.examples.append(example)
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    status = get_model_status_pb2.GetModelStatusRequest()
    metadata.model_spec.name = status.model_spec.name = "m"
    messages += [several, metadata, status]
    rows = {"instances": [{"x": [1.0, 2.0], "s": {"b64": "/w=="}}]}
    columns = {"inputs": {"x": [[1.0, 2.0]], "s": ["a"]}, "signature_name": "serving_default"}
    examples = {"signature_name": "reg", "examples": [{"x": [1.0, 2.0]}], "context": {"y": 1}}
    bodies = [json.dumps(body).encode() for body in (rows, columns, examples)]
    return {
        "grpc": [bytes([index]) + message.SerializeToString() for index, message in enumerate(messages)],
        "rest": [bytes([0, verb, 0]) + body for body in bodies for verb in range(3)] + [b"\0\4\0", b"\0\5\0"],
        "tcp": [
            b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            b"GET /v1/models/m HTTP/1.0\r\n\r\n",
        ],
    }[target]


def grpc_target(server: Server) -> Callable[[bytes], str]:
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    calls = [channel.unary_unary(f"/tensorflow.serving.{method}", bytes, bytes) for method in METHODS]

    def send(data: bytes) -> str:
        try:
            calls[data[0] % len(calls)](data[1:], timeout=20)
        except grpc.RpcError as error:
            status: Any = error
            # gRPC's own answer to bytes that are no message of the method.
            unreadable = status.details() == "Exception deserializing request!"
            return "INVALID_ARGUMENT" if unreadable else status.code().name
        return "OK"

    return send


def rest_target(server: Server) -> Callable[[bytes], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)

    def send(data: bytes) -> str:
        path, verb, kind = (*data[:3], 0, 0, 0)[:3]
        body = gzip.compress(data[3:], 1) if kind % 4 == 1 else data[3:]
        headers = {"Content-Encoding": "gzip"} if kind % 2 else {}
        url = f"/v1/models/m{PATHS[path % len(PATHS)]}{VERBS[verb % len(VERBS)]}"
        connection.request("POST" if body else "GET", url, body or None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 and list(json.loads(text)) != ["error"]:
            raise RuntimeError(f"a refusal without a reason: {answer.status} {text!r}")
        return str(answer.status)

    return send


def tcp_target(server: Server) -> Callable[[bytes], str]:
    def send(data: bytes) -> str:
        with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1 << 16)
            while connection.recv(1 << 16):
                pass
        # What is no request is answered by a status of HTTP, or by the end of the connection.
        return answer[9:12].decode() if answer.startswith(b"HTTP/1.") else "OK"

    return send


def main() -> None:
    target, folder, *arguments = sys.argv[1:]
    corpus = Path(folder) / f"{target}-corpus"
    corpus.mkdir()
    for index, seed in enumerate(seeds(target)):
        (corpus / str(index)).write_bytes(seed)
    options = Options(model_name="m", model_base_path=save(Path(folder) / target), port="any", rest_api_port="any")
    with atheris.instrument_imports(include=["serving"]):
        server = Server(options)
    server.start()
    send = {"grpc": grpc_target, "rest": rest_target, "tcp": tcp_target}[target](server)
    codes: Counter[str] = Counter()
    memory: list[float] = []

    def one(data: bytes) -> None:
        if data:
            code = send(data)
            codes[code] += 1
            if code not in BLAMELESS:
                raise RuntimeError(f"answered with {code}")
        if codes.total() % EVERY == 1:
            memory.append(psutil.Process().memory_info().rss / 1e6)
            found = {"inputs": codes.total(), "codes": codes, "memory": memory}
            (Path(folder) / f"{target}.json").write_text(json.dumps(found))

    atheris.Setup([sys.argv[0], *arguments, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
