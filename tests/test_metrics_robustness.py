"""Privacy, robustness to noise, and slices: closed forms and plain computations."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from components.metrics.privacy import membership
from components.metrics.probes import Codes
from components.metrics.robustness import displacement, robustness
from components.metrics.slices import MISSING, ranges, slices
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


# Catches: members and others swapped, the threshold of the measured half, a score read the other way.
def test_the_advantage_over_two_normals_is_the_closed_form():
    rng = np.random.default_rng(0)
    found = membership(rng.normal(1, 1, 20_000), rng.normal(0, 1, 10_000), seed=0)
    # The best threshold is half way: Phi(1/2) - Phi(-1/2).
    assert found.advantage.value == pytest.approx(2 * scipy.stats.norm.cdf(0.5) - 1, abs=0.015)
    assert found.threshold == pytest.approx(0.5, abs=0.2)
    assert found.auc.value == pytest.approx(scipy.stats.norm.cdf(1 / np.sqrt(2)), abs=0.01)
    low, high = found.advantage.interval
    rates = scipy.stats.norm.sf([-0.5, 0.5])
    expected = 2 * 1.96 * np.sqrt((rates * (1 - rates) / [10_000, 5_000]).sum())
    assert high - low == pytest.approx(expected, rel=0.1)
    assert (found.members, found.others) == (20_000, 10_000)


def test_a_model_that_gives_nothing_away_has_no_advantage_on_average():
    rng = np.random.default_rng(0)
    found = [membership(rng.normal(size=100), rng.normal(size=100), seed=seed) for seed in range(60)]
    values = np.array([each.advantage.value for each in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(60)
    assert sum(low <= 0 <= high for low, high in (each.advantage.interval for each in found)) >= 53
    assert values.min() < 0 < values.max()


def test_members_that_stand_apart_are_all_found():
    found = membership(np.arange(100, 140.0), np.arange(40.0), seed=0)
    assert found.advantage.value == pytest.approx(1, abs=0.1)
    assert found.auc.value == 1
    turned = membership(np.arange(40.0), np.arange(100, 140.0), seed=0)
    assert turned.advantage.value == 0
    assert turned.auc.value == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_only_the_order_of_scores_gives_members_away(seed):
    rng = np.random.default_rng(seed)
    members, others = rng.normal(0.5, 1, 30), rng.normal(size=25)
    found, moved = membership(members, others, seed=0), membership(np.exp(members), np.exp(others), seed=0)
    assert moved.advantage == found.advantage
    truth = np.repeat([1, 0], [30, 25])
    assert found.auc.value == pytest.approx(roc_auc_score(truth, np.concatenate([members, others])))


def test_scores_that_cannot_tell_say_why():
    with pytest.raises(UndefinedError, match="^the training part has 5 examples, fewer than 20$"):
        membership(np.arange(5.0), np.arange(50.0), seed=0)
    with pytest.raises(UndefinedError, match="^the test part has scores that are not finite$"):
        membership(np.arange(50.0), np.full(50, np.nan), seed=0)
    with pytest.raises(UndefinedError, match="^all examples have the same score$"):
        membership(np.ones(50), np.ones(50), seed=0)


# Catches: the denominator left out, squared distances, pairs of an example with itself.
def test_displacement_of_normal_codes_is_the_closed_form():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(20_000, 3))
    found = displacement(clean, clean + 0.5 * rng.normal(size=clean.shape), seed=0)
    # |N(0, .25 I)| against |N(0, 2 I)|.
    assert found.value == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    two = np.array([[0.0], [2.0]])
    assert displacement(two, two + 0.5, seed=0).value == pytest.approx(0.25)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_displacement_does_not_feel_turns_shifts_and_scales(seed, scale, shift):
    rng = np.random.default_rng(seed)
    clean, noise = rng.normal(size=(2, 50, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = displacement(scale * clean @ turn + shift, scale * (clean + noise) @ turn + shift, seed=0)
    assert moved.value == pytest.approx(displacement(clean, clean + noise, seed=0).value, rel=1e-6)


def test_more_noise_moves_more_and_costs_more():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=900)
    codes = 1.5 * np.eye(3)[labels] + 0.5 * rng.normal(size=(900, 3))
    clean = Codes(codes[:600], codes[600:])
    noisy = {level: clean.test + level * rng.normal(size=(300, 3)) for level in (0.0, 0.5, 2.0, 50.0)}
    found = robustness(clean, noisy, Targets(labels[:600], labels[600:]), seed=0)
    assert [each.level for each in found] == [0.0, 0.5, 2.0, 50.0]
    still, little, much, lost = found
    assert (still.displacement.value, still.agreement.value, still.drop.value) == (0, 1, 0)
    assert 0 < little.displacement.value < much.displacement.value < lost.displacement.value
    assert 1 > little.agreement.value > much.agreement.value > lost.agreement.value
    assert little.drop.value < much.drop.value < lost.drop.value
    assert lost.agreement.value == pytest.approx(1 / 3, abs=0.1)
    assert lost.drop.value == pytest.approx(2 / 3, abs=0.1)
    low, high = much.drop.interval
    assert low < much.drop.value < high


def test_robustness_of_numbers_is_a_drop_of_explained_variance():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(4000, 1))
    values = codes[:, 0]
    clean = Codes(codes[:2000], codes[2000:])
    targets = Targets(values[:2000], values[2000:], "regression")
    [found] = robustness(clean, {0.5: clean.test + 0.5 * rng.normal(size=(2000, 1))}, targets, seed=0)
    assert found.agreement is None
    assert found.drop.value == pytest.approx(0.25, abs=0.03)
    [bare] = robustness(clean, {0.5: clean.test + 0.5}, None, seed=0)
    assert (bare.agreement, bare.drop) == (None, None)
    several = Targets(
        *(np.stack([part > 0, part > 1], axis=1).astype(int) for part in (values[:2000], values[2000:])), "multilabel"
    )
    [both] = robustness(clean, {9.0: -clean.test}, several, seed=0)
    assert both.agreement.value < 0.5
    assert both.drop.value > 0.4


def test_codes_that_cannot_move_say_why():
    same, other = np.ones((5, 2)), np.zeros((5, 2))
    with pytest.raises(UndefinedError, match="^all codes are the same$"):
        displacement(same, other, seed=0)
    with pytest.raises(UndefinedError, match="^some codes are not finite$"):
        displacement(same, other * np.nan, seed=0)
    with pytest.raises(UndefinedError, match="^there are no two examples to take a distance between$"):
        displacement(same[:1], other[:1], seed=0)
    rng = np.random.default_rng(0)
    broken = Codes(np.full((5, 2), np.inf), rng.normal(size=(5, 2)))
    with pytest.raises(UndefinedError, match="^some codes are not finite$"):
        robustness(broken, {0.1: broken.test}, Targets(np.resize([0, 1], 5), np.resize([0, 1], 5)), seed=0)


def test_slices_are_measured_named_or_left_out():
    values = ["b"] * 30 + ["a"] * 30 + ["c"] * 25 + ["d"] * 19 + [None, float("nan")]
    outcomes = np.concatenate([np.ones(30), np.resize([1, 0], 30), np.full(25, 0.5), np.zeros(21)])
    found = slices(outcomes, values, seed=0, most=2)
    assert [(each.name, each.count, each.value) for each in found.measured] == [("a", 30, 0.5), ("b", 30, 1.0)]
    # Wilson: no interval of 30 examples is empty, even if all are right.
    assert found.measured[1].interval == pytest.approx((30 / (30 + 1.95996**2), 1.0))
    assert [(each.name, each.count, each.value) for each in found.small] == [("d", 19, None), (MISSING, 2, None)]
    assert [(each.name, each.count, each.value) for each in found.omitted] == [("c", 25, None)]
    assert found.worst.name == "a"
    [other] = slices(outcomes, values, seed=0).measured[2:]
    assert (other.name, other.value, other.interval) == ("c", 0.5, (0.5, 0.5))


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(0, 4), min_size=1, max_size=60), least=st.integers(1, 10), most=st.integers(0, 4))
def test_every_example_is_in_one_slice(values, least, most):
    outcomes = np.arange(float(len(values)))
    found = slices(outcomes, np.array(values), seed=0, least=least, most=most)
    every = [*found.measured, *found.small, *found.omitted]
    assert sum(each.count for each in every) == len(values)
    assert len({each.name for each in every}) == len(every) == len(set(values))
    assert len(found.measured) <= most
    for each in found.measured:
        assert each.value == pytest.approx(outcomes[np.array(values) == int(each.name)].mean())
        assert each.count >= least


def test_many_numbers_are_sliced_by_their_ranges():
    names = ranges(np.array([*range(1, 101), np.nan]), parts=4)
    assert names[-1] is None
    found = slices(np.arange(101.0), names, seed=0)
    assert [each.count for each in found.measured] == [25] * 4
    assert set(names[:25]) == {"1 to 25.75"}
    assert len(set(ranges(np.zeros(10)))) == 1


def test_slices_of_nothing_say_why():
    with pytest.raises(UndefinedError, match="^there are no examples to slice$"):
        slices(np.zeros(0), [], seed=0)
    with pytest.raises(UndefinedError, match="^some outcomes are not finite$"):
        slices(np.array([np.nan]), ["a"], seed=0)
    with pytest.raises(UndefinedError, match="^no slice has enough examples$"):
        _ = slices(np.ones(3), ["a"] * 3, seed=0).worst
