"""A client of TF Serving from another house, in an environment of its own, asks our server."""

import json
import subprocess

import pytest
import serving_toy

from benchmarks.peers.environment import Unavailable, environment

server = serving_toy.server
ASK = """
import json, sys
import grpc, numpy
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

client = TensorServingClient("127.0.0.1", int(sys.argv[1]))
given = {"x": numpy.array([[1, 2], [3, 4]], numpy.float32)}
answers = []
for version in (None, 1):
    response = client.predict_request("toy", given, model_version=version)
    answers.append([response.model_spec.version.value, tensor_proto_to_ndarray(response.outputs["y"]).tolist()])
try:
    client.predict_request("nomodel", given)
except grpc.RpcError as error:
    answers.append([error.code().name, error.details()])
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_another_houses_client_gets_its_answers(server):
    try:
        python = environment("min_tfs_client")
    except Unavailable as reason:
        pytest.skip(str(reason))
    command = [str(python), "-I", "-c", ASK, str(server.grpc_port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        [2, [[2.5, 3.0], [3.5, 4.0]]],
        [1, [[1.5, 2.0], [2.5, 3.0]]],
        ["NOT_FOUND", "Servable not found for request: Latest(nomodel)"],
    ]
