"""Batching: rows come back to whom they belong, faults stay where they arose, limits hold."""

import asyncio
import time

import numpy as np
import pytest
import serving_toy
import tensorflow as tf

from serving.batch import Batching
from serving.batching import Batcher
from serving.mailbox import Mailbox
from serving.servable import Servable
from serving.status import Code, ServingError

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


@pytest.fixture(scope="module")
def servable(tmp_path_factory):
    loaded = Servable(serving_toy.write(tmp_path_factory.mktemp("batching"), 2))
    yield loaded
    assert loaded.close_when_idle(5)


@pytest.fixture
def batcher():
    running = Batcher(Batching(max_rows=4), max_queue=10)
    yield running
    running.close()


FAR = 1e9


def example(values):
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()


def occupy(batcher, servable, rounds=200):
    """Keeps the batching thread busy for a while, so that what follows has to queue."""
    return batcher.submit(servable, servable.signatures["slow"], {"rounds": np.int32([rounds])}, FAR)


def test_queued_requests_get_their_own_rows_back(batcher, servable):
    signature = servable.signatures["two_out"]
    busy = occupy(batcher, servable)
    inputs = [np.random.default_rng(i).normal(size=[i % 4, 2]).astype(np.float32) for i in range(8)]
    futures = [batcher.submit(servable, signature, {"x": x}, FAR) for x in inputs]
    for x, future in zip(inputs, futures, strict=True):
        outputs = future.result(60)
        np.testing.assert_array_equal(outputs["y"], x / 2 + 2)
        np.testing.assert_allclose(outputs["norm"], np.linalg.norm(x, axis=1), rtol=1e-6)
    assert busy.result(60)["rounds"].tolist() == [200]


def test_one_bad_request_does_not_spoil_its_batch(batcher, servable):
    signature = servable.signatures["parse"]
    good = example([1.0, 2.0])
    occupy(batcher, servable)
    requests = [{"examples": np.array([value], object)} for value in (good, b"garbage", good)]
    first, bad, last = (batcher.submit(servable, signature, request, FAR) for request in requests)
    assert first.result(60)["y"].tolist() == last.result(60)["y"].tolist() == [[2.5, 3.0]]
    with pytest.raises(ServingError) as caught:
        bad.result(60)
    assert caught.value.message.startswith("Could not parse example input, value: 'garbage'")


def test_outputs_that_are_not_batch_major_are_answered_one_by_one(batcher, servable):
    signature = servable.signatures["distinct"]
    occupy(batcher, servable)
    futures = [batcher.submit(servable, signature, {"x": np.full([1, 2], i, np.float32)}, FAR) for i in range(3)]
    assert [future.result(60)["values"].tolist() for future in futures] == [[0.0], [1.0], [2.0]]


def test_a_large_request_is_sliced_only_where_rows_are_rows(batcher, servable):
    rows = np.arange(20, dtype=np.float32).reshape(10, 2)
    sliced = batcher.submit(servable, servable.signatures["two_out"], {"x": rows}, FAR)
    np.testing.assert_array_equal(sliced.result(60)["y"], rows / 2 + 2)
    whole = batcher.submit(servable, servable.signatures["distinct"], {"x": np.zeros([10, 2], np.float32)}, FAR)
    assert whole.result(60)["values"].tolist() == [0.0]


def test_a_scalar_output_is_never_batched(servable):
    assert not servable.signatures["scalar"].batch_major
    assert servable.signatures["two_out"].batch_major


def test_batching_can_be_turned_off(servable):
    batcher = Batcher(Batching(together=False))
    signature = servable.signatures["distinct"]
    occupy(batcher, servable, rounds=20)
    futures = [batcher.submit(servable, signature, {"x": ROWS}, FAR) for _ in range(2)]
    assert [future.result(60)["values"].tolist() for future in futures] == [[1.0, 2.0, 3.0, 4.0]] * 2
    batcher.close()


def test_a_full_queue_refuses(batcher, servable):
    occupy(batcher, servable)
    signature = servable.signatures["serving_default"]
    futures = []

    def fill():
        for _ in range(12):
            futures.append(batcher.submit(servable, signature, {"x": ROWS}, FAR))

    with pytest.raises(ServingError) as caught:
        fill()
    assert str(caught.value) == "UNAVAILABLE: The queue of 10 requests is full."
    for future in futures:
        np.testing.assert_array_equal(future.result(60)["y"], ROWS / 2 + 2)


def test_a_request_nobody_waits_for_is_not_run(batcher, servable):
    occupy(batcher, servable)
    late = batcher.submit(servable, servable.signatures["serving_default"], {"x": ROWS}, 0.0)
    with pytest.raises(ServingError) as caught:
        late.result(60)
    assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_a_caller_with_a_thread_runs_alone_or_with_the_next_batch(batcher, servable):
    signature = servable.signatures["serving_default"]
    np.testing.assert_array_equal(batcher.run(servable, signature, {"x": ROWS}, FAR)["y"], ROWS / 2 + 2)
    busy = occupy(batcher, servable)
    np.testing.assert_array_equal(batcher.run(servable, signature, {"x": ROWS}, FAR)["y"], ROWS / 2 + 2)
    assert busy.done()


def test_a_caller_waits_no_longer_than_its_deadline(batcher, servable):
    busy = occupy(batcher, servable, rounds=1000)
    with pytest.raises(ServingError) as caught:
        batcher.run(servable, servable.signatures["serving_default"], {"x": ROWS}, time.monotonic() + 0.05)
    assert str(caught.value) == "DEADLINE_EXCEEDED: Timed out waiting for notification"
    assert not busy.done()


def test_a_result_that_is_there_before_the_event_loop_asks_is_delivered(batcher, servable):
    async def main():
        mailbox = Mailbox(batcher)
        future = batcher.submit(servable, servable.signatures["serving_default"], {"x": ROWS}, FAR)
        future.result(60)
        return await asyncio.wait_for(mailbox.result(future), 60)

    np.testing.assert_array_equal(asyncio.run(main())["y"], ROWS / 2 + 2)


def test_a_closed_batcher_answers_what_it_has_and_refuses_more(servable):
    batcher = Batcher()
    signature = servable.signatures["serving_default"]
    occupy(batcher, servable, rounds=20)
    queued = batcher.submit(servable, signature, {"x": ROWS}, FAR)
    batcher.close()
    np.testing.assert_array_equal(queued.result(0)["y"], ROWS / 2 + 2)
    with pytest.raises(ServingError) as caught:
        batcher.submit(servable, signature, {"x": ROWS}, FAR)
    assert str(caught.value) == "UNAVAILABLE: The server is shutting down."
