"""Models that read a label, an attribute or groups: their losses are the sums they claim to be.

The weights are far from their initial values, so every part of a loss counts.
"""

from collections.abc import Mapping

import numpy as np
import pytest
from contracts import loss_of, metrics_of
from learning import slopes
from worlds import vectors

from models import recipes
from models.autoencoder import Autoencoder
from models.kernels import RBF
from models.recipes.records import Family
from models.terms import HSICOfSensitive, MMDBetweenGroups

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WIDTH, EXAMPLES = 12, 64
RAMP = 10

# Recipe: parameters, and the price of every metric in the loss once the ramp is over. The prices differ.
PRICES: dict[str, tuple[Mapping[str, object], Mapping[str, float]]] = {
    "vib": ({"beta": 0.3}, {"nll": 1.0, "kl": 0.3}),
    "information_dropout": ({"beta": 130.0}, {"nll": 1.0, "kl": 130.0 / EXAMPLES}),
    "vfae": ({"lam": 300.0, "alpha": 2.0}, {"nll": 1.0, "kl": 1.0, "label_nll": 2.0, "mmd": 300.0}),
    "hsic_vae": ({"weight": 3000.0}, {"nll": 1.0, "kl": 1.0, "hsic": 3000.0}),
    "fader": ({"leakage": 0.3, "ramp": RAMP, "critic_units": 16}, {"nll": 1.0, "leakage": 0.3 * WIDTH / 2}),
    "dc_ign": ({"clamp": 0.5}, {"nll": 1.0, "kl": 1.0, "invariance": 0.5}),
}


def a_batch() -> dict[str, np.ndarray]:
    """All vectors, in groups of four of which one factor or the rest varies."""
    number = np.arange(EXAMPLES) // 4
    return vectors().batch | {"group": number, "varying": number % 3}


def perturbed(recipe: str, **parameters: object) -> Autoencoder:
    """A model of the vectors with noisy weights, at the end of its ramp."""
    model = recipes.build(recipe, vectors().spec, latent=4, seed=3, **parameters)
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + rng.normal(scale=0.05, size=variable.shape).astype(np.float32))
    model.step.assign(RAMP)
    return model


def test_every_supervised_recipe_has_its_prices_checked():
    working = {r.name for r in recipes.catalogue() if r.status == "works" and r.family == Family.SUPERVISED}
    assert working | {"hsic_vae"} == PRICES.keys()


# Catches: a term left out; a weight of the other sign, ten times too much or a tenth; the label's term without weight;
# no division by N.
@pytest.mark.parametrize("recipe", PRICES)
def test_the_loss_is_the_sum_of_its_terms_at_their_prices(recipe):
    parameters, prices = PRICES[recipe]
    model = perturbed(recipe, **parameters)
    charged = float(loss_of(model, a_batch()))
    metrics = metrics_of(model, a_batch())
    assert charged == pytest.approx(sum(price * metrics[name] for name, price in prices.items()), rel=1e-5)
    for name, price in prices.items():  # every part is large enough to be missed
        assert abs(price * metrics[name]) > 1e-3 * charged, name


# Catches: another width of the kernel.
@pytest.mark.parametrize(
    ("recipe", "term"), [("vfae", MMDBetweenGroups(RBF((2.0,)), 2)), ("hsic_vae", HSICOfSensitive(RBF((2.0,))))]
)
def test_a_recipe_measures_what_its_objective_says(recipe, term):
    model = perturbed(recipe)
    expected = float(term.estimate(model.trace(a_batch())))
    assert metrics_of(model, a_batch())[term.name] == pytest.approx(expected, rel=1e-5)


# Catches: no gradient through the codes. The centers of the groups are constants to the gradient of `dc_ign`.
@pytest.mark.parametrize("recipe", [recipe for recipe in PRICES if recipe != "dc_ign"])
def test_the_gradient_is_that_of_the_whole_loss(recipe):
    length, measured = slopes(perturbed(recipe, **PRICES[recipe][0]), a_batch())
    assert measured == pytest.approx(length, rel=0.01)


# Catches: a decoder that is not told.
@pytest.mark.parametrize("recipe", ["vfae", "hsic_vae", "fader"])
def test_the_decoder_reads_the_attribute_and_the_encoder_does_not(recipe):
    model = perturbed(recipe, **PRICES[recipe][0])
    batch = a_batch()
    ours, other = (
        model.trace(batch | {"sensitive": values}) for values in (batch["sensitive"], 1 - batch["sensitive"])
    )
    np.testing.assert_array_equal(ours.z, other.z)
    assert np.all(ours.distortion != other.distortion)
