"""DCI: scores of known importance, and the three ways to find importance."""

import numpy as np
import pytest
from factor_codes import codes_of, imperfect
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Lasso
from threadpoolctl import threadpool_limits

from components.metrics.dci import completeness, dci_gbt, dci_histogram, dci_lasso, disentanglement
from components.metrics.table import split, table

PARTS = {"train": 400, "test": 200}
METRICS = {
    dci_gbt: {"trees": 5},
    dci_histogram: {"trees": 5},
    dci_lasso: {},
}


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize(
    ("importance", "scores"),
    [
        (np.eye(3), (1.0, 1.0)),
        (np.ones((3, 4)), (0.0, 0.0)),
        (np.zeros((3, 2)), (0.0, 0.0)),
        # One dimension for both factors: complete, not disentangled. And the other way round.
        ([[1, 1], [0, 0]], (0.0, 1.0)),
        ([[1, 0], [1, 0]], (1.0, 0.0)),
        # 3/4 of the importance is in a dimension of one factor, 1/4 in one of both.
        ([[3, 0], [0.5, 0.5]], (0.75, 1 - 0.875 * entropy([6 / 7, 1 / 7], base=2))),
    ],
)
def test_scores_of_a_known_importance(importance, scores):
    # Catches: natural logarithm, base of the other axis, unweighted mean, weights of the other axis.
    importance = np.array(importance, float)
    assert disentanglement(importance) == pytest.approx(scores[0], abs=1e-8)
    assert completeness(importance) == pytest.approx(scores[1] if importance.sum() else 0.0, abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**16), latent=st.integers(2, 8), factors=st.integers(2, 6), scale=st.floats(1e-3, 1e3))
def test_scores_of_any_importance(seed, latent, factors, scale):
    rng = np.random.default_rng(seed)
    importance = rng.exponential(size=(latent, factors)) * (rng.random((latent, factors)) < 0.7) + 1e-3
    weights = importance.sum(axis=1) / importance.sum()
    expected = sum(w * (1 - entropy(row, base=factors)) for w, row in zip(weights, importance, strict=True))
    assert disentanglement(importance) == pytest.approx(expected, abs=1e-6)
    assert disentanglement(importance * scale) == pytest.approx(expected, abs=1e-4)
    assert completeness(importance.T) == pytest.approx(expected, abs=1e-6)
    shuffled = importance[rng.permutation(latent)][:, rng.permutation(factors)]
    assert disentanglement(shuffled) == pytest.approx(expected, abs=1e-6)


def test_the_reference_reads_the_forest_of_scikit_learn():
    codes, factors = imperfect()
    parts = split(table(codes, factors), *PARTS.values(), np.random.default_rng(0))
    found = dci_gbt(codes, factors, np.random.default_rng(0), trees=5, **PARTS)
    for k, value in enumerate(parts.train.values.T):
        model = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(parts.train.codes, value)
        np.testing.assert_allclose(found.importance[:, k], model.feature_importances_, atol=0.02)
    assert 0.3 < found.informativeness < 0.9
    assert (found.train, found.test) == (400, 200)
    assert found.disentanglement == disentanglement(found.importance)
    assert found.completeness == completeness(found.importance)


def test_the_histogram_metric_ranks_dimensions_as_permutation_does():
    codes, factors = imperfect(count=2000)
    found = dci_histogram(codes, factors, np.random.default_rng(0), trees=10, train=1400, test=600)
    parts = split(table(codes, factors), 1400, 600, np.random.default_rng(0))
    np.testing.assert_allclose(found.importance.sum(axis=0), 1.0)
    for k, (value, truth) in enumerate(zip(parts.train.values.T, parts.test.values.T, strict=True)):
        model = HistGradientBoostingClassifier(max_iter=10, max_depth=3, early_stopping=False).fit(
            parts.train.codes, value
        )
        loss = permutation_importance(model, parts.test.codes, truth, n_repeats=2, random_state=0).importances_mean
        assert np.corrcoef(found.importance[:, k], loss)[0, 1] > 0.7


def test_the_lasso_metric_reads_absolute_coefficients_on_standardized_codes():
    codes, factors = imperfect(count=3000)
    found = dci_lasso(codes * 50, factors, np.random.default_rng(0), train=2000, test=1000)
    parts = split(table(codes, factors), 2000, 1000, np.random.default_rng(0))
    z = (parts.train.codes - parts.train.codes.mean(axis=0)) / parts.train.codes.std(axis=0)
    for k, value in enumerate(parts.train.values.T):
        # Cross-validation chooses a small penalty where examples are many.
        model = Lasso(alpha=2e-3).fit(z, (value - value.mean()) / value.std())
        np.testing.assert_allclose(found.importance[:, k], np.abs(model.coef_), atol=0.03)
    # Catches: the error instead of its root, and a share of the wrong variance.
    ideal, factors = codes_of("ideal")
    assert dci_lasso(ideal, factors, np.random.default_rng(0)).informativeness == pytest.approx(0.05, abs=0.005)
    noise, factors = codes_of("noise")
    assert dci_lasso(noise, factors, np.random.default_rng(0)).informativeness == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("metric", METRICS)
def test_order_and_scale_of_dimensions_and_order_of_factors_do_not_matter(metric):
    codes, factors = imperfect()
    plain = metric(codes, factors, np.random.default_rng(0), **PARTS, **METRICS[metric])
    moved = metric(codes[:, ::-1] * -4 + 2, factors[:, ::-1], np.random.default_rng(0), **PARTS, **METRICS[metric])
    # Bins and ties between splits differ when the sign does.
    np.testing.assert_allclose(moved.importance[::-1, ::-1], plain.importance, atol=0.05)
    assert moved.disentanglement == pytest.approx(plain.disentanglement, abs=0.05)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_seed_gives_the_same_scores(metric):
    codes, factors = imperfect()
    one, two = (metric(codes, factors, np.random.default_rng(5), **PARTS, **METRICS[metric]) for _ in range(2))
    np.testing.assert_array_equal(one.importance, two.importance)


@pytest.mark.parametrize("metric", METRICS)
def test_codes_of_nothing_score_nothing_and_constant_factors_are_left_out(metric):
    _, factors = imperfect()
    frozen = np.insert(factors, 2, 1, axis=1)
    found = metric(np.full((600, 3), 0.1), frozen, np.random.default_rng(0), **PARTS, **METRICS[metric])
    assert (found.disentanglement, found.completeness) == (0.0, 0.0)
    assert found.importance.shape == (3, 6)
    assert np.isnan(found.importance[:, 2]).all()
    assert not found.importance[:, [0, 1, 3, 4, 5]].any()
