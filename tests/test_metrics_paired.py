"""Paired tests: hand-computed values, scipy's own tests, false alarms and power."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from components.metrics.paired import compare, holm, mcnemar, over_seeds, regressed, sign_flip
from components.metrics.undefined import UndefinedError

outcomes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=60)


def binary(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    before = np.repeat([1.0, 0.0, 1.0, 0.0], [both, gained, lost, neither])
    return before, np.repeat([1.0, 1.0, 0.0, 0.0], [both, gained, lost, neither])


# Catches: all examples in the test instead of the discordant ones, a normal approximation, the other sign.
def test_mcnemar_is_a_coin_for_every_example_they_differ_on():
    found = compare(*binary(both=50, gained=1, lost=7, neither=42), seed=0)
    assert found.test == "exact McNemar"
    assert found.difference == pytest.approx(-0.06)
    # 2 (1 + 8) / 2^8.
    assert found.p_value == pytest.approx(18 / 256)
    assert found.count == 100
    low, high = found.interval
    assert low < -0.06 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.08 - 0.06**2) / 10, rel=0.15)


def test_sign_flips_of_few_examples_are_all_of_them():
    before = np.zeros(5)
    after = np.array([1.0, 2.0, 3.0, 4.0, -0.5])
    # Of 32 sign patterns only all positive reaches more than what was found, 9.5.
    found = compare(before, after, seed=0)
    assert found.test == "sign-flip permutation"
    assert found.p_value == pytest.approx(2 * 2 / 32)
    assert found.difference == pytest.approx(1.9)
    assert sign_flip(before, after, seed=0, alternative="greater").p_value == pytest.approx(2 / 32)
    assert sign_flip(before, after, seed=0, alternative="less").p_value == pytest.approx(31 / 32)


def test_sign_flips_of_many_examples_agree_with_the_t_test():
    rng = np.random.default_rng(0)
    before = rng.normal(size=4000)
    after = before + 0.04 + rng.normal(size=4000)
    expected = scipy.stats.ttest_rel(after, before)
    found = compare(before, after, seed=0)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.012)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95), abs=0.006)


@settings(max_examples=40, deadline=None)
@given(pairs=outcomes)
def test_swapping_the_models_swaps_the_difference_only(pairs):
    before, after = np.array(pairs, float).T
    for test in (compare, sign_flip):
        here, there = test(before, after, seed=0), test(after, before, seed=0)
        assert there.difference == pytest.approx(-here.difference)
        assert there.p_value == pytest.approx(here.p_value)
        assert 0 < here.p_value <= 1


@settings(max_examples=40, deadline=None)
@given(pairs=outcomes)
def test_one_sided_alternatives_cover_everything(pairs):
    before, after = np.array(pairs, float).T
    less, more = (mcnemar(before, after, seed=0, alternative=side).p_value for side in ("less", "greater"))
    assert less + more >= 1
    assert (less <= more) == (after.mean() <= before.mean()) or less == pytest.approx(more)


@pytest.mark.parametrize("values", [[0.0, 1.0, 1.0], [0.3, 0.2, 7.0], [5.0, 5.0]])
def test_equal_models_do_not_differ(values):
    values = np.array(values)
    found = compare(values, values, seed=0)
    assert (found.difference, found.interval, found.p_value) == (0, (0, 0), 1)
    assert not regressed(values, values, higher_is_better=True, alpha=0.999).regressed


# Catches: the shift left out or of the wrong sign, loss and gain mixed up.
def test_a_loss_within_what_is_allowed_is_none():
    rng = np.random.default_rng(0)
    before = rng.normal(10, 1, size=2000)
    after = before - 0.2 + 0.5 * rng.normal(size=2000)
    free = regressed(before, after, higher_is_better=True)
    assert free.regressed
    assert free.loss == pytest.approx(0.2, abs=0.04)
    assert not regressed(before, after, higher_is_better=False).regressed
    assert regressed(before, after, higher_is_better=True, allowed=0.1).regressed
    assert not regressed(before, after, higher_is_better=True, allowed=0.3).regressed
    # Nats go up where a model gets worse.
    risen = regressed(-before, -after, higher_is_better=False, allowed=0.1)
    assert risen.regressed
    assert risen.loss == pytest.approx(free.loss)
    assert risen.paired.difference == pytest.approx(free.loss)


def test_a_loss_too_small_to_be_sure_of_is_none():
    found = regressed(*binary(both=90, gained=2, lost=5, neither=3), higher_is_better=True)
    assert found.loss == pytest.approx(0.03)
    assert found.paired.p_value == pytest.approx((1 + 7 + 21) / 128)
    assert not found.regressed
    assert regressed(*binary(both=90, gained=0, lost=5, neither=5), higher_is_better=True).regressed


@pytest.mark.parametrize("allowed", [0.0, 0.02])
def test_false_alarms_are_as_rare_as_alpha_says(allowed):
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(60):
        before = (rng.random(500) < 0.8).astype(float)
        # Models that differ on a tenth of the examples, the later one worse by what is allowed.
        change = rng.random(500)
        after = np.where(change < 0.06, 1.0, np.where(change < 0.06 + 0.015 + 1.25 * allowed, 0.0, before))
        alarms += regressed(before, after, higher_is_better=True, allowed=allowed).regressed
    assert alarms <= 8


def test_real_losses_of_accuracy_beyond_the_allowance_are_found():
    before, after = binary(both=700, gained=20, lost=80, neither=200)
    found = regressed(before, after, higher_is_better=True, allowed=0.02)
    assert found.loss == pytest.approx(0.06)
    assert found.paired.test == "sign-flip permutation"
    # z = (0.06 - 0.02) / (sd 0.31 / sqrt 1000)
    assert found.paired.p_value == pytest.approx(scipy.stats.norm.sf(0.04 / (0.3105 / np.sqrt(1000))), abs=0.001)
    assert found.regressed


def test_seeds_are_compared_by_students_t():
    before, after = np.array([0.80, 0.82, 0.81]), np.array([0.84, 0.85, 0.86])
    found = over_seeds(before, after)
    # Differences .04, .03, .05: t = .04 / (.01 / sqrt 3), two degrees of freedom, t(.975) = 4.3027.
    assert found.test == "paired t"
    assert found.difference == pytest.approx(0.04)
    assert found.p_value == pytest.approx(2 * scipy.stats.t.sf(0.04 / (0.01 / np.sqrt(3)), 2))
    assert found.interval == pytest.approx((0.04 - 4.3027 * 0.0057735, 0.04 + 4.3027 * 0.0057735), abs=1e-5)


def test_seeds_without_spread_are_compared_by_their_signs():
    found = over_seeds(np.array([0.5, 0.6, 0.7, 0.8]), np.array([0.6, 0.7, 0.8, 0.9]))
    assert (found.test, found.count, found.p_value) == ("sign test", 4, 0.125)
    assert found.interval == pytest.approx((0.1, 0.1))
    assert over_seeds(np.ones(3), np.ones(3)).p_value == 1


def test_holm_is_worked_by_hand():
    # Sorted: .01 * 4, .015 * 3 -> .045, .02 * 2 = .04 -> .045, .5 * 1.
    assert holm([0.02, 0.01, 0.5, 0.015]) == pytest.approx([0.045, 0.04, 0.5, 0.045])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(values):
    adjusted, plain = holm(values), np.array(values)
    assert (adjusted >= plain).all()
    assert (adjusted <= np.minimum(plain * len(values), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(plain)]) >= 0).all()
    # Rejecting one after the other until one fails, as the procedure is stated.
    rejected, left = set(), len(values)
    for place in np.argsort(plain, kind="stable"):
        if plain[place] * left > 0.05:
            break
        rejected.add(place)
        left -= 1
    assert rejected == set(np.flatnonzero(adjusted <= 0.05))


@pytest.mark.parametrize("test", [lambda a, b: compare(a, b, seed=0), over_seeds])
def test_what_cannot_be_compared_says_why(test):
    with pytest.raises(UndefinedError, match="^1 pairs are too few to compare$"):
        test(np.ones(1), np.ones(1))
    with pytest.raises(UndefinedError, match="^some numbers are not finite$"):
        test(np.array([1, np.nan]), np.ones(2))
    with pytest.raises(ValueError, match=r"`after` must have the shape of `before`, \(3,\)\. Received: shape=\(2,\)"):
        test(np.ones(3), np.ones(2))


def test_an_allowance_is_not_negative():
    with pytest.raises(ValueError, match="`allowed` must not be negative. Received: allowed=-0.1"):
        regressed(np.ones(2), np.ones(2), higher_is_better=True, allowed=-0.1)
