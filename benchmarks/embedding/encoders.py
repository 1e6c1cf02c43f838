"""The encoders that are served, and the processes that serve them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.process import READY
from serving.servable import RECORD


class Encoder(tf.Module):
    """784-400-400-16 on vectors, or four strided convolutions on 64x64 images."""

    def __init__(self, name: str):
        super().__init__(name)
        generator = tf.random.Generator.from_seed(0)
        self.convolutional = name == "conv"
        self.shape = (64, 64, 1) if self.convolutional else (784,)
        kernels = [(4, 4, 1, 32), (4, 4, 32, 32), (4, 4, 32, 64), (4, 4, 64, 64)] if self.convolutional else []
        widths = [(1024, 256), (256, 10)] if self.convolutional else [(784, 400), (400, 400), (400, 16)]
        self.kernels = [tf.Variable(0.1 * generator.normal(shape)) for shape in kernels]
        self.weights = [tf.Variable(0.1 * generator.normal(shape)) for shape in widths]

    def encode(self, x):
        """Returns the embedding [batch, latent] of examples [batch, *shape]."""
        for kernel in self.kernels:
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
        x = tf.reshape(x, [-1, self.weights[0].shape[0]])
        for weight in self.weights[:-1]:
            x = tf.nn.relu(x @ weight)
        return {"embedding": x @ self.weights[-1]}

    def save(self, path: str) -> None:
        """Exports the signatures on floats and on the same floats as raw bytes."""
        width = 4 * int(np.prod(self.shape))

        def embed(x):
            return self.encode(tf.ensure_shape(x, [None, *self.shape]))

        def embed_bytes(raw):
            return self.encode(tf.reshape(tf.io.decode_raw(raw, tf.float32, fixed_length=width), [-1, *self.shape]))

        floats = tf.function(embed, input_signature=[tf.TensorSpec([None, *self.shape], name="x")])
        strings = tf.function(embed_bytes, input_signature=[tf.TensorSpec([None], tf.string, name="raw")])
        signatures = {"serving_default": floats, "embed_bytes": strings}
        tf.saved_model.save(self, path, signatures=signatures)
        # As the exporter's: by it the server knows that requests may be joined.
        record = Path(path, RECORD)
        record.parent.mkdir(exist_ok=True)
        record.write_text(json.dumps({"space": "benchmark"}), encoding="utf-8")


@dataclass(frozen=True)
class Running:
    """A server of ours: where it listens, and its process."""

    grpc_port: int
    rest_port: int
    process: int


@contextmanager
def server(base: Path, *flags: str) -> Iterator[Running]:
    """Serves a folder of versions as model `m`, with one thread an operation."""
    common = ["--model_name=m", f"--model_base_path={base}", "--port=any", "--rest_api_port=any"]
    command = [sys.executable, "-m", "serving.server", *common, "--tensorflow_intra_op_parallelism=1", *flags]
    process: Any = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        ready = next(line for line in process.stdout if line.startswith(READY))
        facts = json.loads(ready.removeprefix(READY))
        yield Running(facts["grpc_port"], facts["rest_port"], process.pid)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
