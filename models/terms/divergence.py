"""How much the code says about one example."""

import tensorflow as tf

from models.terms.base import Term
from models.trace import Trace


class KL(Term):
    """KL(q(z|x) || p(z)): the rate. Sum over the latent dimensions, nats.

    In closed form where TFP knows one for the pair of distributions, which gives the gradient no
    sampling noise; otherwise log q(z|x) - log p(z) at the trace's sample.

    Args:
        weight: a number (beta), or a schedule of the training step (warm-up).

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, Eq. 7, first part, and Appendix B.
    """

    label = "kl"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the rate, [batch]."""
        return trace.rate
