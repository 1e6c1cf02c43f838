"""The ports of a process that is told to end: closed to who comes, open to who is being answered."""

import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import serving_toy

from serving.client import Client
from serving.server import READY

FLAGS = ["--model_name=toy", "--port=any", "--rest_api_port=any", "--shutdown_grace_seconds=100"]


@pytest.mark.slow
def test_after_sigterm_nobody_new_is_let_in_while_the_last_request_is_answered(tmp_path):
    serving_toy.write(tmp_path / "toy", 1)
    command = [sys.executable, "-m", "serving.server", *FLAGS, f"--model_base_path={tmp_path / 'toy'}"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process,
        ThreadPoolExecutor(1) as threads,
    ):
        try:
            assert process.stdout is not None
            facts = json.loads(next(line for line in process.stdout if line.startswith(READY)).removeprefix(READY))
            ports = facts["grpc_port"], facts["rest_port"]
            with Client(grpc_port=ports[0], model="toy", attempts=1, timeout=100) as client:
                client.predict([1], signature="slow")
                last = threads.submit(client.predict, [8000], signature="slow")
                while not last.running():
                    client.status()
                client.predict([1], signature="slow")  # by now the one before is being run
                process.send_signal(signal.SIGTERM)
                for port in ports:
                    while _is_open(port):
                        assert process.poll() is None
                assert not last.done()
                assert last.result(100)["rounds"].tolist() == [8000]
            assert process.wait(60) == 0
        finally:
            process.kill()


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True
