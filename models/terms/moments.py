"""What the covariance of the code is punished for."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.estimators.moments import aggregate_covariance, covariance
from models.schedules import Weight
from models.terms.base import Term
from models.trace import Trace


class CovarianceTerm(Term):
    """Base of terms that read the code's covariance off the batch.

    Args:
        aggregate: which covariance: of q(z), that is of the posterior means plus the mean posterior
            variance (type II); or of the posterior means alone (type I).
        weight: a number, or a schedule of the training step.

    Reference:
        Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts, arXiv:1711.00848, Eq. 6-7.
    """

    def __init__(self, aggregate: bool, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(weight, **kwargs)
        self.aggregate = aggregate

    def covariance(self, trace: Trace) -> tf.Tensor:
        """Returns the covariance, [latent, latent]."""
        return aggregate_covariance(trace.posterior) if self.aggregate else covariance(trace.posterior.mean())


class OffDiagonalCovariance(CovarianceTerm):
    """sum_{i != j} C_ij^2: the dimensions of the code are to be uncorrelated. Each pair counts twice.

    The plug-in estimate does not go below about C_ii C_jj / batch per pair.
    """

    label = "off_diagonal_covariance"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the sum, []."""
        matrix = self.covariance(trace)
        return tf.reduce_sum(tf.square(matrix - tf.linalg.diag(tf.linalg.diag_part(matrix))))


class DiagonalCovariance(CovarianceTerm):
    """sum_i (C_ii - 1)^2: every dimension of the code is to have the prior's variance."""

    label = "diagonal_covariance"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the sum, []."""
        return tf.reduce_sum(tf.square(tf.linalg.diag_part(self.covariance(trace)) - 1.0))
