"""TF Serving's batching parameters: sizes, padding, splitting, company, several runs at a time, abandoned work."""

import time

import artifacts
import numpy as np
import pytest
import samples
import serving_toy
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batch import Batching
from serving.batching import Batcher
from serving.servable import Servable
from serving.status import Code, ServingError

FAR = 1e9
exported = artifacts.exported
pytestmark = samples.STACK


@pytest.fixture(scope="module")
def servable(tmp_path_factory):
    loaded = Servable(serving_toy.write(tmp_path_factory.mktemp("batch"), 2))
    yield loaded
    assert loaded.close_when_idle(5)


def make(seen=None, **batching):
    return Batcher(Batching(**batching), observe=None if seen is None else lambda *facts: seen.append(facts))


def numbers(rows, start=0):
    return np.arange(start, start + 2 * rows, dtype=np.float32).reshape(rows, 2)


def occupy(batcher, servable, rounds=300):
    return batcher.submit(servable, servable.signatures["slow"], {"rounds": np.int32([rounds])}, FAR)


def test_a_batch_has_one_of_the_allowed_sizes_and_its_padding_is_not_returned(servable):
    seen = []
    batcher = make(seen, max_rows=8, sizes=(4, 8))
    signature = servable.signatures["two_out"]
    busy = occupy(batcher, servable)
    inputs = [numbers(rows, 10 * rows) for rows in (1, 3, 2)]
    futures = [batcher.submit(servable, signature, {"x": x}, FAR) for x in inputs]
    for x, future in zip(inputs, futures, strict=True):
        np.testing.assert_array_equal(future.result(60)["y"], x / 2 + 2)
    batcher.run(servable, signature, {"x": numbers(2)}, FAR)
    assert busy.done()
    assert [(rows, size) for rows, size, _ in seen[1:]] == [(6, 8), (2, 4)]
    batcher.close()


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 9), min_size=1, max_size=6), sizes=st.sampled_from([(), (5,), (1, 2, 5)]))
def test_whatever_the_sizes_everyone_gets_his_own_rows(servable, rows, sizes):
    batcher = make(max_rows=5, sizes=sizes, threads=2)
    inputs = [numbers(count, 100 * index) for index, count in enumerate(rows)]
    futures = [batcher.submit(servable, servable.signatures["two_out"], {"x": x}, FAR) for x in inputs]
    for x, future in zip(inputs, futures, strict=True):
        np.testing.assert_array_equal(future.result(60)["y"], x / 2 + 2)
    batcher.close()


def test_too_many_rows_are_refused_where_splitting_is_off(servable):
    batcher = make(max_rows=4, split=False)
    with pytest.raises(ServingError) as caught:
        batcher.run(servable, servable.signatures["two_out"], {"x": numbers(5)}, FAR)
    assert str(caught.value) == "INVALID_ARGUMENT: Task size 5 is larger than maximum input batch size 4"
    batcher.close()


def test_requests_wait_for_company_until_the_batch_is_full(servable):
    seen = []
    # So long that the test would fail by its limit of time if a full batch waited, too.
    batcher = make(seen, max_rows=4, linger=3600.0)
    signature = servable.signatures["two_out"]
    first = batcher.submit(servable, signature, {"x": numbers(2)}, FAR)
    second = batcher.submit(servable, signature, {"x": numbers(2)}, FAR)
    np.testing.assert_array_equal(first.result(60)["y"], second.result(60)["y"])
    assert [rows for rows, _, _ in seen] == [4]
    lonely = batcher.submit(servable, signature, {"x": numbers(1)}, FAR)
    batcher.close()
    np.testing.assert_array_equal(lonely.result(0)["y"], numbers(1) / 2 + 2)


def test_a_lonely_request_waits_no_longer_than_it_has_to(servable):
    seen = []
    batcher = make(seen, max_rows=4, linger=0.05)
    batcher.run(servable, servable.signatures["two_out"], {"x": numbers(1)}, FAR)
    assert seen[0][2] >= 0.05
    batcher.close()


def test_two_runs_at_a_time_do_not_wait_for_each_other(servable):
    batcher = make(threads=2)
    busy = occupy(batcher, servable, rounds=3000)
    batcher.submit(servable, servable.signatures["two_out"], {"x": numbers(1)}, FAR).result(60)
    assert not busy.done()
    batcher.close()


def test_rows_of_different_shapes_are_padded_with_a_value_of_their_own(servable):
    batcher = make(pad_variable_length=True)
    signature = servable.signatures["ragged"]
    occupy(batcher, servable)
    short, long = np.float32([[5, 1]]), np.float32([[1, 2, 3, 4]])
    futures = [batcher.submit(servable, signature, {"x": x}, FAR) for x in (short, long)]
    assert [future.result(60)["total"].tolist() for future in futures] == [[16.0], [10.0]]
    batcher.close()


def test_what_its_caller_has_given_up_is_not_computed(servable):
    seen = []
    batcher = make(seen)
    occupy(batcher, servable)
    gone = batcher.submit(servable, servable.signatures["two_out"], {"x": numbers(1)}, FAR, lambda: False)
    with pytest.raises(ServingError) as caught:
        gone.result(60)
    assert caught.value.code is Code.CANCELLED
    assert len(seen) == 1
    batcher.close()


def test_a_sliced_request_stops_at_its_deadline(servable):
    seen = []
    batcher = make(seen, max_rows=1)
    deadline = time.monotonic() + 0.2
    sliced = batcher.submit(servable, servable.signatures["slow"], {"rounds": np.full([500], 500, np.int32)}, deadline)
    with pytest.raises(ServingError) as caught:
        sliced.result(60)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert len(seen) < 500
    batcher.close()


def test_company_changes_an_embedding_by_rounding_only_and_the_same_request_by_nothing(exported):
    served = Servable(exported["digits"].serving)
    signature, rows = served.signatures["embed"], exported["digits"].requests()["embed"]
    alias, x = next(iter(rows.items()))
    x = np.resize(np.array(x), [256, *x.shape[1:]])
    whole = served.run(signature, {alias: x})["embedding"]
    np.testing.assert_array_equal(served.run(signature, {alias: x})["embedding"], whole)
    scale = np.abs(whole).max()
    for size in (1, 2, 7, 32, 255):
        part = served.run(signature, {alias: x[:size]})["embedding"]
        # What docs/serving.md promises.
        np.testing.assert_allclose(part, whole[:size], rtol=0, atol=1e-5 * scale)
    assert served.close_when_idle(5)
