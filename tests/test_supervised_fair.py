"""`vfae` and `hsic_vae` on data that tell a sensitive attribute: the code no longer does.

The decoder's variance is 1 and that of the noise in the data .01, so x has been divided by .1.
"""

import numpy as np
import pytest
from fixtures_fair import codes, fair, fair_test, linear_reader, network_reader, readable
from learning import learned

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def trained(recipe, **parameters):
    return learned(recipe, fair, latent=6, updates=800, **parameters)


def leaks(model, reader=linear_reader):
    """How well a reader tells the attribute from the code; .5 by chance, about .59 by way of the label."""
    return readable(model, "sensitive", fair(), fair_test(), reader)


def gap(model):
    """How much more often a classifier that reads the code gives one group the label: P(1 | s=1) - P(1 | s=0)."""
    guesses = linear_reader().fit(codes(model, fair()), fair().batch["label"]).predict(codes(model, fair_test()))
    sensitive = fair_test().batch["sensitive"]
    return guesses[sensitive == 1].mean() - guesses[sensitive == 0].mean()


def test_without_the_penalty_the_code_tells_the_attribute():
    assert leaks(trained("vfae", lam=0.0)) >= 0.98


def test_vfae_hides_the_attribute_and_keeps_the_label():
    model = trained("vfae", lam=100.0)
    assert leaks(model) <= 0.70
    assert leaks(model, network_reader) <= 0.80
    assert readable(model, "label", fair(), fair_test()) >= 0.86
    assert gap(model) <= 0.6 * gap(trained("vfae", lam=0.0))


def test_the_classifier_beside_the_decoder_of_vfae_learns_the_label():
    model = trained("vfae", lam=100.0)
    guesses = np.argmax(model.terms[2].classifier(codes(model, fair_test())).probs_parameter(), axis=1)
    assert np.mean(guesses == fair_test().batch["label"]) >= 0.86


def test_hsic_vae_hides_the_attribute_and_keeps_the_label():
    model = trained("hsic_vae", weight=1000.0)
    assert leaks(model) <= 0.70
    assert leaks(model, network_reader) <= 0.80
    assert readable(model, "label", fair(), fair_test()) >= 0.86
