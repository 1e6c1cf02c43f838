"""Regularized models that are one another for some parameters, and losses that are the sums they claim to be.

All models of a comparison have the same weights, far from their initial values, and draw the same noise.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from contracts import loss_of, metrics_of
from learning import slopes
from traces import a_trace
from worlds import World, digits

from models import recipes
from models.autoencoder import Autoencoder
from models.kernels import RBF
from models.recipes.records import Family
from models.terms import (
    MMD,
    CorrelationBetweenGroups,
    CorrelationWithinGroups,
    DiagonalCovariance,
    HSICBetweenGroups,
    OffDiagonalCovariance,
    TotalCorrelation,
)
from models.trace import Trace

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LATENT = 6
CRITIC = {"critic_units": 16, "critic_layers": 2}


@functools.cache
def plain() -> World:
    """Digits without a sensitive attribute: 100 of them."""
    world = digits()
    spec = replace(world.spec, sensitive=None, groups=())
    return World(spec, {"x": world.batch["x"][:100]})


def perturbed(recipe: str, **parameters: object) -> Autoencoder:
    """A model of the digits whose weights are noisy, the same noise for every recipe: every part of its loss counts."""
    model = recipes.build(recipe, plain().spec, latent=LATENT, seed=3, **parameters)
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        noise = rng.normal(scale=0.1, size=variable.shape)
        variable.assign(variable.numpy() + noise.astype(np.float32))
    return model


@functools.cache
def vae() -> Autoencoder:
    return perturbed("vae")


def loss(recipe: str, **parameters: object) -> float:
    return float(loss_of(perturbed(recipe, **parameters), plain().batch))


def record() -> Trace:
    """The forward pass of the `vae`."""
    return vae().trace(plain().batch)


@functools.cache
def sampled_bound() -> float:
    """The loss of the `vae` with log q(z|x) - log p(z) at the sample in place of the closed form."""
    trace = record()
    rate = trace.posterior.log_prob(trace.z) - trace.prior.log_prob(trace.z)
    return float(tf.reduce_mean(trace.distortion + rate))


def test_the_models_compared_are_far_from_trivial():
    trace = record()
    sampled, exact = sampled_bound(), float(tf.reduce_mean(trace.distortion + trace.rate))
    assert np.all(np.var(trace.posterior.mean(), axis=0) > 0.1)
    assert float(tf.reduce_mean(trace.rate)) > 2.0
    assert abs(sampled - exact) > 0.01  # or a sampled rate could not be told from the closed form


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        ("beta_vae", {"beta": 1.0}),
        ("info_vae", {"alpha": 0.0, "lam": 1.0}),
        ("dip_vae_i", {"off_diagonal": 0.0, "diagonal": 0.0}),
        ("dip_vae_ii", {"off_diagonal": 0.0, "diagonal": 0.0}),
        ("factor_vae", {"gamma": 0.0, **CRITIC}),
        ("hsic_vae", {"weight": 0.0}),
        ("annealed_vae", {"gamma": 1.0, "capacity": 0.0}),
        ("target_rate", {"target": 0.0}),
    ],
)
def test_without_its_penalty_a_model_is_the_vae(recipe, parameters):
    assert loss(recipe, **parameters) == pytest.approx(float(loss_of(vae(), plain().batch)), rel=1e-6)


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        ("beta_tcvae", {"alpha": 1.0, "beta": 1.0, "gamma": 1.0}),
        ("hfvae", {"groups": 3, "information": 1.0, "between": 1.0, "within": 1.0, "dimensions": 1.0}),
        ("hfvae", {"groups": 2, "information": 1.0, "between": 1.0, "within": 1.0, "dimensions": 1.0}),
    ],
)
def test_the_parts_of_the_rate_at_equal_prices_make_the_vae_with_a_sampled_rate(recipe, parameters):
    assert loss(recipe, **parameters) == pytest.approx(sampled_bound(), rel=1e-6)


def test_without_a_price_on_the_rate_only_the_distortion_is_left():
    assert loss("beta_vae", beta=0.0) == pytest.approx(float(tf.reduce_mean(record().distortion)), rel=1e-6)


def test_groups_of_one_dimension_make_the_hfvae_the_beta_tcvae():
    prices = {"information": 2.0, "between": 6.0, "within": 50.0, "dimensions": 0.5}
    assert loss("hfvae", groups=LATENT, **prices) == pytest.approx(
        loss("beta_tcvae", alpha=2.0, beta=6.0, gamma=0.5), rel=1e-6
    )


def test_with_one_group_all_of_the_total_correlation_is_within():
    trace = a_trace(batch=20, latent=4)
    one = [[0, 1, 2, 3]]
    np.testing.assert_allclose(CorrelationBetweenGroups(50, one).estimate(trace), 0.0, atol=1e-12)
    np.testing.assert_allclose(
        CorrelationWithinGroups(50, one).estimate(trace), TotalCorrelation(50).estimate(trace), rtol=1e-12
    )


# Recipe: parameters, and the price of every metric in the loss. The prices differ, so none can take another's place.
PRICES: dict[str, tuple[Mapping[str, object], Mapping[str, float]]] = {
    "vae": ({}, {"nll": 1.0, "kl": 1.0}),
    "beta_vae": ({"beta": 3.0}, {"nll": 1.0, "kl": 3.0}),
    "factor_vae": ({"gamma": 5.0, **CRITIC}, {"nll": 1.0, "kl": 1.0, "total_correlation": 5.0}),
    "beta_tcvae": (
        {"alpha": 2.0, "beta": 6.0, "gamma": 0.5},
        {"nll": 1.0, "mutual_information": 2.0, "total_correlation": 6.0, "dimension_wise_kl": 0.5},
    ),
    "hfvae": (
        {"groups": 3, "information": 2.0, "between": 8.0, "within": 4.0, "dimensions": 0.5},
        {
            "nll": 1.0,
            "mutual_information": 2.0,
            "correlation_between": 8.0,
            "correlation_within": 4.0,
            "dimension_wise_kl": 0.5,
        },
    ),
    "hsic_vae": ({"weight": 300.0}, {"nll": 1.0, "kl": 1.0, "hsic": 300.0}),
    "info_vae": ({"alpha": 0.25, "lam": 100.0}, {"nll": 1.0, "kl": 0.75, "mmd": 99.25}),
    "dip_vae_i": (
        {"off_diagonal": 10.0, "diagonal": 100.0},
        {"nll": 1.0, "kl": 1.0, "off_diagonal_covariance": 10.0, "diagonal_covariance": 100.0},
    ),
    "dip_vae_ii": (
        {"off_diagonal": 10.0, "diagonal": 20.0},
        {"nll": 1.0, "kl": 1.0, "off_diagonal_covariance": 10.0, "diagonal_covariance": 20.0},
    ),
}
TARGETS = {
    "annealed_vae": ({"gamma": 30.0, "capacity": 40.0, "steps": 100}, 30.0),
    "target_rate": ({"target": 40.0}, 1.0),
}


def test_every_regularized_recipe_has_its_prices_checked():
    working = {r.name for r in recipes.catalogue() if r.status == "works" and r.family == Family.REGULARIZED}
    assert working == PRICES.keys() | TARGETS.keys()


# Catches: a term left out; a weight of the other sign, ten times too much or a tenth; weights exchanged; wrong sums of
# alpha and lambda.
@pytest.mark.parametrize("recipe", PRICES)
def test_the_loss_is_the_sum_of_its_terms_at_their_prices(recipe):
    parameters, prices = PRICES[recipe]
    model = perturbed(recipe, **parameters)
    charged = float(loss_of(model, plain().batch))
    metrics = metrics_of(model, plain().batch)
    assert charged == pytest.approx(sum(price * metrics[name] for name, price in prices.items()), rel=1e-5)
    assert metrics["objective"] == pytest.approx(charged, rel=1e-6)
    assert metrics["nll"] == pytest.approx(metrics["distortion"], rel=1e-6)
    for name, price in prices.items():  # every part is large enough to be missed
        assert abs(price * metrics[name]) > 1e-4 * charged, name


# Recipe, its parameters, and what one of its metrics is to be.
MEASURED = [
    ("beta_tcvae", {}, TotalCorrelation(1797)),
    ("hfvae", {"groups": 3}, CorrelationBetweenGroups(1797, [[0, 1], [2, 3], [4, 5]])),
    ("hfvae", {"groups": 3}, CorrelationWithinGroups(1797, [[0, 1], [2, 3], [4, 5]])),
    ("hsic_vae", {"groups": 2}, HSICBetweenGroups(RBF((3**0.5,)), [[0, 1, 2], [3, 4, 5]])),
    ("info_vae", {}, MMD(RBF((6**0.5,)))),
    ("dip_vae_i", {}, OffDiagonalCovariance(aggregate=False)),
    ("dip_vae_i", {}, DiagonalCovariance(aggregate=False)),
    ("dip_vae_ii", {}, OffDiagonalCovariance(aggregate=True)),
    ("dip_vae_ii", {}, DiagonalCovariance(aggregate=True)),
]


# Catches: type I for type II and the other way round; another width of the kernel; another N.
@pytest.mark.parametrize(("recipe", "parameters", "term"), MEASURED)
def test_a_recipe_measures_what_its_objective_says(recipe, parameters, term):
    model = perturbed(recipe, **parameters)
    expected = float(tf.reduce_mean(term.estimate(model.trace(plain().batch))))
    assert metrics_of(model, plain().batch)[term.name] == pytest.approx(expected, rel=1e-5)


# Prices at which no gradient hides behind that of the distortion.
HIGH: dict[str, Mapping[str, object]] = {
    "factor_vae": {"gamma": 500.0, **CRITIC},
    "hsic_vae": {"weight": 1e4},
    "info_vae": {"lam": 1e3},
}


# Catches: no gradient through the batch's posteriors, through their variances, through the codes in a kernel's or a
# critic's estimate.
@pytest.mark.parametrize("recipe", PRICES | TARGETS)
def test_the_gradient_is_that_of_the_whole_loss(recipe):
    model = perturbed(recipe, **HIGH.get(recipe, (PRICES | TARGETS)[recipe][0]))
    length, measured = slopes(model, plain().batch)
    assert measured == pytest.approx(length, rel=0.01)


# Catches: the term left out or the plain rate in its place; the sign; ten times the weight or a tenth; ten times the
# capacity; no ramp.
@pytest.mark.parametrize("recipe", TARGETS)
@pytest.mark.parametrize("step", [0, 25, 1000])
def test_a_rate_target_charges_the_distance_from_the_target_of_the_step(recipe, step):
    parameters, price = TARGETS[recipe]
    model = perturbed(recipe, **parameters)
    model.step.assign(step)
    metrics = metrics_of(model, plain().batch)
    target = 40.0 * min(1.0, step / 100) if recipe == "annealed_vae" else 40.0
    missed = abs(metrics["rate"] - target)
    charged = float(loss_of(model, plain().batch))
    assert missed > 0.1
    assert charged == pytest.approx(metrics["distortion"] + price * missed, rel=1e-5)
    # Models are compared across steps by the price at the end.
    settled = metrics["distortion"] + price * abs(metrics["rate"] - 40.0)
    assert metrics["objective"] == pytest.approx(settled, rel=1e-5)


SCHEDULED = [
    ("beta_vae", {}, "beta", "kl"),
    ("factor_vae", CRITIC, "gamma", "total_correlation"),
    ("beta_tcvae", {}, "beta", "total_correlation"),
    ("hfvae", {"groups": 3}, "between", "correlation_between"),
    ("hsic_vae", {}, "weight", "hsic"),
    ("dip_vae_i", {}, "off_diagonal", "off_diagonal_covariance"),
    ("dip_vae_ii", {}, "diagonal", "diagonal_covariance"),
]


@pytest.mark.parametrize(("recipe", "parameters", "weight", "metric"), SCHEDULED)
def test_a_scheduled_weight_acts_by_the_step(recipe, parameters, weight, metric):
    ramp = {"schedule": "linear", "start": 2.0, "end": 1002.0, "steps": 100}
    model = perturbed(recipe, **parameters, **{weight: ramp})
    charged = []
    for step in (0, 25, 100, 5000):
        model.step.assign(step)
        charged.append(float(loss_of(model, plain().batch)))
    measured = metrics_of(model, plain().batch)[metric]
    for price, present in zip((250.0, 1000.0, 1000.0), charged[1:], strict=True):
        assert present - charged[0] == pytest.approx(price * measured, rel=1e-3)
