"""Scores of mutual information: MIG, modularity and the matrix they read."""

import numpy as np
import pytest
from factor_codes import codes_of, factors_and_ideal, imperfect
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from sklearn.metrics import mutual_info_score

from components.metrics.disentanglement import mig, mig_sampled, modularity
from components.metrics.information import binned, entropies, information


def by_the_book(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """I[j, k], pair by pair, as the definition has it."""
    places = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    return np.array([[mutual_info_score(factor, place) for factor in factors.T] for place in places])


@pytest.mark.parametrize("seed", range(3))
def test_the_matrix_and_the_entropies_are_those_of_the_definition(seed):
    codes, factors = imperfect(seed=seed)
    # Catches: bits instead of nats, dimension and factor swapped, sizes of another factor.
    found = information(binned(codes), 20, factors, factors.max(axis=0) + 1)
    np.testing.assert_allclose(found, by_the_book(codes, factors), rtol=1e-10, atol=1e-12)
    expected = [mutual_info_score(factor, factor) for factor in factors.T]
    np.testing.assert_allclose(entropies(factors, factors.max(axis=0) + 1), expected, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16), bins=st.integers(1, 40), scale=st.floats(1e-6, 1e6), levels=st.sampled_from([3, 21, 0])
)
def test_bins_are_those_of_the_histogram(seed, bins, scale, levels):
    rng = np.random.default_rng(seed)
    # Whole multiples fall on the edges, where rounding decides. Catches: no correction of the guessed bin.
    raw = rng.integers(0, levels, (50, 3)) / (levels - 1) if levels else rng.normal(size=(50, 3))
    codes = np.concatenate([raw * scale + rng.normal(), np.full((50, 1), 0.3)], axis=1)
    expected = [np.digitize(code, np.histogram(code, bins)[1][:-1]) - 1 for code in codes.T]
    np.testing.assert_array_equal(binned(codes, bins).T, expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_is_that_of_the_definition(seed):
    codes, factors = imperfect(seed=seed)
    # Catches: gap over factors instead of dimensions, one common entropy, entropy inside the sort.
    ordered = np.sort(by_the_book(codes, factors), axis=0)
    entropy = [mutual_info_score(factor, factor) for factor in factors.T]
    assert mig(codes, factors) == pytest.approx(np.mean((ordered[-1] - ordered[-2]) / entropy), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_modularity_is_that_of_the_definition(seed):
    codes, factors = imperfect(seed=seed)
    # Catches: information not squared, division by the number of factors, mean over factors.
    scores = []
    for row in by_the_book(codes, factors):
        best = row.argmax()
        rest = sum(row[k] ** 2 for k in range(len(row)) if k != best)
        scores.append(1 - rest / (row[best] ** 2 * (len(row) - 1)))
    assert modularity(codes, factors) == pytest.approx(np.mean(scores), rel=1e-10)


def test_a_dimension_without_information_is_not_modular():
    codes, factors = codes_of("ideal")
    still = np.concatenate([codes, np.zeros_like(codes)], axis=1)
    assert modularity(still, factors) == pytest.approx(modularity(codes, factors) / 2)
    assert modularity(still, factors, dead=0.01) == pytest.approx(modularity(codes, factors))
    padded, factors = codes_of("padded")
    assert modularity(padded, factors, dead=0.05) == pytest.approx(modularity(padded[:, :5], factors))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_order_and_scale_of_dimensions_and_order_of_factors_and_values_do_not_matter(seed, scale, shift):
    codes, factors = imperfect(count=400, seed=seed)
    rng = np.random.default_rng(seed)
    renamed = np.stack([rng.permutation(6)[factor] * 7 - 3 for factor in factors.T], axis=1)
    moved = codes[:, rng.permutation(7)] * scale + shift, renamed[:, rng.permutation(5)]
    # Rounding may move a code across the edge of its bin.
    assert mig(*moved) == pytest.approx(mig(codes, factors), abs=0.02)
    assert modularity(*moved) == pytest.approx(modularity(codes, factors), abs=0.02)


def test_a_second_copy_costs_the_whole_gap_and_no_modularity():
    codes, factors = codes_of("ideal")
    twice = np.concatenate([codes, codes], axis=1)
    assert mig(twice, factors) == 0.0
    assert modularity(twice, factors) == pytest.approx(modularity(codes, factors))


def test_one_dimension_alone_has_a_runner_up_of_zero():
    codes, factors = codes_of("ideal")
    assert mig(codes[:, :1], factors[:, :1]) == pytest.approx(1.0, abs=0.01)


def test_a_factor_without_variation_is_left_out():
    factors, ideal, _ = factors_and_ideal()
    frozen = np.concatenate([np.full_like(factors[:, :1], 4), factors], axis=1)
    assert mig(ideal, frozen) == pytest.approx(mig(ideal, factors))
    assert modularity(ideal, frozen) == pytest.approx(modularity(ideal, factors))


def test_a_code_of_nothing_scores_nothing():
    factors, _, _ = factors_and_ideal()
    assert mig(np.zeros((2000, 3)), factors) == 0.0
    assert modularity(np.zeros((2000, 3)), factors) == 0.0
    assert modularity(np.zeros((2000, 3)), factors, dead=0.05) == 0.0


def sampled_by_the_book(mean: np.ndarray, stddev: np.ndarray, factors: np.ndarray, codes: np.ndarray) -> float:
    """The paper's MIG, example by example: logarithms of mixtures over all examples, and over those of one value."""
    gaps = []
    for factor in factors.T:
        information = []
        for j in range(mean.shape[1]):
            density = stats.norm.pdf(codes[:, j, None], mean[:, j], stddev[:, j])  # [count, count]
            alike = [np.mean(row[factor == own]) for row, own in zip(density, factor, strict=True)]
            information.append(np.mean(np.log(alike) - np.log(density.mean(axis=1))))
        best, second = sorted(information, reverse=True)[:2]
        gaps.append((best - second) / mutual_info_score(factor, factor))
    return float(np.mean(gaps))


# Catches: a mixture that leaves the code's own posterior out, weights of the groups' sizes, blocks of rows mixed up.
def test_the_gap_by_samples_is_that_of_the_definition():
    mean, factors = imperfect(count=260)
    stddev = np.exp(np.random.default_rng(3).normal(size=mean.shape) / 2)
    codes = mean + stddev * np.random.default_rng(5).normal(size=mean.shape)
    found = mig_sampled(mean, stddev, factors, np.random.default_rng(5))
    assert found == pytest.approx(sampled_by_the_book(mean, stddev, factors, codes), rel=1e-9)
    assert 0.05 < found < 0.95


# Catches: information of the means, not of the codes: it would be the whole entropy of the factor.
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_gap_by_samples_is_that_of_the_integral(spread):
    """Two factors of three values, one dimension for each: I is an integral over one normal for each value."""
    places = np.array([-1.0, 0.0, 1.5])
    factors = np.stack(np.meshgrid(range(3), range(3), np.arange(120)), axis=-1).reshape(-1, 3)[:, :2]
    found = mig_sampled(places[factors], np.full(factors.shape, spread), factors, np.random.default_rng(0))

    def density(z: float) -> float:
        return float(np.mean(stats.norm.pdf(z, places, spread)))

    mixture, _ = quad(lambda z: -density(z) * np.log(density(z)), -8, 9)
    assert found == pytest.approx((mixture - stats.norm.entropy(scale=spread)) / np.log(3), abs=0.03)


def test_codes_that_are_known_get_the_gap_by_samples_that_theory_gives_them():
    def score(kind: str, spread: float) -> float:
        mean, factors = codes_of(kind, 600)
        return mig_sampled(mean, np.full(mean.shape, spread), factors, np.random.default_rng(1))

    assert score("ideal", 0.05) == pytest.approx(mig(*codes_of("ideal", 600)), abs=0.03)
    assert score("permuted", 0.05) == pytest.approx(score("ideal", 0.05), abs=0.05)
    assert score("noise", 0.3) == pytest.approx(0, abs=0.02)
    assert score("doubled", 0.05) == pytest.approx(0, abs=0.02)
    assert score("ideal", 1e-6) == pytest.approx(0, abs=0.01)  # every dimension tells every example


@pytest.mark.parametrize("stddev", [np.zeros((50, 2)), np.ones((50, 1))])
def test_posteriors_without_a_spread_are_refused(stddev):
    with pytest.raises(ValueError, match="`stddev` must be positive, one for each mean. Received: stddev.shape="):
        mig_sampled(np.zeros((50, 2)), stddev, np.arange(100).reshape(50, 2) % 3, np.random.default_rng(0))
