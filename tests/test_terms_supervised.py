"""Terms that read a label or a sensitive attribute: their values by NumPy, and batches that lack some or all of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from worlds import table, vectors

from models import recipes
from models.critics import Critic
from models.factors import LabelLikelihood
from models.kernels import RBF
from models.networks import dense
from models.terms import HSICOfSensitive, LabelNegativeLogLikelihood, Leakage, MMDBetweenGroups
from models.trace import Context, Trace

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

COUNT, LATENT, WIDTH = 10, 3, 1.5
CODE = np.random.default_rng(4).normal(size=(COUNT, LATENT))


def a_trace(z=CODE, *, training=False, **roles) -> Trace:
    z = tf.convert_to_tensor(z)
    roles = {key: tf.constant(values, tf.int64) for key, values in roles.items()}
    context = Context(target=z, step=tf.constant(0), seed=tf.constant([0, 1]), training=training, **roles)
    return Trace(x=z, posterior=None, z=z, prior=None, likelihood=None, context=context)


def gram(z=CODE):
    squared = np.sum((z[:, None] - z[None]) ** 2, axis=-1)
    return np.exp(-squared / (2 * WIDTH**2))


def mmd_between(first, second):
    """MMD^2 of the codes of two sets of rows, pairs of a row with itself included."""
    means = [gram()[np.ix_(a, b)].mean() for a, b in ((first, first), (second, second), (first, second))]
    return means[0] + means[1] - 2 * means[2]


def rows(sensitive, *values):
    return np.flatnonzero(np.isin(sensitive, values))


def value_and_gradient(term, **roles):
    """The term at the codes in float64, and its gradient for them."""
    z = tf.constant(CODE)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = tf.reduce_sum(term.estimate(a_trace(z, **roles)))
    return float(value), tape.gradient(value, z).numpy()


# Catches: unbiased for biased; the cross term once; every pair twice; missing rows as a group of their own.
def test_the_mmd_between_two_groups_is_the_one_of_their_codes():
    sensitive = np.array([0, 1, 1, -1, 0, 1, 0, -1, 1, 1])
    value, gradient = value_and_gradient(MMDBetweenGroups(RBF((WIDTH,)), 2), sensitive=sensitive)
    assert value == pytest.approx(mmd_between(rows(sensitive, 0), rows(sensitive, 1)), rel=1e-10)
    np.testing.assert_array_equal(gradient[sensitive < 0], 0)
    assert np.all(gradient[sensitive >= 0] != 0)


# Catches: the sum of the groups' mean embeddings for their difference.
@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0, 50.0])
def test_the_mmd_between_two_groups_is_zero_where_they_agree_and_grows_with_their_distance(shift):
    sensitive = np.arange(COUNT) % 2
    z = np.ones((COUNT, LATENT)) + shift * np.outer(sensitive, [1.0, 0.0, 0.0])  # a point for each group
    value = MMDBetweenGroups(RBF((WIDTH,)), 2).estimate(a_trace(z, sensitive=sensitive))
    assert float(value) == pytest.approx(2 - 2 * np.exp(-(shift**2) / (2 * WIDTH**2)), abs=1e-12)


def test_the_mmd_between_more_groups_sets_each_against_the_others():
    sensitive = np.array([0, 1, 2, -1, 0, 1, 0, 2, 1, 1])
    value, _ = value_and_gradient(MMDBetweenGroups(RBF((WIDTH,)), 3), sensitive=sensitive)
    pairs = [(rows(sensitive, k), rows(sensitive, *{0, 1, 2} - {k})) for k in range(3)]
    assert value == pytest.approx(sum(mmd_between(*pair) for pair in pairs), rel=1e-10)


def test_a_group_that_a_batch_lacks_adds_nothing_to_the_mmd():
    sensitive = np.array([0, 1, 1, -1, 0, 1, 0, -1, 1, 1])
    value, gradient = value_and_gradient(MMDBetweenGroups(RBF((WIDTH,)), 3), sensitive=sensitive)
    assert value == pytest.approx(2 * mmd_between(rows(sensitive, 0), rows(sensitive, 1)), rel=1e-10)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("sensitive", [[1] * COUNT, [-1] * COUNT, [-1] * 9 + [0]])
@pytest.mark.parametrize("groups", [2, 3])
def test_fewer_than_two_groups_have_no_mmd_and_no_gradient(sensitive, groups):
    value, gradient = value_and_gradient(MMDBetweenGroups(RBF((WIDTH,)), groups), sensitive=sensitive)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


# Catches: the delta kernel's sign; missing rows as equal to all.
def test_the_hsic_of_the_attribute_is_the_trace_of_centered_kernels():
    sensitive = np.array([0, 1, 2, -1, 0, 1, 0, -1, 1, 1])
    same = (sensitive[:, None] == sensitive[None]).astype(float)
    center = np.eye(COUNT) - 1 / COUNT
    expected = np.trace(gram() @ center @ same @ center) / COUNT**2
    value, gradient = value_and_gradient(HSICOfSensitive(RBF((WIDTH,))), sensitive=sensitive)
    assert value == pytest.approx(expected, rel=1e-6)
    assert np.all(gradient != 0)


def test_an_attribute_of_one_value_has_no_hsic():
    value, gradient = value_and_gradient(HSICOfSensitive(RBF((WIDTH,))), sensitive=[-1] * COUNT)
    assert value == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_a_label_that_is_missing_counts_nothing_beside_the_decoder():
    term = LabelNegativeLogLikelihood(LabelLikelihood(dense.decoder((4,), ())), weight=2.0)
    term.build((None, LATENT))
    z, label = tf.constant(CODE, tf.float32), np.array([0, 3, -1, 2, 1, -1, 0, 0, 2, 3])
    with tf.GradientTape() as tape:
        tape.watch(z)
        surprise = term.estimate(a_trace(z, label=label))
    (kernel, bias), rows_ = term.classifier.network.get_weights(), np.arange(COUNT)
    logits = CODE @ kernel + bias
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[rows_, label]
    np.testing.assert_allclose(surprise, np.where(label < 0, 0, expected), rtol=1e-4, atol=1e-6)
    assert np.all((tape.gradient(surprise, z).numpy() == 0).all(axis=1) == (label < 0))


def a_leakage(values):
    term = Leakage(Critic(dense.critic(values, [8]), keras.optimizers.Adam(0.1)), values)
    term.build((None, LATENT))
    return term


# Catches: a missing value read as the one before the first; the charge for it.
@pytest.mark.parametrize("values", [1, 2, 3])
def test_an_attribute_that_is_missing_leaks_nothing(values):
    z, sensitive = tf.constant(CODE, tf.float32), np.array([0, -1] * 5)
    with tf.GradientTape() as tape:
        tape.watch(z)
        charged = a_leakage(values).estimate(a_trace(z, sensitive=sensitive, training=True))
    assert np.all((charged.numpy() == 0) == ((sensitive < 0) | (values == 1)))
    assert np.all(tape.gradient(charged, z).numpy()[sensitive < 0] == 0)


def test_a_critic_learns_nothing_from_missing_values():
    term = a_leakage(2)
    before = term.critic.network.get_weights()
    charged = term.estimate(a_trace(CODE.astype(np.float32), sensitive=[-1] * COUNT, training=True))
    np.testing.assert_array_equal(charged, 0)
    for weight, old in zip(term.critic.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


# Whole models.

RECIPES = ["vib", "information_dropout", "vfae", "hsic_vae", "fader", "dc_ign"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("value", [-1, 0], ids=["missing", "the same"])
def test_a_batch_without_labels_and_groups_trains_to_finite_numbers(recipe, value):
    for world in (vectors(), table()):
        model = recipes.build(recipe, world.spec, latent=3, seed=1)
        batch = world.take(16)
        batch |= {role: np.full(16, value, np.int64) for role in ("label", "sensitive")}
        with tf.GradientTape() as tape:
            model(batch, training=True)
            loss = tf.add_n(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        assert np.isfinite(loss)
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)


def test_a_label_that_is_missing_costs_no_distortion():
    model = recipes.build("vib", table().spec, latent=3, seed=1)
    batch = table().take(32)
    distortion = model.trace(batch).distortion.numpy()
    assert np.any(batch["label"] < 0)
    np.testing.assert_array_equal(distortion == 0, batch["label"] < 0)
