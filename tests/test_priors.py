"""Priors: one contract for all, and each against SciPy."""

import numpy as np
import pytest
from contracts import round_trip
from scipy import stats

from models import priors
from models.priors import StandardNormal

PRIORS = {"StandardNormal": lambda: StandardNormal(3)}


def test_every_prior_is_in_the_table():
    assert set(priors.__all__) - {"Prior"} == set(PRIORS)


@pytest.mark.parametrize("name", PRIORS)
def test_prior_is_the_same_after_saving_and_repeats_by_seed(name):
    prior = PRIORS[name]()
    prior.build((None, 3))
    twin = round_trip(prior)
    twin.set_weights(prior.get_weights())
    sample = prior().sample(5, seed=(1, 2))
    assert sample.shape == (5, 3)
    np.testing.assert_array_equal(twin().sample(5, seed=(1, 2)), sample)
    assert np.all(np.isfinite(prior().log_prob(sample)))


def test_standard_normal_has_the_density_of_independent_normals():
    z = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(StandardNormal(3)().log_prob(z), stats.norm.logpdf(z).sum(axis=1), rtol=1e-5)
