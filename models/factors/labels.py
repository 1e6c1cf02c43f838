"""Labels as what a code explains."""

from typing import ClassVar

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution

from models.factors.base import Factor


class Labels(tfd.Categorical):
    """Categorical over class indices in which -1, a missing label, has probability 1; its mean is the probabilities."""

    def _log_prob(self, label):
        known = label >= 0
        chosen = super()._log_prob(tf.where(known, label, tf.zeros_like(label)))
        return tf.where(known, chosen, tf.zeros_like(chosen))

    def _mean(self):
        return self.probs_parameter()


class LabelLikelihood(Factor):
    """p(y|z) = softmax(network(z))_y: the decoder of a model whose distortion is that of the label.

    Args:
        network: layer from [batch, latent] to logits [batch, classes].

    Reference:
        Alemi et al. 2017, Deep Variational Information Bottleneck, arXiv:1612.00410, Eq. 14.
    """

    target = "label"
    needs: ClassVar[tuple[str, ...]] = ("label",)

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns p(y|z) with logits `features` [..., classes]."""
        return Labels(logits=features)
