"""What the aggregate posterior q(z) = E_x[q(z|x)] is punished for, estimated from the batch.

    KL(q(z|x) || p(z)) = I(x; z) + TC(q(z)) + sum_l KL(q(z_l) || p(z_l))      (in expectation)

Every part reads log q(z) and its marginals off the batch's own posteriors, see `models.estimators.aggregate`
for the weighting and its bias. The parts of one batch add up to log q(z|x) - log p(z) exactly, whatever the
estimate of log q(z) is worth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from models.estimators.aggregate import Weighting
from models.schedules import Weight
from models.terms.base import Term
from models.trace import Aggregate, Trace


class AggregateTerm(Term):
    """Base of terms that need log q(z).

    Args:
        examples: number of training examples, the N of q(z) = sum_n q(z|x_n) / N.
        weight: a number, or a schedule of the training step.
        weighting: how a batch stands for the data: `uniform_stratified`, `stratified` or `weighted`.
    """

    def __init__(
        self,
        examples: int,
        weight: Weight | float | Mapping[str, Any] = 1.0,
        weighting: Weighting = "uniform_stratified",
        **kwargs: Any,
    ):
        super().__init__(weight, **kwargs)
        self.examples = examples
        self.weighting: Weighting = weighting

    def aggregate(self, trace: Trace) -> Aggregate:
        """Returns q(z) as the batch sees it."""
        return trace.aggregate(self.examples, self.weighting)


class MutualInformation(AggregateTerm):
    """I(x; z) = E[log q(z|x) - log q(z)], nats.

    Biased upward where the batch is much smaller than the data: a code's own posterior is in every batch.

    Reference:
        Hoffman and Johnson 2016, ELBO surgery; Chen et al. 2018, arXiv:1802.04942, Eq. 2, first part.
    """

    label = "mutual_information"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns log q(z|x) - log q(z), [batch]."""
        return self.aggregate(trace).conditional - self.aggregate(trace).joint


class TotalCorrelation(AggregateTerm):
    """TC(q(z)) = KL(q(z) || prod_l q(z_l)), nats: how much the dimensions of the code know of each other.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement, arXiv:1802.04942, Eq. 2, second part.
    """

    label = "total_correlation"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns log q(z) - sum_l log q(z_l), [batch]."""
        return self.aggregate(trace).joint - self.aggregate(trace).marginals


class DimensionWiseKL(AggregateTerm):
    """sum_l KL(q(z_l) || p(z_l)), nats: how far each dimension of the code is from its prior.

    Reference:
        Chen et al. 2018, arXiv:1802.04942, Eq. 2, third part.
    """

    label = "dimension_wise_kl"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns sum_l log q(z_l) - log p(z), [batch]."""
        return self.aggregate(trace).marginals - trace.prior.log_prob(trace.z)


class GroupTerm(AggregateTerm):
    """Base of terms over groups of dimensions.

    Args:
        examples: number of training examples.
        groups: indices of the dimensions of each group; every dimension in one group.
        weight: a number, or a schedule of the training step.
        weighting: see `AggregateTerm`.
    """

    def __init__(
        self,
        examples: int,
        groups: Sequence[Sequence[int]],
        weight: Weight | float | Mapping[str, Any] = 1.0,
        weighting: Weighting = "uniform_stratified",
        **kwargs: Any,
    ):
        super().__init__(examples, weight, weighting, **kwargs)
        self.groups = [list(group) for group in groups]


class CorrelationBetweenGroups(GroupTerm):
    """KL(q(z) || prod_g q(z^g)), nats: how much the groups know of each other.

    Reference:
        Esmaeili et al. 2019, Structured Disentangled Representations, arXiv:1804.02086, Eq. 4, term 2.
    """

    label = "correlation_between"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns log q(z) - sum_g log q(z^g), [batch]."""
        return self.aggregate(trace).joint - self.aggregate(trace).grouped(self.groups)


class CorrelationWithinGroups(GroupTerm):
    """sum_g KL(q(z^g) || prod_{l in g} q(z_l)), nats: how much the dimensions of a group know of each other.

    For a prior that is itself factorized, as every standard one is.

    Reference:
        Esmaeili et al. 2019, Structured Disentangled Representations, arXiv:1804.02086, Eq. 5, term A.
    """

    label = "correlation_within"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns sum_g log q(z^g) - sum_l log q(z_l), [batch]."""
        return self.aggregate(trace).grouped(self.groups) - self.aggregate(trace).marginals
