"""Batches of groups: what is equal in a group, which kinds of batches come how often, and where a stream goes on."""

import itertools

import numpy as np
import pytest
import samples
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features.groups import arrange

pytestmark = samples.STACK


@pytest.fixture(scope="session")
def blobs(tmp_path_factory):
    return samples.blobs(tmp_path_factory.getbasetemp() / "samples")


def arranged(factors, extrinsic, *, batch, seed=(1, 2)):
    """Rows of the data, `group` and `varying`, each [batches, batch]."""
    factors = np.asarray(factors, np.int64)
    records = tf.constant([str(row) for row in range(len(factors))])
    chosen, beside = arrange(records, tf.constant(factors), extrinsic, batch=batch, seed=tf.constant(seed, tf.int64))
    return chosen.numpy().astype(int), beside["group"].numpy(), beside["varying"].numpy()


def keys(factors, rows, extrinsic, kind):
    """What has to be equal in a group of a kind, a tuple per row."""
    factors = np.asarray(factors)
    if kind == len(extrinsic):
        fixed = list(extrinsic)
    else:
        fixed = [factor for factor in range(factors.shape[1]) if factor != extrinsic[kind]]
    return [tuple(values) for values in factors[rows][:, fixed]]


@st.composite
def blocks(draw):
    """Factors of a block, the extrinsic ones, and a batch size."""
    width = draw(st.integers(1, 4))
    values = st.one_of(st.integers(-1, 3), st.sampled_from([0, 2**32 - 1, 2**62]))
    factors = draw(st.lists(st.tuples(*[values] * width), min_size=1, max_size=40))
    extrinsic = draw(st.permutations(range(width)))[: draw(st.integers(1, width))]
    return factors, extrinsic, draw(st.integers(1, 12))


# Catches: groups by all factors, by none, or by the wrong ones; numbers of combinations that overflow; numbers that
# run on over batches.
@settings(max_examples=60, deadline=None)
@given(blocks())
def test_a_batch_is_of_one_kind_and_a_group_is_what_agrees_in_all_that_is_fixed(block):
    factors, extrinsic, batch = block
    rows, group, varying = arranged(factors, extrinsic, batch=batch)
    assert rows.shape == group.shape == varying.shape == (-(-len(factors) // batch), batch)
    for chosen, numbers, kinds in zip(rows, group, varying, strict=True):
        (kind,) = set(kinds)
        assert 0 <= kind <= len(extrinsic)
        assert set(numbers) == set(range(max(numbers) + 1))  # so that all are below the size of the batch
        same_key = keys(factors, chosen, extrinsic, kind)
        for (one, key), (other, another) in itertools.combinations(zip(numbers, same_key, strict=True), 2):
            assert (one == other) == (key == another)


# Catches: an order in which groups are not neighbors; draws with replacement.
@settings(max_examples=60, deadline=None)
@given(blocks())
def test_a_batch_repeats_no_example_and_cuts_no_group_but_the_first_and_the_last(block):
    factors, extrinsic, batch = block
    batch = min(batch, len(factors))
    rows, group, varying = arranged(factors, extrinsic, batch=batch)
    for chosen, numbers, (kind, *_) in zip(rows, group, varying, strict=True):
        assert len(set(chosen)) == batch
        counts = keys(factors, np.arange(len(factors)), extrinsic, kind)
        key_of = dict(zip(numbers, keys(factors, chosen, extrinsic, kind), strict=True))
        for number in set(numbers) - {numbers[0], numbers[-1]}:
            assert np.sum(numbers == number) == counts.count(key_of[number])


GRID = list(itertools.product(range(4), range(3), range(5)))


def test_examples_that_share_nothing_are_groups_of_one():
    rows, group, _ = arranged([(row, row) for row in range(12)], [0, 1], batch=12)
    np.testing.assert_array_equal(group, [range(12)])
    assert sorted(rows[0]) == list(range(12))


# Catches: shares of 1 : ... : 1 : 1; kinds drawn per example.
def test_kinds_come_one_for_each_factor_and_ten_for_everything_else():
    _, _, varying = arranged(GRID * 10, [2, 0], batch=2)
    shares = np.bincount(varying[:, 0], minlength=3) / len(varying)
    np.testing.assert_allclose(shares, [1 / 12, 1 / 12, 10 / 12], atol=4 * (1 / 12 / len(varying)) ** 0.5)


def test_the_seed_decides_everything():
    again, other = arranged(GRID * 4, [0, 1], batch=16), arranged(GRID * 4, [0, 1], batch=16, seed=(1, 3))
    for ours, same, different in zip(arranged(GRID * 4, [0, 1], batch=16), again, other, strict=True):
        np.testing.assert_array_equal(ours, same)
        assert np.any(ours != different)


# Catches: ranks that are not shuffled.
def test_groups_come_in_a_random_order():
    firsts = set()
    for seed in range(20):
        rows, _, varying = arranged(GRID, [0], batch=60, seed=(seed, 0))
        firsts.add(keys(GRID, rows[0], [0], varying[0, 0])[0])
    assert len(firsts) > 4


# The stream from record files.


def batches_of(sample, count, **arguments):
    stream = sample.examples("train").training(**{"batch": 12, "steps": 5, "seed": 3, "extrinsic": [1]} | arguments)
    return list(stream.take(count).as_numpy_iterator())


def test_a_stream_of_groups_reads_the_factors_it_groups_by(blobs):
    held = {tuple(x): tuple(f) for b in blobs.examples("train").evaluation(batch=64) for x, f in _pairs(b)}
    for batch in batches_of(blobs, 20):
        kind = batch["varying"][0]
        assert np.all(batch["varying"] == kind)
        assert all(held[tuple(x)] == tuple(factors) for x, factors in _pairs(batch))
        fixed = batch["factors"][:, [1] if kind == 1 else [0]]
        for number in set(batch["group"]):
            assert len(np.unique(fixed[batch["group"] == number], axis=0)) == 1
        assert len(np.unique(batch["group"])) == len(np.unique(fixed, axis=0))


def _pairs(batch):
    return zip(np.asarray(batch["x"]), np.asarray(batch["factors"]), strict=True)


def test_a_stream_of_groups_shows_every_example_before_long(blobs):
    seen = {tuple(x) for batch in batches_of(blobs, 120) for x in batch["x"]}
    assert seen == {tuple(x) for b in blobs.examples("train").evaluation(batch=64) for x, _ in _pairs(b)}


def test_a_stream_of_groups_goes_on_where_another_one_stopped(blobs):
    whole = batches_of(blobs, 14)
    for start in (4, 5, 12):
        for ours, theirs in zip(whole[start:], batches_of(blobs, 14 - start, start=start), strict=True):
            assert ours.keys() == theirs.keys() == {"x", "factors", "group", "varying"}
            for key, values in ours.items():
                np.testing.assert_array_equal(values, theirs[key], err_msg=key)


def test_epochs_and_seeds_give_other_groups(blobs):
    first, second = batches_of(blobs, 5), batches_of(blobs, 5, start=5)
    other = batches_of(blobs, 5, seed=4)
    assert any(np.any(a["x"] != b["x"]) for a, b in zip(first, second, strict=True))
    assert any(np.any(a["x"] != b["x"]) for a, b in zip(first, other, strict=True))


def test_blocks_smaller_than_the_data_still_fill_every_epoch(blobs, monkeypatch):
    monkeypatch.setattr("models.features.dataset.BLOCK_MOST", 50)
    batches = batches_of(blobs, 26, steps=13)
    assert len(batches) == 26
    assert all(len(batch["x"]) == 12 for batch in batches)


def test_batches_of_groups_have_a_static_shape(blobs):
    stream = blobs.examples("train").training(batch=12, steps=5, seed=3, extrinsic=[0])
    shapes = {key: list(spec.shape) for key, spec in stream.element_spec.items()}
    assert shapes == {"x": [12, 5], "factors": [12, 2], "group": [12], "varying": [12]}
