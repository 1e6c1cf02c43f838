"""How far an example lies from what an encoder was trained on: what is fitted once, and the entry points that tell."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from models.estimators import aggregate_covariance
from models.features.dataset import Examples
from models.signatures import Outputs, Signatures
from models.typical import Typical

MOST = 20_000
"""Examples of a split that are looked at: every tenth of a percentile then rests on 20, and the pass takes seconds."""
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


@dataclass(frozen=True, eq=False)
class Codes:
    """What the codes of a data set are like.

    Args:
        mean: of the aggregate posterior, [latent].
        covariance: of the aggregate posterior, positive definite, [latent, latent].
    """

    mean: np.ndarray
    covariance: np.ndarray

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


@dataclass(frozen=True, eq=False, kw_only=True)
class Population:
    """What an example is compared with.

    Args:
        codes: those of the training examples.
        typical: what is usual among held-out examples.
        fitted: the examples behind `codes`.
        compared: the examples behind `typical`.
    """

    codes: Codes
    typical: Typical
    fitted: Source
    compared: Source

    def record(self) -> dict[str, Any]:
        """Returns what it was fitted on, as JSON: `codes`, and `rates`, which stands for every percentile."""
        return {"rates": asdict(self.compared), "codes": asdict(self.fitted)}


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
    """The entry points that tell how unlike the training examples an input is.

    None of the numbers is a guarantee: inputs of another kind may look ordinary by all of them.

    Args:
        signatures: the other entry points of the encoder.
        population: what an input is compared with.

    Reference:
        Nalisnick et al. 2019, Do Deep Generative Models Know What They Don't Know?, arXiv:1810.09136, for how scores
        like these are fooled.
    """

    def __init__(self, signatures: Signatures, population: Population):
        self._signatures = signatures
        self._population = population

    def outlying(self, raw: Mapping[str, tf.Tensor]) -> Outputs:
        """Returns how unlike the training examples raw tensors are, by what the model makes of them.

        Args:
            raw: tensors by feature key, as `embed` takes them.

        Returns:
            `rate`: that of `embed`, nats, [batch];
            `mahalanobis2`: squared Mahalanobis distance of the posterior mean from the aggregate posterior, [batch];
            `distortion`: that of `score`, nats, [batch], where the model explains x by the code alone;
            `rate_percentile`, `mahalanobis2_percentile`, `distortion_percentile`: where they stand among held-out
            examples', 0 to 100, [batch];
            `outlying`: the share of held-out examples that are less unusual by all of them, 0 to 1, [batch].
        """
        return self._compared(self._signatures.of_tensors(raw))

    def outlying_bytes(self, image_bytes: tf.Tensor) -> Outputs:
        """Returns what `outlying` does, of encoded image files [batch]."""
        return self._compared(self._signatures.of_files(image_bytes))

    def _compared(self, x: tf.Tensor) -> Outputs:
        values = statistics(self._signatures.surprise(x), self._population.codes)
        percentiles = self._population.typical.percentiles(values)
        named = {f"{name}_percentile": percentile for name, percentile in percentiles.items()}
        return {**values, **named, "outlying": self._population.typical.outlying(values)}


def statistics(surprise: Mapping[str, tf.Tensor], codes: Codes) -> Outputs:
    """Returns the numbers of an example that are compared with a population's: rate, distance and distortion.

    Args:
        surprise: what `Signatures.surprise` returns.
        codes: those of the training examples.

    Returns:
        [batch] each, by name.
    """
    values = {"rate": surprise["rate"], "mahalanobis2": codes.mahalanobis2(surprise["embedding"])}
    return values | {name: surprise[name] for name in ("distortion",) if name in surprise}


def fit(signatures: Signatures, train: Examples, held_out: Examples, *, most: int = MOST) -> Population:
    """Returns where the training examples' codes lie, and what is usual among examples the model has not seen.

    Reads each split in batches, and keeps three numbers of each held-out example. Of a split with more than `most`
    examples, about so many are looked at: those whose records have the smallest hash, the same ones in every run.
    Examples of which some number is not finite are left out.

    Args:
        signatures: the encoder's entry points.
        train: the training split, for the aggregate posterior.
        held_out: the evaluation split, for the percentiles; the training split is taken where it is empty.
        most: about as many examples of a split are looked at.

    Raises:
        ValueError: if no training example has a finite code, rate and distortion.
    """
    moments = None
    for batch in _finite(signatures.surprise, signatures, train, most):
        moments = moments or Moments(batch["embedding"].shape[1])
        moments.add(batch["embedding"], batch["stddev"])
    if moments is None:
        raise ValueError("`train` must hold an example whose code, rate and distortion are finite.")
    codes = Codes(moments.mean, moments.regularized())

    def compared(x: tf.Tensor) -> Outputs:
        return statistics(signatures.surprise(x), codes)

    unseen = list(_finite(compared, signatures, held_out, most))
    seen = unseen or list(_finite(compared, signatures, train, most))
    values = {name: np.concatenate([batch[name] for batch in seen]) for name in seen[0]}
    return Population(
        codes=codes,
        typical=Typical.of(values),
        fitted=Source("train", moments.count),
        compared=Source("eval" if unseen else "train", len(values["rate"])),
    )


def _finite(
    function: Callable[[tf.Tensor], Outputs], signatures: Signatures, examples: Examples, most: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yields what a function makes of inputs, less the rows that are not finite, in batches that are not empty."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    @tf.autograph.experimental.do_not_convert
    def run(records: tf.Tensor) -> Outputs:
        return function(signatures.inputs(records))

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
