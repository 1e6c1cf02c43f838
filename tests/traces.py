"""Traces of known distributions, for terms to read."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from models.trace import Context, Trace

RNG = np.random.default_rng(6)


def normal(mean, scale):
    """A factorized normal distribution of vectors."""
    return tfd.Independent(tfd.Normal(tf.constant(mean), tf.constant(scale)), 1)


def trace_of(mean, scale, z=None, *, step: int = 0, x=None, likelihood: Any = None, **beside: Any) -> Trace:
    """A trace of the posteriors N(mean, diag(scale^2)), arrays [batch, latent], under the prior N(0, I)."""
    mean, scale = np.asarray(mean), np.broadcast_to(scale, np.shape(mean)).astype(np.asarray(mean).dtype)
    posterior = normal(mean, scale)
    x = tf.zeros([len(mean), 4], mean.dtype) if x is None else tf.constant(x)
    return Trace(
        x=x,
        posterior=posterior,
        z=posterior.sample(seed=(0, 1)) if z is None else tf.constant(z),
        prior=normal(np.zeros_like(mean[0]), np.ones_like(mean[0])),
        likelihood=normal(np.zeros_like(x), np.ones(4, mean.dtype)) if likelihood is None else likelihood,
        context=Context(target=x, step=tf.constant(step, tf.int64), seed=tf.constant([0, 1]), **beside),
    )


def a_trace(batch: int = 6, latent: int = 3, step: int = 0, dtype: str = "float64", **beside: Any) -> Trace:
    """A trace of Gaussians with arbitrary parameters; every role is played."""
    mean = RNG.normal(size=(batch, latent)).astype(dtype)
    scale = RNG.uniform(0.2, 2.0, (batch, latent)).astype(dtype)
    x, center = RNG.normal(size=(2, batch, 4)).astype(dtype)
    roles = {
        "label": RNG.integers(0, 3, batch),
        "sensitive": np.arange(batch) % 2,
        "factors": RNG.integers(0, 3, (batch, 2)),
        "group": np.arange(batch) // 2,
        "varying": np.arange(batch) // 2 % 3,
    }
    roles = {key: tf.constant(values, tf.int64) for key, values in roles.items()} | beside
    likelihood = normal(center, np.full((batch, 4), 0.7, dtype))
    return trace_of(mean, scale, step=step, x=x, likelihood=likelihood, **roles)
