"""How far an example lies from what an encoder was trained on: what is fitted once, and the entry point that tells."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from models.estimators import aggregate_covariance
from models.features.dataset import Examples
from models.signatures import Outputs, Signatures

MOST = 20_000
"""Examples of a split that are looked at: every percentile then rests on 200, and the pass takes seconds."""
BATCH = 256
BUCKETS = 2**31
FLOOR = 1e-6
"""Smallest variance of a dimension, as a share of the largest one's: a dimension that never moves has none."""


@dataclass(frozen=True)
class Source:
    """Where numbers are from.

    Args:
        split: name of the split, `train` or `eval`.
        examples: how many of its examples were looked at.
    """

    split: str
    examples: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Population:
    """What the codes of a data set are like.

    Args:
        quantiles: of the rates, at 0, 1, ..., 100 %: nats, [101].
        mean: of the aggregate posterior, [latent].
        covariance: of the aggregate posterior, positive definite, [latent, latent].
        rates: the examples behind `quantiles`.
        codes: the examples behind `mean` and `covariance`.
    """

    quantiles: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    rates: Source
    codes: Source

    def record(self) -> dict[str, Any]:
        """Returns what it was fitted on, as JSON."""
        return {"rates": asdict(self.rates), "codes": asdict(self.codes)}

    def percentile(self, rate: tf.Tensor) -> tf.Tensor:
        """Returns where rates stand among the population's: 0 to 100, linear between its quantiles.

            percentile(r) = sum_i clip((r - q_i) / (q_{i+1} - q_i), 0, 1),  i = 0, ..., 99

        Where quantiles coincide, a rate at them gets the middle of their percentiles.

        Args:
            rate: nats, [batch].

        Returns:
            [batch].
        """
        quantiles = tf.constant(self.quantiles, tf.float32)
        lower, width = quantiles[:-1], quantiles[1:] - quantiles[:-1]
        above = rate[:, tf.newaxis] - lower  # [batch, 100]
        wide = width > 0.0
        parts = tf.where(wide, above / tf.where(wide, width, 1.0), 0.5 + 0.5 * tf.sign(above))
        return tf.reduce_sum(tf.clip_by_value(parts, 0.0, 1.0), axis=1)

    def mahalanobis2(self, code: tf.Tensor) -> tf.Tensor:
        """Returns the squared Mahalanobis distance (z - mean)' covariance^-1 (z - mean) of codes.

        Args:
            code: posterior means z, [batch, latent].

        Returns:
            [batch].

        Reference:
            Mahalanobis 1936, On the generalized distance in statistics; Lee et al. 2018, A Simple Unified Framework
            for Detecting Out-of-Distribution Samples, arXiv:1807.03888, Eq. 2, with one class.
        """
        whitening = np.linalg.inv(np.linalg.cholesky(self.covariance))
        deviation = code - tf.constant(self.mean, tf.float32)
        return tf.reduce_sum(tf.matmul(deviation, tf.constant(whitening.T, tf.float32)) ** 2, axis=1)

    def below(self, distance: tf.Tensor) -> tf.Tensor:
        """Returns the probability that a Gaussian code lies nearer, the chi-squared distribution function.

            P(chi^2_latent <= d) = igamma(latent / 2, d / 2)

        Args:
            distance: squared Mahalanobis distances, [batch].

        Returns:
            0 to 1, [batch].
        """
        freedom = tf.fill(tf.shape(distance), tf.constant(0.5 * len(self.mean)))
        return tf.math.igamma(freedom, 0.5 * distance)


class Moments:
    """Mean and covariance of the aggregate posterior q(z) = E_x q(z|x), batch by batch and in double precision.

        Cov_q(z)[z] = E_b[Cov_b[z]] + Cov_b[E_b[z]],  b the batches

    Args:
        latent: width of a code.
    """

    def __init__(self, latent: int):
        self.count = 0
        self.mean = np.zeros(latent)
        self.covariance = np.zeros((latent, latent))

    def add(self, mean: np.ndarray, stddev: np.ndarray) -> None:
        """Takes in the posteriors of a batch.

        Args:
            mean: of q(z|x), [batch, latent].
            stddev: of q(z|x), [batch, latent].
        """
        normal = tfd.Normal(mean.astype(np.float64), stddev.astype(np.float64))  # any posterior's first two moments
        own = aggregate_covariance(tfd.Independent(normal, 1)).numpy()
        self.count += len(mean)
        share = len(mean) / self.count
        step = mean.mean(axis=0, dtype=np.float64) - self.mean
        self.covariance += share * (own - self.covariance) + share * (1 - share) * np.outer(step, step)
        self.mean += share * step

    def regularized(self) -> np.ndarray:
        """Returns the covariance as if `latent` more examples with independent dimensions had been seen.

            diagonal     max(C_ll, 1e-6 max_k C_kk); 1 where no dimension has variance
            elsewhere    C_lk n / (n + latent),  n examples

        So it is positive definite whatever the codes are, and dimensions keep their variances.

        Returns:
            [latent, latent].
        """
        variance = np.diag(self.covariance)
        floored = np.maximum(variance, FLOOR * variance.max()) if variance.max() > 0 else np.ones_like(variance)
        covariance = self.covariance * self.count / (self.count + len(variance))
        np.fill_diagonal(covariance, floored)
        return covariance


class Outlying:
    """The entry point that tells how unlike the training examples an input is.

    Args:
        signatures: the other entry points of the encoder.
        population: what its codes are compared with.
    """

    def __init__(self, signatures: Signatures, population: Population):
        self._signatures = signatures
        self._population = population

    def outlying(self, raw: Mapping[str, tf.Tensor]) -> Outputs:
        """Returns how unlike the training examples raw tensors are, by what `embed` makes of them.

        None of the numbers is a guarantee: inputs of another kind may get an ordinary rate and code, or less than that.

        Args:
            raw: tensors by feature key, as `embed` takes them.

        Returns:
            `rate`: that of `embed`, nats, [batch];
            `rate_percentile`: where it stands among held-out examples', 0 to 100, [batch];
            `mahalanobis2`: squared Mahalanobis distance of the posterior mean from the aggregate posterior, [batch];
            `outlying`: the probability that a code of a Gaussian with the same mean and covariance lies nearer,
            0 to 1, [batch].

        Reference:
            Lee et al. 2018, arXiv:1807.03888; Nalisnick et al. 2019, Do Deep Generative Models Know What They Don't
            Know?, arXiv:1810.09136, for why scores like these can be fooled.
        """
        codes = self._signatures.embed(raw)
        distance = self._population.mahalanobis2(codes["embedding"])
        return {
            "rate": codes["rate"],
            "rate_percentile": self._population.percentile(codes["rate"]),
            "mahalanobis2": distance,
            "outlying": self._population.below(distance),
        }


def fit(signatures: Signatures, train: Examples, held_out: Examples, *, most: int = MOST) -> Population:
    """Returns what the encoder makes of the training examples, and the rates of examples it has not seen.

    Reads each split in batches. Of a split with more than `most` examples, about so many are looked at: those whose
    records have the smallest hash, the same ones in every run. Examples whose code or rate is not finite are left out.

    Args:
        signatures: the encoder's entry points.
        train: the training split, for the aggregate posterior.
        held_out: the evaluation split, for the rates; the training split's are taken where it is empty.
        most: about as many examples of a split are looked at.

    Raises:
        ValueError: if no example has a finite code and rate.
    """
    run = tf.function(
        tf.autograph.experimental.do_not_convert(signatures.serving_default),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    moments, seen = None, []
    for batch in _codes(run, train, most):
        moments = moments or Moments(batch["embedding"].shape[1])
        moments.add(batch["embedding"], batch["stddev"])
        seen.append(batch["rate"])
    unseen = [batch["rate"] for batch in _codes(run, held_out, most)]
    if moments is None:
        raise ValueError("`train` must hold an example whose code and rate are finite.")
    split, rates = ("eval", np.concatenate(unseen)) if unseen else ("train", np.concatenate(seen))
    return Population(
        quantiles=np.percentile(rates.astype(np.float64), np.arange(101)),
        mean=moments.mean,
        covariance=moments.regularized(),
        rates=Source(split, len(rates)),
        codes=Source("train", moments.count),
    )


def _codes(run: Callable[[tf.Tensor], Outputs], examples: Examples, most: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields embedding, stddev and rate, less the rows that are not finite, in batches that are not empty."""
    for records in _sample(examples, most).batch(BATCH):
        answers = {name: value.numpy() for name, value in run(records).items()}
        finite = np.all([np.isfinite(values).reshape(len(values), -1).all(1) for values in answers.values()], axis=0)
        if finite.any():
            yield {name: values[finite] for name, values in answers.items()}


def _sample(examples: Examples, most: int) -> tf.data.Dataset:
    count = examples.count()
    if count <= most:
        return examples.records()
    last = most * BUCKETS // count

    @tf.autograph.experimental.do_not_convert
    def chosen(record: tf.Tensor) -> tf.Tensor:
        return tf.strings.to_hash_bucket_fast(record, BUCKETS) < last

    return examples.records().filter(chosen)
