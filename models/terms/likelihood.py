"""How badly the code explains the data."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from typing_extensions import override

from models.factors import LabelLikelihood
from models.part import ensure_built
from models.schedules import Weight
from models.terms.base import Term
from models.trace import Trace


class NegativeLogLikelihood(Term):
    """-log p(x|z), one sample of z per example: the distortion. Sum over the event, nats.

    Args:
        weight: a number, or a schedule of the training step.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, Eq. 7, second part.
    """

    label = "nll"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the distortion, [batch]."""
        return trace.distortion


class LabelNegativeLogLikelihood(Term):
    """-log q(y|z), one sample of z per example: what a classifier beside the decoder makes of the code, nats.

    Examples without a label count 0.

    Args:
        classifier: factor q(y|z), trained with the model.
        weight: a number, or a schedule of the training step.

    Reference:
        Louizos et al. 2016, The Variational Fair Autoencoder, arXiv:1511.00830, Eq. 7, last part.
    """

    label = "label_nll"
    needs = ("label",)

    def __init__(self, classifier: LabelLikelihood, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(weight, **kwargs)
        self.classifier = classifier

    @override
    def build(self, input_shape):
        ensure_built(self.classifier, input_shape)

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the cross-entropy of the label, [batch]."""
        return -self.classifier(trace.z).log_prob(trace.context.label)
