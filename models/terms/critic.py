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

LEAST = 1e-12  # added to the share of a code in the critic's loss, lest it be zero where the critic is certain


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
        if not trace.context.training:
            return self.critic(trace.z)[:, 0]
        codes = tf.stop_gradient(trace.z)
        log_ratio, slope = self._play(codes, permute_dimensions(codes, trace.context.seed))
        return log_ratio + tf.reduce_sum((trace.z - codes) * slope, axis=-1)

    def _play(self, codes: tf.Tensor, permuted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Lets the critic learn; one pass through it and back serves both players.

        Per code, the critic's loss is a function of the logit alone, so that its gradient for the code is the
        logit's times a number that is known.

        Returns:
            The logit at every code, [batch], and its gradient for the code, [batch, latent], by the critic as it
            was before it learned.
        """
        logits = []

        def loss() -> tf.Tensor:
            of_codes, of_permuted = tf.split(self.critic(tf.concat([codes, permuted], axis=0))[:, 0], 2)
            logits.append(of_codes)
            return critic_loss(of_codes, of_permuted) - LEAST * tf.reduce_mean(of_codes)

        gradient = self.critic.learn(loss, felt_by=codes)
        share = -(0.5 * tf.sigmoid(-logits[0]) + LEAST) / tf.cast(tf.shape(codes)[0], codes.dtype)
        return tf.stop_gradient(logits[0]), tf.stop_gradient(gradient / share[:, None])


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
