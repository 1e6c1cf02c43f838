"""Small SavedModels for the serving tests, written as a publisher writes them: complete, then renamed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from serving.server import Options, Server

F, S = tf.float32, tf.string


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name=name)


class Toy(tf.Module):
    """Version v computes y = x / 2 + v; the other signatures each show one shape or type."""

    def __init__(self, version: int):
        super().__init__()
        self.v = tf.Variable(float(version))

    @tf.function(input_signature=[spec([None, 2], F, "x")])
    def half_plus_v(self, x):
        return {"y": tf.ensure_shape(x, [None, 2]) / 2 + self.v}

    @tf.function(input_signature=[spec([None, 2], F, "x")])
    def two_out(self, x):
        x = tf.ensure_shape(x, [None, 2])
        return {"y": x / 2 + self.v, "norm": tf.norm(x, axis=1)}

    @tf.function(input_signature=[spec([None, 2], F, "a"), spec([None], tf.int32, "b")])
    def two_in(self, a, b):
        return {"s": tf.reduce_sum(tf.ensure_shape(a, [None, 2]), 1) + tf.cast(b, F)}

    @tf.function(input_signature=[spec([None], S, "s")])
    def text(self, s):
        return {"out": tf.identity(s), "out_bytes": tf.identity(s)}

    @tf.function(input_signature=[spec([None], S, "examples")])
    def parse(self, examples):
        row = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], F)})
        return {"y": row["x"] / 2 + self.v}

    @tf.function(input_signature=[spec([None], S, "inputs")])
    def reg(self, inputs):
        return {"outputs": tf.reduce_sum(self.parse(inputs)["y"], 1)}

    @tf.function(input_signature=[spec([None], S, "inputs")])
    def cls(self, inputs):
        scores = self.parse(inputs)["y"]
        scores = tf.concat([scores, scores[:, :1] * 0.1], 1)
        return {"scores": scores, "classes": tf.zeros_like(scores, S) + tf.constant(["c0", "c1", "c2"])}

    @tf.function(input_signature=[spec([None], S, "inputs")])
    def labels(self, inputs):
        return {"classes": tf.reshape(inputs, [-1, 1])}

    @tf.function(input_signature=[spec([None, 2], F, "x")])
    def scalar(self, x):
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[spec([None, 2], F, "x")])
    def distinct(self, x):
        # Declared batch-major by its unknown first dimension, and not.
        return {"values": tf.unique(tf.reshape(x, [-1])).y}

    @tf.function(input_signature=[spec([None, None], F, "x")])
    def ragged(self, x):
        return {"total": tf.reduce_sum(x, 1)}

    @tf.function(input_signature=[spec([None], tf.float16, "x")])
    def half16(self, x):
        return {"y": x + tf.cast(self.v, tf.float16)}

    @tf.function(input_signature=[spec([None, 8, 8, 1], F, "image")])
    def conv(self, image):
        image = tf.ensure_shape(image, [None, 8, 8, 1])
        return {"code": tf.reduce_sum(tf.nn.conv2d(image, tf.ones([3, 3, 1, 2]), 1, "SAME"), [1, 2])}

    @tf.function(input_signature=[spec([None], tf.int32, "rounds")])
    def slow(self, rounds):
        result = tf.ones([256, 256])
        for _ in tf.range(rounds[0]):
            result = tf.matmul(result, result) / 256
        return {"rounds": rounds + tf.cast(result[0, 0], tf.int32) - 1}


def write(base: Path, version: int, *, name: str | None = None) -> Path:
    """Publishes version `version` of the toy under `base`; returns its folder."""
    toy = Toy(version)
    signatures = {
        "serving_default": toy.half_plus_v,
        "two_out": toy.two_out,
        "two_in": toy.two_in,
        "text": toy.text,
        "parse": toy.parse,
        "reg": toy.reg,
        "cls": toy.cls,
        "labels": toy.labels,
        "scalar": toy.scalar,
        "distinct": toy.distinct,
        "ragged": toy.ragged,
        "half16": toy.half16,
        "conv": toy.conv,
        "slow": toy.slow,
    }
    return _publish(base, name or str(version), lambda path: tf.saved_model.save(toy, path, signatures=signatures))


def write_small(base: Path, version: int) -> Path:
    """Publishes a version with `embed` on floats only: quick to write and load."""
    toy = Toy(version)
    signatures = {"serving_default": toy.parse, "embed": toy.half_plus_v}
    return _publish(base, str(version), lambda path: tf.saved_model.save(toy, path, signatures=signatures))


def write_compiled(base: Path, version: int) -> Path:
    """Publishes a version whose only signature wants XLA."""
    toy = tf.Module()
    toy.double = tf.function(
        lambda x: {"y": tf.ensure_shape(x, [None, 2]) * 2}, input_signature=[spec([None, 2], F, "x")], jit_compile=True
    )
    return _publish(base, str(version), lambda path: tf.saved_model.save(toy, path, signatures=toy.double))


def write_without_variable(base: Path, version: int) -> Path:
    """Publishes a version that loads but lacks the value of a variable."""

    def save(path: str) -> None:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            kept = tf.compat.v1.get_variable("kept", [2])
            lost = tf.compat.v1.get_variable("lost", [2], collections=["lost"])
            x = tf.compat.v1.placeholder(F, [None, 2], name="x")
            session.run(kept.initializer)
            tf.compat.v1.saved_model.simple_save(session, path, {"x": x}, {"y": x + kept + lost})

    return _publish(base, str(version), save)


def write_garbage(base: Path, version: int) -> Path:
    """Publishes a version whose graph is not one."""

    def save(path: str) -> None:
        Path(path).mkdir()
        (Path(path) / "saved_model.pb").write_bytes(b"garbage")

    return _publish(base, str(version), save)


def _publish(base: Path, name: str, save) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    unfinished = base / f"tmp-{name}"
    save(str(unfinished))
    return unfinished.rename(base / name)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server of versions 1 and 2 of the toy, on free ports; a test module takes the fixture by its name."""
    base = tmp_path_factory.mktemp("models") / "toy"
    for version in (1, 2):
        write(base, version)
    options = Options(
        model_name="toy",
        model_base_path=base,
        port="any",
        rest_api_port="any",
        keep_versions=2,
        max_request_bytes=32 << 20,
    )
    with Server(options) as running:
        yield running


def eventually(holds: Callable[[], Any]) -> Any:
    """Asks until the answer is true, for half a minute at most, and returns the last answer."""
    deadline = time.monotonic() + 30
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found
