"""Divergences between distributions, per example."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution


def kl(posterior: Distribution, prior: Distribution, z: tf.Tensor) -> tf.Tensor:
    """KL(q(z|x) || p(z)) = E_q[log q(z|x) - log p(z)], in closed form where TFP knows one for the pair.

    Otherwise the unbiased estimate log q(z|x) - log p(z) at the given sample, which may be negative for
    a single example.

    Args:
        posterior: q(z|x), batch shape [batch].
        prior: p(z), batch shape [] or [batch].
        z: one sample of the posterior, [batch, latent].

    Returns:
        Nats, [batch].
    """
    try:
        return tfd.kl_divergence(posterior, prior)
    except NotImplementedError:
        return posterior.log_prob(z) - prior.log_prob(z)
