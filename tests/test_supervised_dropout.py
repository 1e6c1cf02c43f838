"""`information_dropout` on digits beside pixels of noise: multiplicative noise drowns what the label does not need."""

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf
from fixtures_fair import noisy_digits_test, noisy_digits_train
from learning import learned

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@dataclass(frozen=True)
class Measured:
    """A trained model in numbers.

    `accuracy` on test digits; `rate` there, and what the noisy code tells of the pixels of noise (`nuisance`) and of
    the digit (`signal`), nats: 1/2 sum_l log(1 + Var[log f_l] / E[alpha_l^2]), over the one with the other fixed.
    """

    accuracy: float
    rate: float
    nuisance: float
    signal: float


def trained(beta: float) -> Measured:
    """The model of a weight."""
    model = learned("information_dropout", noisy_digits_train, latent=8, updates=600, beta=beta)
    batch = noisy_digits_test().batch
    guesses = model.decode(model.encode(batch["x"]).sample(12, seed=(1, 2))).probs_parameter()
    digits, noises = 200, 30
    x = np.repeat(batch["x"][:digits, None], noises, axis=1)
    x[..., 64:] = np.random.default_rng(0).random((digits, noises, 64))
    units = model.encode(x.reshape(-1, 128)).distribution
    log_f = units.loc.numpy().reshape(digits, noises, -1)
    power = np.mean(units.scale.numpy() ** 2, axis=0)
    return Measured(
        accuracy=float(np.mean(np.argmax(np.mean(guesses, axis=0), axis=1) == batch["label"])),
        rate=float(tf.reduce_mean(model.rate(batch["x"]))),
        nuisance=float(0.5 * np.sum(np.log1p(log_f.var(axis=1).mean(axis=0) / power))),
        signal=float(0.5 * np.sum(np.log1p(log_f.mean(axis=1).var(axis=0) / power))),
    )


# Measured without the rate: accuracy .91, nuisance 43 nats, signal 54; with it: .95, .31 to .43, 4.6.
def test_the_noise_drowns_pixels_that_the_label_does_not_need():
    # Catches: the rate left out, its sign, a tenth of its weight or ten times it; no division by N.
    free, charged = trained(0.0), trained(130.0)
    assert charged.accuracy >= max(free.accuracy - 0.02, 0.9)
    assert free.nuisance > 20
    assert charged.nuisance < 1
    assert charged.signal > 3
    assert 3 < charged.rate < 9 < free.rate


# Measured: 74, 28, 10, 5.3, 2.7 nats, of which the nuisance has 43, 5.7, 1.2, .3, .1.
@pytest.mark.slow
def test_rate_and_nuisance_fall_with_the_weight():
    sweep = [trained(beta) for beta in (0.0, 3.0, 30.0, 130.0, 400.0)]
    assert np.all(np.diff([point.rate for point in sweep]) < 0)
    assert np.all(np.diff([point.nuisance for point in sweep]) < 0)


def test_the_weight_is_divided_by_the_number_of_training_examples():
    model = learned("information_dropout", noisy_digits_train, latent=8, updates=600, beta=130.0)
    assert [term.weight.final for term in model.terms] == [1.0, 130.0 / 1297]
