"""What the rate is made of, and how far the aggregate posterior is from the prior."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from components.evaluator.families.view import NOT_NORMAL, View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics.correlation import correlation
from components.metrics.intervals import mean_estimate
from components.metrics.undefined import UndefinedError
from models import estimators

MOST = 2_000
"""Examples of the mixture: every code is held against every posterior."""
ROWS = 250
PARTS = {
    "mutual_information": "at most log of the {count:,} examples of the sample, {most:.2f}",
    "total_correlation": "0 where the dimensions of the aggregate posterior are independent",
    "dimension_wise_kl": "0 where each dimension of the aggregate posterior is a standard normal",
}


def density(view: View) -> Iterator[Finding | Omission]:
    """Yields the decomposition of the rate and the mismatch of the encoder, and correlations within any code.

        rate = mutual_information + total_correlation + dimension_wise_kl,  mismatch = the last two

    They need a posterior that is a diagonal normal and a standard normal prior.
    """
    yield from _correlation(view)
    if not view.trained:
        return
    if view.posterior is None:
        yield from (Omission(f"decomposition/{name}", NOT_NORMAL) for name in (*PARTS, "mismatch"))
        return
    yield from _decomposition(view, *(values[:MOST] for values in view.posterior))


def _correlation(view: View) -> Iterator[Finding | Omission]:
    """Yields correlations between the dimensions of a code; raw features have too many dimensions for that."""
    if view.representation == "raw":
        return
    try:
        found = correlation(view.codes.test)
    except UndefinedError as error:
        if view.trained:
            yield Omission("correlation/total_correlation", str(error))
        return
    count = f"of {found.active} active dimensions"
    note = f"of a Gaussian with their covariance; {count}"
    yield Finding(view.metric("correlation/total_correlation", found.total_correlation, "nats", note=note))
    yield Finding(view.metric("correlation/wasserstein", found.wasserstein_normalized, "score", note=note))
    if found.mutual_information is not None:
        note = f"mean over pairs, 20 bins; {count}"
        yield Finding(view.metric("correlation/mutual_information", found.mutual_information, "nats", note=note))


def _decomposition(view: View, mean: np.ndarray, stddev: np.ndarray) -> Iterator[Finding]:
    """Yields the parts at one code per example."""
    z = mean + stddev * np.random.default_rng(view.seed).normal(size=mean.shape)
    count = len(z)
    pieces = [_pieces(mean, stddev, z, block) for block in np.array_split(np.arange(count), -(-count // ROWS))]
    values = {name: np.concatenate([piece[name] for piece in pieces]) for name in PARTS}
    values["mismatch"] = values["total_correlation"] + values["dimension_wise_kl"]
    notes = PARTS | {"mismatch": "KL(q(z) || p(z)); 0 where codes fall as samples of the prior do"}
    for name, each in values.items():
        note = notes[name].format(count=count, most=np.log(count)) + f"; mixture of {count:,} examples"
        yield Finding(
            view.estimate(f"decomposition/{name}", mean_estimate(each, seed=view.seed), "nats", count=count, note=note),
            rows=np.arange(count),
            outcomes=each,
        )


def _pieces(mean: np.ndarray, stddev: np.ndarray, z: np.ndarray, block: np.ndarray) -> dict[str, np.ndarray]:
    posterior = tfd.Independent(tfd.Normal(tf.constant(mean), tf.constant(stddev)), 1)
    own = tfd.Independent(tfd.Normal(tf.constant(mean[block]), tf.constant(stddev[block])), 1)
    prior = tfd.Independent(tfd.Normal(tf.zeros(mean.shape[1:], tf.float64), tf.constant(1.0, tf.float64)), 1)
    codes = tf.constant(z[block])
    pairs = estimators.pairwise_log_density(posterior, codes)  # [rows, examples, latent]
    weight = tf.constant(-np.log(len(mean)), tf.float64)
    parts = estimators.decompose(
        own.log_prob(codes),
        estimators.log_aggregate(pairs, weight),
        estimators.log_marginals(pairs, weight),
        prior.log_prob(codes),
    )
    return {name: getattr(parts, name).numpy() for name in PARTS}
