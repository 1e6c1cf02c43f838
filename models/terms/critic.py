"""What an opponent finds in the code."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from typing_extensions import override

from models.critics import Critic
from models.estimators.ratio import critic_loss, permute_dimensions
from models.part import ensure_built
from models.schedules import Weight
from models.terms.base import Term
from models.trace import Trace


class CriticTerm(Term):
    """Base of terms with one opponent.

    Args:
        critic: the opponent.
        weight: a number, or a schedule of the training step.
    """

    def __init__(self, critic: Critic, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(weight, **kwargs)
        self.critic = critic

    @override
    def build(self, input_shape):
        ensure_built(self.critic, input_shape)

    @property
    def critics(self) -> tuple[Critic, ...]:
        """The one opponent."""
        return (self.critic,)


class CriticTotalCorrelation(CriticTerm):
    """TC(q(z)) = E[log q(z) - log prod_l q(z_l)], the log-ratio by a critic, nats.

    The critic tells codes of the batch from codes whose dimensions have been permuted one by one over the
    batch. The model is charged by the critic as it is, which then takes its own step. A finite critic
    underestimates, the more the better the encoder has learned to fool it.

    Note:
        The paper permutes a second batch; here it is the same one, as in its public implementations.

    Reference:
        Kim and Mnih 2018, Disentangling by Factorising, arXiv:1802.05983, Eq. 2-3 and Algorithm 1.
    """

    label = "total_correlation"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the critic's log-ratio at the batch's codes, [batch]; lets it learn in training."""
        log_ratio = self.critic(trace.z)[:, 0]
        if trace.context.training:
            codes = tf.stop_gradient(trace.z)
            permuted = permute_dimensions(codes, trace.context.seed)
            self.critic.learn(lambda: critic_loss(self.critic(codes)[:, 0], self.critic(permuted)[:, 0]))
        return log_ratio


class Leakage(CriticTerm):
    """-log P(s' | z) for another value s' than the true one: the encoder deceives a critic that reads s off z.

    The critic learns first, by cross-entropy, from codes without their history; then the model is charged
    with the critic as it has become. With two values s' is the other one, with more a random other one.
    Examples whose attribute is missing count neither way.

    Args:
        critic: a network with one logit per value of the attribute.
        values: number of the attribute's values.
        weight: a number, or a schedule of the training step.

    Reference:
        Lample et al. 2017, Fader Networks, arXiv:1706.00409, Eq. 2-3.
    """

    label = "leakage"
    needs = ("sensitive",)

    def __init__(self, critic: Critic, values: int, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(critic, weight, **kwargs)
        self.values = values

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the cross-entropy of the critic for the false value, nats, [batch]."""
        sensitive, training = trace.context.role("sensitive"), trace.context.training
        if training:
            codes = tf.stop_gradient(trace.z)
            self.critic.learn(lambda: tf.reduce_mean(_cross_entropy(self.critic(codes, training=True), sensitive)))
        shift = tf.random.stateless_uniform(
            tf.shape(sensitive), trace.context.seed, 1, max(self.values, 2), sensitive.dtype
        )
        false = tf.where(sensitive < 0, sensitive, tf.math.floormod(sensitive + shift, self.values))
        return _cross_entropy(self.critic(trace.z), false)


def _cross_entropy(logits: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """-log softmax(logits)[value] per example, 0 where the value is -1: [batch]."""
    hot = tf.one_hot(values, logits.shape[-1], dtype=logits.dtype)
    return -tf.reduce_sum(hot * tf.nn.log_softmax(logits), axis=-1)
