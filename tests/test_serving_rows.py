"""What is run together, and for how long: only rows that are known to go alone, only while somebody waits."""

import dataclasses
import itertools
import math
import time

import artifacts
import numpy as np
import pytest
import samples
import serving_toy
import tensorflow as tf

from serving import assembly
from serving.batching import Batcher
from serving.options import Options
from serving.servable import MOST_SELECTIONS, Servable
from serving.status import Code, ServingError
from serving.textproto import BatchingParameters

FAR = 1e9
exported = artifacts.exported
pytestmark = samples.STACK


class Coupled(tf.Module):
    """Signatures whose rows look at each other, or have none."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")])
    def centered(self, x):
        return {"y": x - tf.reduce_mean(x, 0)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x"), tf.TensorSpec([None], name="weight")])
    def pooled(self, x, weight):
        return {"y": tf.reduce_sum(x) * tf.reduce_sum(weight)}

    @tf.function(input_signature=[tf.TensorSpec(None, name="x")])
    def shapeless(self, x):
        return {"y": x * 2}


@pytest.fixture(scope="module")
def coupled(tmp_path_factory):
    path, model = tmp_path_factory.mktemp("coupled") / "1", Coupled()
    signatures = {"serving_default": model.centered, "pooled": model.pooled, "shapeless": model.shapeless}
    tf.saved_model.save(model, str(path), signatures=signatures)
    loaded = Servable(path)
    yield loaded
    assert loaded.close_when_idle(5)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    loaded = Servable(serving_toy.write(tmp_path_factory.mktemp("toy"), 2))
    yield loaded
    assert loaded.close_when_idle(5)


def batching(parameters: BatchingParameters | None = None, **flags):
    return assembly.batching(Options(model_base_path="/models/m", **flags), parameters)


def one_at_a_time(seen=None) -> Batcher:
    """A server's own batcher, but that everything has to wait for the one run that goes on."""
    observe = None if seen is None else lambda rows, *_: seen.append(rows)
    return Batcher(dataclasses.replace(batching(), threads=1), observe=observe)


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=[count, 2]).astype(np.float32)


def occupy(batcher, toy, rounds):
    return batcher.submit(toy, toy.signatures["slow"], {"rounds": np.int32([rounds])}, FAR)


def test_requests_of_a_model_that_couples_rows_are_neither_joined_nor_sliced(coupled, toy):
    batcher, signature = one_at_a_time(), coupled.signatures["serving_default"]
    occupy(batcher, toy, 300)
    asked = [rows(count, count) for count in (3, 5, 300)]
    futures = [batcher.submit(coupled, signature, {"x": x}, FAR) for x in asked]
    for x, future in zip(asked, futures, strict=True):
        np.testing.assert_allclose(future.result(60)["y"], x - x.mean(0), atol=1e-6)
    batcher.close()


def test_requests_of_an_exported_encoder_are_joined(exported, toy):
    served, seen = Servable(exported["digits"].serving), []
    batcher, signature = one_at_a_time(seen), served.signatures["embed"]
    occupy(batcher, toy, 300)
    alias, x = next(iter(exported["digits"].requests()["embed"].items()))
    futures = [batcher.submit(served, signature, {alias: np.array(x[:1])}, FAR) for _ in range(3)]
    for future in futures:
        future.result(60)
    # The model of the long run has no record, so it was not looked at as rows.
    assert seen == [3]
    batcher.close()
    assert served.close_when_idle(5)


def test_a_long_run_keeps_neither_another_model_nor_another_request_waiting(coupled, toy):
    batcher = Batcher(batching())
    busy = [occupy(batcher, toy, 3000) for _ in range(2)]
    signature = coupled.signatures["serving_default"]
    batcher.run(coupled, signature, {"x": rows(2)}, FAR)
    batcher.submit(coupled, signature, {"x": rows(2)}, FAR).result(60)
    assert not any(future.done() for future in busy)
    batcher.close()


def test_rows_that_may_be_joined_wait_for_a_run_of_their_kind_and_then_go_together(exported):
    served, seen = Servable(exported["digits"].serving), []
    signature = served.signatures["embed"]
    alias, x = next(iter(exported["digits"].requests()["embed"].items()))
    large, one = np.resize(np.array(x), [4096, *np.array(x).shape[1:]]), np.array(x[:1])
    made = dataclasses.replace(batching(), max_rows=4096)
    batcher = Batcher(made, observe=lambda count, *_: seen.append(count))
    first = batcher.submit(served, signature, {alias: large}, FAR)
    while not seen:  # until it runs
        time.sleep(0)
    rest = [batcher.submit(served, signature, {alias: one}, FAR) for _ in range(3)]
    for future in (first, *rest):
        future.result(60)
    assert seen == [4096, 3]
    batcher.close()
    assert served.close_when_idle(5)


def test_what_cannot_be_batched_is_refused_where_tf_serving_is_told_to_batch(coupled, toy):
    batcher = Batcher(batching(BatchingParameters(), enable_batching=True))
    shapeless, pooled = coupled.signatures["shapeless"], coupled.signatures["pooled"]
    refused = {
        "INVALID_ARGUMENT: Batching Run() input tensors must have at least one dimension": (
            shapeless,
            {"x": np.float32(1)},
        ),
        "INVALID_ARGUMENT: Batching Run() input tensors must have equal 0th-dimension size": (
            pooled,
            {"x": rows(2), "weight": np.float32([1])},
        ),
        "FAILED_PRECONDITION: Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
        "sizes of the input tensors": (pooled, {"x": rows(2), "weight": np.float32([1, 2])}),
    }
    for (message, (signature, inputs)), ask in itertools.product(refused.items(), (batcher.run, submitted(batcher))):
        with pytest.raises(ServingError) as caught:
            ask(coupled, signature, inputs, FAR)
        assert str(caught.value) == message
    batcher.close()


def submitted(batcher):
    return lambda *asked: batcher.submit(*asked).result(60)


@pytest.mark.parametrize("deadline", [math.inf, 1e11])
def test_who_has_all_the_time_waits_for_its_turn(toy, deadline):
    batcher = one_at_a_time()
    busy = occupy(batcher, toy, 300)
    batcher.run(toy, toy.signatures["two_out"], {"x": rows(1)}, deadline)
    assert busy.done()
    batcher.close()


def test_outputs_that_nobody_wants_are_not_computed(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        outputs = {f"y{index}": x + float(index) for index in range(6)}
        outputs["broken"] = tf.debugging.check_numerics(x / 0.0, "no number")
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "1"), {"x": x}, outputs)
    loaded, batcher = Servable(tmp_path / "1"), Batcher(batching())
    signature = loaded.signatures["serving_default"]
    for number, wanted in enumerate(itertools.combinations(sorted(outputs)[1:], 3)):
        selected = loaded.select(signature, wanted)
        # Only so many selections: the others cost a run of everything, which here is one that fails.
        assert set(selected.outputs) == (set(wanted) if number < MOST_SELECTIONS else set(outputs))
    found = batcher.run(loaded, loaded.select(signature, ("y0", "y1", "y2")), {"x": rows(2)}, FAR)
    assert set(found) == {"y0", "y1", "y2"}
    np.testing.assert_array_equal(found["y1"], rows(2) + 1)
    with pytest.raises(ServingError, match="no number"):
        batcher.run(loaded, signature, {"x": rows(2)}, FAR)
    batcher.close()
    assert loaded.close_when_idle(5)


def test_a_run_that_is_known_to_be_long_ends_when_nobody_waits_any_more(toy):
    batcher, signature = Batcher(batching()), toy.signatures["slow"]
    batcher.run(toy, signature, {"rounds": np.int32([2000])}, FAR)  # by this one it is known
    for ask in (batcher.run, submitted(batcher)):
        with pytest.raises(ServingError) as caught:
            # More rounds than days have: that the test ends is what it shows.
            ask(toy, signature, {"rounds": np.int32([2**31 - 1])}, time.monotonic() + 0.3)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert batcher.close(60)
