"""Where metrics have no value they say why; what is split is split as said."""

import numpy as np
import pytest
from factor_codes import imperfect
from hypothesis import given, settings
from hypothesis import strategies as st

from components.metrics.correlation import correlation, mutual_information_score
from components.metrics.dci import dci_gbt, dci_histogram, dci_lasso
from components.metrics.disentanglement import factor_vae_score, mig, modularity
from components.metrics.explicitness import explicitness
from components.metrics.irs import irs
from components.metrics.sap import sap, sap_continuous
from components.metrics.table import split, table
from components.metrics.udr import udr
from components.metrics.undefined import UndefinedError
from components.metrics.votes import beta_vae_score

DRAWING = (beta_vae_score, factor_vae_score, sap, explicitness, dci_gbt, dci_histogram, dci_lasso)
SPLITTING = (sap, explicitness, dci_gbt, dci_histogram, dci_lasso)
TWO_FACTORS = (beta_vae_score, factor_vae_score, modularity, dci_gbt, dci_histogram, dci_lasso)
SUPERVISED = (*DRAWING, mig, modularity, sap_continuous, irs)


def measured(metric, codes, factors, **settings):
    generator = (np.random.default_rng(0),) if metric in DRAWING else ()
    return metric(codes, factors, *generator, **settings)


@pytest.mark.parametrize("metric", SUPERVISED)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_codes_that_are_not_finite_have_no_score(metric, bad):
    codes, factors = imperfect()
    codes[[3, 4], 2] = bad
    with pytest.raises(UndefinedError, match=r"^2 of 600 codes are not finite$"):
        measured(metric, codes, factors)


@pytest.mark.parametrize("metric", SUPERVISED)
def test_factors_without_variation_have_no_score(metric):
    codes, factors = imperfect()
    needed = 2 if metric in TWO_FACTORS else 1
    with pytest.raises(UndefinedError, match=rf"^0 factors vary; it takes at least {needed}$"):
        measured(metric, codes, np.zeros_like(factors))
    with pytest.raises(UndefinedError, match=r"^0 factors vary"):
        measured(metric, codes, factors[:, :0])


@pytest.mark.parametrize("metric", TWO_FACTORS)
def test_one_factor_is_too_few_where_factors_are_told_apart(metric):
    codes, factors = imperfect()
    factors[:, 1:] = 3
    with pytest.raises(UndefinedError, match=r"^1 factors vary; it takes at least 2$"):
        measured(metric, codes, factors)


@pytest.mark.parametrize("metric", [metric for metric in SUPERVISED if metric not in TWO_FACTORS])
def test_one_factor_is_enough_where_each_is_scored_for_itself(metric):
    codes, factors = imperfect()
    found = measured(metric, codes, factors[:, :1])
    assert 0 < getattr(found, "score", found) < 1


@pytest.mark.parametrize("metric", [dci_gbt, dci_histogram, dci_lasso])
def test_one_dimension_is_too_few_for_completeness(metric):
    codes, factors = imperfect()
    with pytest.raises(UndefinedError, match=r"^codes of 1 dimension are too narrow; it takes at least 2$"):
        measured(metric, codes[:, :1], factors)


@pytest.mark.parametrize("metric", SUPERVISED)
def test_one_example_is_too_few(metric):
    codes, factors = imperfect()
    with pytest.raises(UndefinedError, match=r"^1 examples are too few; it takes at least 2$"):
        measured(metric, codes[:1], factors[:1])


@pytest.mark.parametrize("metric", SPLITTING)
def test_parts_that_hold_too_little_have_no_score(metric):
    codes, factors = imperfect()
    with pytest.raises(UndefinedError, match=r"^600 examples are too few for a training and a test part$"):
        measured(metric, codes, factors, train=0.5, test=0.0005)
    factors[:, 0] = 0
    factors[0, 0] = 1
    with pytest.raises(UndefinedError, match=r"^the 30 examples of the training part have one value only of factor 0$"):
        measured(metric, codes, factors, train=30, test=30)


def test_a_test_part_of_one_value_has_no_area():
    codes, factors = imperfect()
    factors[:, 0] = np.arange(600) < 300
    with pytest.raises(UndefinedError, match=r"^the 1 examples of the test part have one value only of factor 0$"):
        explicitness(codes, factors, np.random.default_rng(0), train=200, test=1)


def test_points_that_fix_one_factor_only_fit_no_classifier():
    codes, factors = imperfect()
    with pytest.raises(UndefinedError, match=r"^1 training points are too few: all of them fix the same factor$"):
        beta_vae_score(codes, factors, np.random.default_rng(0), train=1, test=1)


def test_dependence_takes_active_dimensions():
    codes, _ = imperfect()
    with pytest.raises(UndefinedError, match=r"^none of the 7 dimensions is active$"):
        correlation(codes * 0)
    with pytest.raises(UndefinedError, match=r"^1 dimensions are active; dependence takes at least 2$"):
        mutual_information_score(codes[:, :1])
    with pytest.raises(UndefinedError, match=r"^1 of 600 codes are not finite$"):
        correlation(np.where(np.arange(600)[:, None] == 5, np.nan, codes))


def test_models_are_ranked_among_models_with_information():
    codes, _ = imperfect()
    with pytest.raises(UndefinedError, match=r"^1 model has nothing to be compared with; it takes at least 2$"):
        udr([codes], [np.ones(7)])
    with pytest.raises(UndefinedError, match=r"^no dimension of any model has a rate above 0.01 nats$"):
        udr([codes, codes], [np.zeros(7)] * 2)
    with pytest.raises(UndefinedError, match=r"^the rate of 7 dimensions is not finite$"):
        udr([codes, codes], [np.full(7, np.nan)] * 2)


def test_what_is_no_table_is_a_mistake_of_the_caller():
    codes, factors = imperfect()
    with pytest.raises(ValueError, match=r"^`codes` must be \[count, latent\]. Received: codes.shape=\(7,\)\.$"):
        mig(codes[0], factors)
    with pytest.raises(ValueError, match=r"^`factors` must be \[600, factors\]. Received: factors.shape=\(599, 5\)\.$"):
        mig(codes, factors[1:])
    with pytest.raises(ValueError, match=r"^`factors` must be class indices. Received: factors.dtype=float64\.$"):
        mig(codes, factors * 1.0)
    with pytest.raises(ValueError, match=r"^`train` and `test` must be positive. Received: train=0, test=5\.$"):
        sap(codes, factors, np.random.default_rng(0), train=0, test=5)
    with pytest.raises(ValueError, match=r"^`method` must be 'lasso' or 'spearman'. Received: method='kendall'\.$"):
        udr([codes, codes], [np.ones(7)] * 2, method="kendall")
    with pytest.raises(ValueError, match=r"^`rates` must be those of 2 models. Received: len\(rates\)=1\.$"):
        udr([codes, codes], [np.ones(7)])
    with pytest.raises(ValueError, match=r"^`rates` must be \[7\] for each model. Received: rates.shape=\(6,\)\.$"):
        udr([codes, codes], [np.ones(6)] * 2)
    with pytest.raises(ValueError, match=r"^`codes` must be of the same examples. Received: counts=\[600, 599\]\.$"):
        udr([codes, codes[1:]], [np.ones(7)] * 2)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(10, 90),
    sizes=st.sampled_from([(10_000, 5_000), (0.5, 0.5), (0.7, 0.3), (4, 0.2), (6, 3), (30, 30), (0.9, 40)]),
    seed=st.integers(0, 2**16),
)
def test_parts_share_nothing_and_are_as_large_as_said(count, sizes, seed):
    codes, factors = np.arange(count, dtype=float)[:, None], np.arange(count)[:, None]
    parts = split(table(codes, factors), *sizes, np.random.default_rng(seed))
    train, test = (set(part.codes[:, 0]) for part in (parts.train, parts.test))
    # Catches: draws with replacement, the same rows in both parts.
    assert len(train) == len(parts.train.codes)
    assert len(test) == len(parts.test.codes)
    assert not train & test
    assert (parts.train.codes == parts.train.values).all()
    wanted = [size * count if size < 1 else size for size in sizes]
    if sum(wanted) > count:
        assert len(train) + len(test) == count
        wanted = [size * count / sum(wanted) for size in wanted]
    assert len(train) == pytest.approx(wanted[0], abs=0.51)
    assert len(test) == pytest.approx(wanted[1], abs=1.01)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), spread=st.sampled_from([1, 10, 10**12]))
def test_values_are_numbered_by_rank_whatever_they_are(seed, spread):
    factors = np.random.default_rng(seed).integers(-5, 6, (30, 2)) * spread
    found = table(np.zeros((30, 1)), factors)
    for k in range(2):
        values, index = np.unique(factors[:, k], return_inverse=True)
        np.testing.assert_array_equal(found.values[:, k], index)
        assert found.sizes[k] == len(values)
