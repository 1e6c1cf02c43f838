"""`vae` and `beta_vae` where the optimum is known, and on digits."""

import functools

import keras
import numpy as np
import pytest
from contracts import metrics_of, train
from scipy import stats
from worlds import digits, linear_gaussian

from models import recipes
from models.autoencoder import Autoencoder
from models.factors import DiagonalNormal, FixedScale, Gaussian
from models.networks import dense
from models.priors import StandardNormal
from models.terms import KL, NegativeLogLikelihood

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

VARIANCES, NOISE = (4.0, 2.0, 1.0, 0.3, 0.1), 0.2


def linear_model(beta: float) -> Autoencoder:
    """Linear encoder, linear decoder, noise of fixed variance: the case with a known optimum."""
    keras.utils.set_random_seed(0)
    width = len(VARIANCES)
    model = Autoencoder(
        encoder=DiagonalNormal(dense.encoder((width,), hidden=()), latent=width),
        prior=StandardNormal(width),
        decoder=Gaussian(dense.decoder((width,), hidden=()), FixedScale(NOISE**0.5)),
        terms=[NegativeLogLikelihood(), KL(weight=beta)],
    )
    model.build({"x": (None, width)})
    return model


@functools.cache
def on_linear_data(beta: float) -> tuple[dict[str, float], np.ndarray]:
    """Metrics of the trained linear model, and its codes' variances."""
    x, _ = linear_gaussian(VARIANCES)
    model = linear_model(beta)
    train(model, x, steps=3000, batch=256, rate=2e-2)
    return metrics_of(model, {"x": np.tile(x, (10, 1))}), np.var(model.encode(x).mean(), axis=0)


@pytest.mark.parametrize(("beta", "active"), [(1.0, 4), (3.0, 3), (8.0, 2)])
def test_a_linear_beta_vae_fills_the_water_of_rate_distortion_theory(beta, active):
    _, variances = linear_gaussian(VARIANCES)
    reached, code_variances = on_linear_data(beta)
    level = np.minimum(variances, beta * NOISE)
    rate = 0.5 * np.log(variances / level).sum()
    distortion = level.sum() / (2 * NOISE) + len(variances) / 2 * np.log(2 * np.pi * NOISE)
    assert reached["rate"] == pytest.approx(rate, abs=0.1)
    assert reached["distortion"] == pytest.approx(distortion, abs=0.1)
    assert np.sum(code_variances > 0.01) == active


def test_a_linear_vae_reaches_the_exact_likelihood_of_probabilistic_pca():
    x, variances = linear_gaussian(VARIANCES)
    basis = np.linalg.eigh(x.T @ x / len(x))[1][:, ::-1]
    covariance = np.diag(np.maximum(variances, NOISE))
    exact = stats.multivariate_normal(np.zeros(len(VARIANCES)), covariance).logpdf(x @ basis).mean()
    assert on_linear_data(1.0)[0]["elbo"] == pytest.approx(exact, abs=0.05)


def on_digits(beta: float) -> dict[str, float]:
    """Metrics of a beta-VAE on the digits."""
    model = recipes.build("beta_vae", digits().spec, latent=8, seed=1, beta=beta)
    return train(model, digits().batch["x"], steps=700, rate=3e-3)


def test_beta_trades_distortion_for_rate_on_digits():
    # Catches: the rate left out, its sign, a tenth of its weight or ten times it.
    sweep = [on_digits(beta) for beta in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert np.all(np.diff([point["rate"] for point in sweep]) < 0)
    assert np.all(np.diff([point["distortion"] for point in sweep]) > 0)
    assert sweep[0]["rate"] > 15.0
    assert sweep[-1]["rate"] < 0.2
