"""What codes alone tell: worked values of the correlations, and the ranking of models by each other."""

import numpy as np
import pytest
from factor_codes import codes_of, imperfect
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso
from sklearn.metrics import mutual_info_score

from components.metrics.correlation import (
    correlation,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
    mutual_information_score,
)
from components.metrics.udr import udr

WORKED = np.array([[1.0, 0.5], [0.5, 2.0]])


def test_worked_values():
    # Catches: the root of D C instead of D^1/2 C D^1/2 misread, distance not squared, correlation for covariance.
    assert gaussian_wasserstein_correlation(WORKED) == pytest.approx(0.08674, abs=5e-6)
    assert gaussian_total_correlation(WORKED) == pytest.approx(-0.5 * np.log(1 - 0.25 / 2))
    assert gaussian_total_correlation(np.diag([3.0, 0.1])) == 0.0
    assert gaussian_wasserstein_correlation(np.diag([3.0, 0.1])) == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), latent=st.integers(1, 8))
def test_the_correlations_are_those_of_the_definition(seed, latent):
    root = np.random.default_rng(seed).normal(size=(latent, latent + 3))
    covariance = root @ root.T
    diagonal = np.diag(np.diag(covariance))
    # KL between centered Gaussians, and Bures' distance, by their general formulas.
    kl = 0.5 * (np.trace(np.linalg.solve(diagonal, covariance)) - latent)
    kl += 0.5 * (np.log(np.linalg.det(diagonal)) - np.log(np.linalg.det(covariance)))
    assert gaussian_total_correlation(covariance) == pytest.approx(kl, abs=1e-8)
    half = sqrtm(covariance)
    distance = np.trace(covariance + diagonal - 2 * sqrtm(half @ diagonal @ half))
    assert gaussian_wasserstein_correlation(covariance) == pytest.approx(distance.real, abs=1e-6)
    scales = np.exp(np.random.default_rng(seed).normal(size=latent))
    rescaled = covariance * scales[:, None] * scales
    assert gaussian_total_correlation(rescaled) == pytest.approx(kl, abs=1e-8)
    # The distance is in squared units of the code.
    expected = 9 * gaussian_wasserstein_correlation(covariance)
    assert gaussian_wasserstein_correlation(9 * covariance) == pytest.approx(expected, abs=1e-9)


def test_a_dimension_that_is_a_copy_has_a_large_but_finite_total_correlation():
    assert 15 < gaussian_total_correlation(np.ones((2, 2))) < 20
    # Two equal Gaussians of variance 1 are 2 * 2 - 2 * sqrt(2) from independent ones.
    assert gaussian_wasserstein_correlation(np.ones((2, 2))) == pytest.approx(4 - 2 * np.sqrt(2))


def test_the_mutual_information_score_is_that_of_the_definition():
    codes, _ = imperfect()
    places = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    pairs = [mutual_info_score(a, b) for i, a in enumerate(places) for j, b in enumerate(places) if i != j]
    # Catches: the entropies on the diagonal counted in.
    assert mutual_information_score(codes) == pytest.approx(np.mean(pairs), rel=1e-10)


def test_all_measures_at_once_are_the_single_ones():
    codes, _ = imperfect()
    covariance = np.cov(codes.T)
    found = correlation(codes)
    assert found.total_correlation == pytest.approx(gaussian_total_correlation(covariance))
    assert found.wasserstein == pytest.approx(gaussian_wasserstein_correlation(covariance))
    assert found.wasserstein_normalized == pytest.approx(found.wasserstein / np.trace(covariance))
    assert found.mutual_information == mutual_information_score(codes)
    assert found.active == 7


def test_dead_dimensions_take_no_part():
    codes, _ = codes_of("padded")
    alive = correlation(codes[:, :5])
    assert correlation(codes, dead=0.05) == alive
    assert correlation(np.insert(codes[:, :5], 2, 0.1, axis=1)) == alive
    assert correlation(codes).active == 10
    one = correlation(codes[:, :1])
    assert (one.total_correlation, one.mutual_information, one.active) == (0.0, None, 1)
    assert one.wasserstein == pytest.approx(0.0, abs=1e-9)


def alike(one: np.ndarray, other: np.ndarray, method: str) -> float:
    """UDR of a pair, as the paper has it."""
    one, other = ((z - z.mean(axis=0)) / z.std(axis=0) for z in (one, other))
    relation = np.empty((one.shape[1], other.shape[1]))
    for j in range(other.shape[1]):
        if method == "lasso":
            relation[:, j] = np.abs(Lasso(alpha=0.1).fit(one, other[:, j]).coef_)
        else:
            relation[:, j] = [abs(spearmanr(code, other[:, j]).statistic) for code in one.T]
    columns = [max(column) ** 2 / sum(column) if sum(column) else 0.0 for column in relation.T]
    rows = [max(row) ** 2 / sum(row) if sum(row) else 0.0 for row in relation]
    return (np.mean(columns) + np.mean(rows)) / 2


def trained() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Codes of four models of the same 300 examples, with other numbers of dimensions, some of them uninformative."""
    codes = [
        imperfect(300, 0)[0],
        imperfect(300, 0, latent=5)[0],
        codes_of("rotated", 300)[0],
        codes_of("ideal", 300)[0],
    ]
    rates = [np.ones(code.shape[1]) for code in codes]
    rates[0][[1, 4]] = [0.01, 0.002]
    return codes, rates


@pytest.mark.parametrize("method", ["lasso", "spearman"])
def test_udr_is_that_of_the_definition(method):
    codes, rates = trained()
    kept = [code[:, rate > 0.01] for code, rate in zip(codes, rates, strict=True)]
    # Catches: median over the predicted models, maximum not squared, dead dimensions kept, codes not standardized.
    found = udr(codes, rates, method=method)
    for a in range(4):
        for b in range(4):
            expected = np.nan if a == b else alike(kept[a], kept[b], method)
            assert found.pairs[a, b] == pytest.approx(expected, rel=1e-9, nan_ok=True)
    medians = [np.median([found.pairs[a, b] for a in range(4) if a != b]) for b in range(4)]
    np.testing.assert_allclose(found.scores, medians)
    assert found.active.tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize(("method", "match"), [("lasso", 0.9), ("spearman", 0.9)])
def test_models_that_agree_up_to_order_and_sign_rank_above_rotated_ones(method, match):
    ideal, _ = codes_of("ideal")
    rng = np.random.default_rng(0)
    alike = [ideal[:, rng.permutation(5)] * rng.choice([-2.0, 1.0], 5) for _ in range(4)]
    turned = [ideal @ np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(2)]
    scores = udr(alike + turned, [np.ones(5)] * 6, method=method).scores
    assert scores[:4].min() > scores[4:].max() + 0.1
    # The penalty shrinks a perfect match by 0.1; ranks of independent factors are never quite uncorrelated.
    assert scores[:4].min() > match - 0.1


def test_order_and_scale_of_dimensions_do_not_matter_to_udr():
    codes, rates = trained()
    moved = [code[:, ::-1] * -3 + 1 for code in codes]
    for method in ("lasso", "spearman"):
        found, plain = udr(moved, [r[::-1] for r in rates], method=method), udr(codes, rates, method=method)
        np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-3)
    order = [2, 0, 3, 1]
    turned = udr([codes[i] for i in order], [rates[i] for i in order])
    np.testing.assert_allclose(turned.scores, udr(codes, rates).scores[order])


def test_a_collapsed_model_scores_zero_and_is_counted_as_such():
    codes, rates = trained()
    rates[3][:] = 0.001
    codes[2][:, 0] = 4.0
    found = udr(codes, rates)
    assert found.scores[3] == 0.0
    assert found.active.tolist() == [5, 5, 4, 0]
    assert (found.scores[:3] > 0).all()
