"""What the code says, measured on a sample: its rate by dimension, its active units, its information."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution

from models.collapse import ACTIVE
from models.estimators import kl, log_aggregate, log_marginals, pairwise_log_density

MOST = 1024  # examples of a sample
MOST_BYTES = 32 * 2**20  # of them
MOST_PAIRS = 2**20  # densities in memory at once

Batch = Mapping[str, tf.Tensor]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a sample of N examples says about the code. What posterior or prior leave undefined is None.

        rate = KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || p(z)),  q(z) = sum_n q(z|x_n) / N

    The aggregate posterior q(z) is the sample's own mixture, so I(x; z) is the information of a code about which
    of the N examples it belongs to: never above log N. A value near log N says that every example can be told
    from every other, not how much more the code holds.

    Args:
        examples: size N of the sample.
        latent: width of the code.
        active_units: units whose posterior mean varies over the sample by more than 0.01 (variance).
        rate: mean rate, nats.
        dimensions: mean KL(q(z_l|x) || p(z_l)) of every dimension l, nats, where posterior and prior factorize.
        mutual_information: I(x; z) = E[log q(z|x) - log q(z)], nats, where the posterior has a density.
        mismatch: KL(q(z) || p(z)) = rate - I(x; z), nats; from one code per example, so at times a little below 0.
        total_correlation: E[log q(z) - sum_l log q(z_l)], nats, where the posterior factorizes.

    Reference:
        Burda et al. 2016, arXiv:1509.00519, Section 4 (active units); Hoffman and Johnson 2016, ELBO surgery
        (information and mismatch); Chen et al. 2018, arXiv:1802.04942, Eq. 2 (total correlation).
    """

    examples: int
    latent: int
    active_units: int
    rate: float
    dimensions: list[float] | None = None
    mutual_information: float | None = None
    mismatch: float | None = None
    total_correlation: float | None = None

    def record(self) -> dict[str, Any]:
        """Returns what is defined, as JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}


def sample(batches: tf.data.Dataset) -> Batch:
    """Returns the first examples as one batch: 1,024, or the fewer that 32 MiB hold, or all there are."""
    spec: Any = batches.element_spec
    x = spec["x"]
    size = x.shape[1:].num_elements() * x.dtype.size
    return next(iter(batches.rebatch(max(1, min(MOST, MOST_BYTES // size)))))


class Diagnose:
    """Says what examples reveal of a model's code, with the weights that the model has at the time of a call.

    One code is drawn per example, by the same noise in every call. The first call traces a graph, which takes a
    fraction of a second; the time of the others grows with the square of the number of examples.

    Args:
        model: an autoencoder.
        examples: a batch with all that the model reads, of any size.
    """

    def __init__(self, model: keras.Model, examples: Batch):
        self._model = model
        self._examples = examples
        self._measured = tf.function(tf.autograph.experimental.do_not_convert(self._measure))
        self.count = len(examples["x"])

    def __call__(self) -> Diagnosis:
        """Returns the diagnosis."""
        values = {name: value.numpy() for name, value in self._measured().items()}
        means = values.pop("means")
        noisy = values.pop("stddev") > 0
        rate = float(values.pop("rate"))
        found = {name: value.tolist() for name, value in values.items()} if noisy else {}
        if noisy:
            found["mismatch"] = rate - found["mutual_information"]
        return Diagnosis(
            examples=means.shape[0],
            latent=means.shape[1],
            active_units=int((means.var(axis=0) > ACTIVE).sum()),
            rate=rate,
            **found,
        )

    def _measure(self) -> dict[str, tf.Tensor]:
        model, examples = self._model, self._examples
        context = model.context(examples)
        posterior, prior = model.encode(examples["x"], context), model.prior(context=context)
        z = posterior.sample(seed=(model.seed, 0))
        joint, marginals = _aggregate(posterior, z)
        values = {
            "means": posterior.mean(),
            "stddev": tf.reduce_min(posterior.stddev()),
            "rate": tf.reduce_mean(kl(posterior, prior, z)),
            "mutual_information": tf.reduce_mean(posterior.log_prob(z) - joint),
        }
        if _factorizes(posterior):
            values["total_correlation"] = tf.reduce_mean(joint - tf.reduce_sum(marginals, axis=-1))
        if _factorizes(posterior) and _factorizes(prior):
            values["dimensions"] = tf.reduce_mean(kl(posterior.distribution, prior.distribution, z), axis=0)
        return values


def _aggregate(posterior: Distribution, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns log q(z) at the codes, [N], and log q(z_l), [N, latent]; q is the mean of the N posteriors.

    A few codes at a time: the densities of all pairs at once could fill the memory. Where the dimensions are not
    independent, the code counts as one of them.
    """
    count, latent = (tf.compat.dimension_value(size) for size in z.shape)
    weight = tf.constant(-math.log(count), z.dtype)
    rows = max(1, min(count, MOST_PAIRS // (count * latent)))
    blocks = tf.reshape(tf.range(-(-count // rows) * rows) % count, [-1, rows])  # the last one starts over

    def of_block(block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        codes = tf.gather(z, block)  # [rows, latent]
        if _factorizes(posterior):
            pairs = pairwise_log_density(posterior, codes)  # [rows, N, latent]
        else:
            pairs = posterior.log_prob(codes[:, None])[..., None]
        return log_aggregate(pairs, weight), log_marginals(pairs, weight)

    found = tf.map_fn(of_block, blocks, fn_output_signature=(z.dtype, z.dtype))
    joint, marginals = (tf.reshape(part, [-1, *part.shape[2:]])[:count] for part in found)
    return joint, marginals


def _factorizes(distribution: Distribution) -> bool:
    """Returns whether a distribution of codes consists of independent distributions of the single dimensions."""
    return isinstance(distribution, tfd.Independent) and distribution.distribution.event_shape.rank == 0
