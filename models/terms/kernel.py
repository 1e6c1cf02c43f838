"""What kernels see: distance of the code from its prior, and dependence."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from models.estimators.hsic import dhsic, hsic
from models.estimators.kernels import delta
from models.estimators.mmd import mmd, mmd_between_groups
from models.kernels import Kernel
from models.schedules import Weight
from models.terms.base import Term
from models.trace import Trace


class KernelTerm(Term):
    """Base of terms with a kernel on codes.

    Args:
        kernel: what counts as near.
        weight: a number, or a schedule of the training step.
    """

    def __init__(self, kernel: Kernel, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(weight, **kwargs)
        self.kernel = kernel


class MMD(KernelTerm):
    """MMD^2(q(z), p(z)): the distance of the aggregate posterior from the prior, unbiased, so at times below 0.

    The prior is sampled anew in every step, as many codes as the batch has.

    Reference:
        Gretton et al. 2012, A Kernel Two-Sample Test, Lemma 6; Zhao et al. 2017, InfoVAE, arXiv:1706.02262,
        Section 3.2.
    """

    label = "mmd"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the estimate, []."""
        ours = trace.z
        drawn = trace.prior.sample(tf.shape(ours)[0], seed=trace.context.seed)
        return mmd(self.kernel(ours, ours), self.kernel(drawn, drawn), self.kernel(ours, drawn))


class MMDBetweenGroups(KernelTerm):
    """sum_k MMD^2(q(z|s=k), q(z|s!=k)): how well a sensitive attribute can be read off the code, biased.

    For an attribute of two values that is once MMD^2(q(z|s=0), q(z|s=1)). Examples whose attribute is
    missing belong to no group, and a group that a batch lacks adds nothing.

    Args:
        kernel: what counts as near.
        groups: number of the attribute's values.
        weight: a number, or a schedule of the training step.

    Reference:
        Louizos et al. 2016, The Variational Fair Autoencoder, arXiv:1511.00830, Eq. 8-9.
    """

    label = "mmd"
    needs = ("sensitive",)

    def __init__(self, kernel: Kernel, groups: int, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(kernel, weight, **kwargs)
        self.groups = groups

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the estimate, []."""
        gram = self.kernel(trace.z, trace.z)
        members = tf.one_hot(trace.context.role("sensitive"), self.groups, dtype=gram.dtype)  # [batch, groups]
        known = tf.reduce_sum(members, axis=-1)
        pairs = 1 if self.groups == 2 else self.groups
        return tf.add_n([mmd_between_groups(gram, members[:, k], known - members[:, k]) for k in range(pairs)])


class HSICOfSensitive(KernelTerm):
    """HSIC(z, s): dependence of the code on a sensitive attribute, biased by about 1 / batch.

    Examples whose attribute is missing count as a value of their own.

    Reference:
        Lopez et al. 2018, Information Constraints on Auto-Encoding Variational Bayes, arXiv:1805.08672,
        Section 3.
    """

    label = "hsic"
    needs = ("sensitive",)

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the estimate, []."""
        gram = self.kernel(trace.z, trace.z)
        sensitive = trace.context.role("sensitive")
        return hsic(gram, tf.cast(delta(sensitive, sensitive), gram.dtype))


class HSICBetweenGroups(KernelTerm):
    """dHSIC(z^1, ..., z^G): dependence between groups of dimensions, biased by about 1 / batch.

    Args:
        kernel: what counts as near.
        groups: indices of the dimensions of each group.
        weight: a number, or a schedule of the training step.

    Reference:
        Lopez et al. 2018, Information Constraints on Auto-Encoding Variational Bayes, arXiv:1805.08672,
        Eq. 5 and 8.
    """

    label = "hsic"

    def __init__(
        self,
        kernel: Kernel,
        groups: Sequence[Sequence[int]],
        weight: Weight | float | Mapping[str, Any] = 1.0,
        **kwargs: Any,
    ):
        super().__init__(kernel, weight, **kwargs)
        self.groups = [list(group) for group in groups]

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the estimate, []."""
        parts = [tf.gather(trace.z, group, axis=1) for group in self.groups]
        return dhsic([self.kernel(part, part) for part in parts])
