"""`vib` on digits: what the label needs fits into a few nats, and the weight says how many."""

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf
from fixtures_fair import digits_test, digits_train
from learning import learned
from worlds import World

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = np.log(10)
"""Entropy of the digits, nats."""


@dataclass(frozen=True)
class Measured:
    """A trained model in numbers: `accuracy` on test digits, `rate` and `distortion` on the training digits, nats."""

    accuracy: float
    rate: float
    distortion: float


def trained(beta: float) -> Measured:
    """The model of a weight, its classifier averaged over twelve codes per digit as probabilities."""
    model = learned("vib", digits_train, latent=8, updates=800, beta=beta)
    held_out, seen = digits_test().batch, digits_train().batch
    mean = tf.reduce_mean(model.decode(_codes(model, digits_test())).probs_parameter(), axis=0)
    surprise = -model.decode(_codes(model, digits_train())).log_prob(seen["label"])
    return Measured(
        accuracy=float(np.mean(np.argmax(mean, axis=1) == held_out["label"])),
        rate=float(tf.reduce_mean(model.rate(seen["x"]))),
        distortion=float(tf.reduce_mean(surprise)),
    )


def _codes(model, world: World) -> tf.Tensor:
    return model.encode(world.batch["x"]).sample(12, seed=(1, 2))


def keeps_the_bound(point: Measured) -> bool:
    """Whether I(z; y) >= H(y) - D and I(x; z) <= R leave room for each other, as they must: I(z; y) <= I(x; z)."""
    return CLASSES - point.distortion <= point.rate + 0.05


# Measured: accuracy .98, .98, .10; rate 31, 4.8, .06 nats; distortion .011, .21, 2.307 nats.
def test_a_bottleneck_of_two_labels_worth_of_nats_is_enough_for_the_label():
    # Catches: the rate left out, its sign, a tenth of its weight or ten times it.
    wide, narrow, closed = (trained(beta) for beta in (1e-3, 0.1, 10.0))
    assert min(wide.accuracy, narrow.accuracy) >= 0.95
    assert narrow.rate <= 6.5  # of log 10 = 2.3 nats that the label has
    assert wide.rate > 3 * narrow.rate
    assert closed.rate < 0.2
    assert closed.accuracy <= 0.2
    assert all(map(keeps_the_bound, (wide, narrow, closed)))


# Measured: 94, 31, 11, 4.8, .1, .06 nats.
@pytest.mark.slow
def test_the_rate_falls_with_its_weight():
    sweep = [trained(beta) for beta in (1e-4, 1e-3, 1e-2, 0.1, 1.0)]
    assert np.all(np.diff([point.rate for point in sweep]) < 0)
    assert np.all(np.diff([point.distortion for point in sweep]) > 0)
    assert min(point.accuracy for point in sweep[:4]) >= 0.94
    assert all(map(keeps_the_bound, sweep))


def test_what_is_explained_is_the_label_and_never_the_image():
    model = learned("vib", digits_train, latent=8, updates=800, beta=0.1)
    batch = {key: tf.constant(value[:50]) for key, value in digits_test().batch.items()}
    distortion = model.trace(batch).distortion
    moved = model.trace(batch | {"label": (batch["label"] + 1) % 10}).distortion
    probabilities = model.trace(batch).likelihood.probs_parameter().numpy()
    np.testing.assert_allclose(distortion, -np.log(probabilities[np.arange(50), batch["label"]]), rtol=1e-3)
    assert np.mean(moved) > np.mean(distortion) + 2
    assert str(model) == "nll + 0.1 * kl"
