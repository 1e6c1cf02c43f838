"""SAP, explicitness and IRS, beside scikit-learn's machines and loops over the definition."""

import numpy as np
import pytest
from factor_codes import SIZES, codes_of, factors_and_ideal, imperfect
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from components.metrics.explicitness import explicitness
from components.metrics.irs import irs
from components.metrics.sap import sap, sap_continuous
from components.metrics.table import split, table

PARTS = {"train": 400, "test": 200}


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def halves(codes: np.ndarray, factors: np.ndarray, seed: int):
    return split(table(codes, factors), *PARTS.values(), np.random.default_rng(seed))


def liblinear() -> LinearSVC:
    return LinearSVC(C=0.01, class_weight="balanced", dual=False, tol=1e-10, max_iter=100_000)


@pytest.mark.parametrize("seed", range(3))
def test_sap_is_that_of_liblinear_at_its_optimum(seed):
    codes, factors = imperfect(seed=seed)
    # Two values have one machine, balanced on both sides. Catches: the rest weighted too, the penalty of the bias.
    factors = np.concatenate([factors, (factors[:, :1] > 0).astype(int), (factors[:, 1:2] > 2).astype(int)], axis=1)
    parts = halves(codes, factors, seed)
    expected = [
        [
            liblinear().fit(code[:, None], value).score(test[:, None], truth)
            for value, truth in zip(parts.train.values.T, parts.test.values.T, strict=True)
        ]
        for code, test in zip(parts.train.codes.T, parts.test.codes.T, strict=True)
    ]
    found = sap(codes, factors, np.random.default_rng(seed), **PARTS)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-12)
    ordered = np.sort(expected, axis=0)
    assert found.score == pytest.approx(np.mean(ordered[-1] - ordered[-2]))
    assert (found.train, found.test) == (400, 200)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    size=st.integers(2, 7),
    scale=st.sampled_from([0.05, 0.3, 5.0, 300.0]),
    shift=st.sampled_from([0.0, -2.0, 40.0]),
    levels=st.sampled_from([0, 2, 5]),
)
def test_machines_on_one_axis_agree_with_liblinear_on_any_codes(seed, size, scale, shift, levels):
    rng = np.random.default_rng(seed)
    value = rng.permutation(np.arange(60) % size // rng.integers(1, size))[:, None]
    raw = value + rng.normal(size=value.shape) * rng.uniform(0, 4)
    code = (np.round(raw * levels) / levels if levels else raw) * scale + shift
    found = sap(code, value, np.random.default_rng(seed), train=0.6, test=0.4).matrix[0, 0]
    parts = split(table(code, value), 0.6, 0.4, np.random.default_rng(seed))
    machine = liblinear().fit(parts.train.codes, parts.train.values[:, 0])
    theirs = np.mean(machine.predict(parts.test.codes) == parts.test.values[:, 0])
    decision = machine.decision_function(parts.test.codes)
    ordered = np.sort(np.stack([decision, -decision]) if decision.ndim == 1 else decision.T, axis=0)
    # On the border between two values decides how far liblinear went: it stops where the objective, not the machine,
    # changes by less than 1e-12.
    doubtful = np.mean(ordered[-1] - ordered[-2] <= 2e-6)
    assert abs(found - theirs) <= doubtful + 1e-12


def test_machines_survive_codes_far_from_zero():
    codes, factors = imperfect()
    # Catches: division by a determinant that rounding made zero.
    matrix = sap(codes + 1e10, factors, np.random.default_rng(0), **PARTS).matrix
    assert ((matrix >= 0) & (matrix < 0.6)).all()


@pytest.mark.parametrize("seed", range(3))
def test_sap_by_correlation_is_that_of_the_correlation_coefficient(seed):
    codes, factors = imperfect(seed=seed)
    # Catches: correlation not squared, covariance not normalized.
    expected = np.corrcoef(codes.T, factors.T)[:7, 7:] ** 2
    found = sap_continuous(codes, factors)
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-10)
    ordered = np.sort(expected, axis=0)
    assert found.score == pytest.approx(np.mean(ordered[-1] - ordered[-2]))
    moved = sap_continuous(codes[:, ::-1] * -3 + 1, factors[:, ::-1] * 2 + 5)
    assert moved.score == pytest.approx(found.score)


def test_sap_does_not_depend_on_order_and_knows_dead_dimensions():
    codes, factors = imperfect(count=900)
    plain = sap(codes, factors, np.random.default_rng(0), **PARTS)
    turned = sap(codes[:, ::-1], factors[:, ::-1], np.random.default_rng(0), **PARTS)
    np.testing.assert_array_equal(turned.matrix, plain.matrix[::-1, ::-1])
    # A sign turns nothing but the border cases.
    assert sap(-codes, factors, np.random.default_rng(0), **PARTS).score == pytest.approx(plain.score, abs=0.01)
    dead = sap_continuous(np.concatenate([codes, np.full((900, 2), 1e-7)], axis=1), factors)
    assert not dead.matrix[7:].any()
    one = sap(codes[:, :1], factors, np.random.default_rng(0), **PARTS)
    assert one.score == pytest.approx(np.mean(one.matrix))


@pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp` and `iprint`:DeprecationWarning")  # scikit-learn's
@pytest.mark.parametrize("seed", range(3))
def test_explicitness_is_that_of_the_definition(seed):
    codes, factors = imperfect(seed=seed)
    parts = halves(codes, factors, seed)
    # Catches: codes not standardized, standardized on the test part, area of the labels instead of the chances.
    mean, spread = parts.train.codes.mean(axis=0), parts.train.codes.std(axis=0)
    areas = []
    for value, truth in zip(parts.train.values.T, parts.test.values.T, strict=True):
        model = LogisticRegression(max_iter=1000, tol=1e-6).fit((parts.train.codes - mean) / spread, value)
        chances = model.predict_proba((parts.test.codes - mean) / spread)
        areas.append(np.mean([roc_auc_score(truth == v, chances[:, v]) for v in range(chances.shape[1])]))
    found = explicitness(codes, factors, np.random.default_rng(seed), **PARTS)
    np.testing.assert_allclose(found.areas, areas, atol=1e-4)
    assert found.score == pytest.approx(np.mean(areas), abs=1e-4)
    assert (found.train, found.test) == (400, 200)


def test_explicitness_does_not_depend_on_scale_order_or_dead_dimensions():
    codes, factors = imperfect()
    plain = explicitness(codes, factors, np.random.default_rng(0), **PARTS)
    moved = np.concatenate([codes[:, ::-1] * [1e4, -1, 1, 1, 1, 1, 1] + 7, np.full((600, 1), 0.1)], axis=1)
    turned = explicitness(moved, factors[:, ::-1], np.random.default_rng(0), **PARTS)
    np.testing.assert_allclose(turned.areas, plain.areas[::-1], atol=1e-3)


def test_ties_count_half_to_explicitness():
    _, factors = imperfect()
    assert explicitness(np.ones((600, 2)), factors, np.random.default_rng(0), **PARTS).score == 0.5


def test_values_that_the_test_part_lacks_have_no_area():
    codes, factors = imperfect()
    rare = factors[:, :1].copy()
    rows = np.random.default_rng(0).permutation(600)[:3]  # of the training part
    rare[rows] = 9
    assert not (halves(codes, rare, 0).test.values == 3).any()
    assert 0.5 < explicitness(codes, rare, np.random.default_rng(0), **PARTS).score < 1


def robustness(codes: np.ndarray, factors: np.ndarray, quantile: float) -> tuple[np.ndarray, float]:
    """IRS, dimension by dimension and factor by factor."""
    greatest = [max(abs(z - code.mean()) for z in code) for code in codes.T]
    matrix = np.empty((codes.shape[1], factors.shape[1]))
    for j, code in enumerate(codes.T):
        for k, factor in enumerate(factors.T):
            groups = [code[factor == v] for v in np.unique(factor)]
            deviations = [np.percentile(np.abs(group - group.mean()), 100 * quantile) for group in groups]
            matrix[j, k] = 1 - np.mean(deviations) / greatest[j]
    return matrix, np.average(matrix.max(axis=1), weights=greatest)


@pytest.mark.parametrize("quantile", [0.99, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_irs_is_that_of_the_definition(seed, quantile):
    codes, factors = imperfect(seed=seed)
    # Catches: values weighted by their frequency, unweighted mean of dimensions, deviation from the global mean.
    matrix, score = robustness(codes, factors, quantile)
    found = irs(codes, factors, quantile=quantile)
    np.testing.assert_allclose(found.matrix, matrix, rtol=1e-10, atol=1e-12)
    assert found.score == pytest.approx(score)
    assert found.active == 7
    assert irs(codes[:, ::-1] * -2 + 3, factors[:, ::-1], quantile=quantile).score == pytest.approx(score)


def test_irs_cuts_factors_of_many_values_into_bins():
    codes, _ = imperfect()
    many = np.random.default_rng(0).integers(0, 40, (600, 1))
    # Forty values in twenty bins are pairs of neighbors.
    assert irs(codes, many).score == pytest.approx(irs(codes, many // 2).score)
    assert irs(codes, many, bins=40).score != pytest.approx(irs(codes, many // 2).score)


def test_irs_leaves_constant_dimensions_out_and_counts_the_others():
    codes, factors = codes_of("ideal")
    still = np.insert(codes, [0, 2], 0.1, axis=1)
    found = irs(still, factors)
    # Catches: the sum of the codes reported as the number of dimensions.
    assert found.active == 5
    assert found.score == pytest.approx(irs(codes, factors).score)
    assert np.isnan(found.matrix[[0, 3]]).all()
    nothing = irs(np.ones((2000, 2)), factors)
    assert (nothing.score, nothing.active) == (0.0, 0)


@pytest.mark.parametrize("metric", [irs, sap_continuous])
def test_a_factor_without_variation_is_left_out(metric):
    factors, ideal, _ = factors_and_ideal()
    frozen = np.insert(factors, 1, 2, axis=1)
    found = metric(ideal, frozen)
    assert found.score == pytest.approx(metric(ideal, factors).score)
    assert found.matrix.shape == (5, 6)
    assert np.isnan(found.matrix[:, 1]).all()
    assert len(SIZES) == np.isfinite(found.matrix).all(axis=0).sum()
