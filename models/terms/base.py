"""What every term shares: an estimate per example becomes a named metric and a weighted loss."""

from typing import Any, ClassVar

import keras
import tensorflow as tf
from typing_extensions import override

from models.part import Part
from models.schedules import Schedule, as_schedule
from models.trace import Trace


class Term(Part):
    """One thing a model is punished for: `(trace) -> [batch]`, nats per example.

        loss += weight(step) * penalty(mean over the batch of estimate(trace))

    The unweighted mean is the metric of the term's name. A subclass writes `estimate`; one that
    punishes a function of the batch mean (a capacity, say) also `penalty` and `formula`.

    Args:
        weight: a number, or a schedule of the training step.

    Attributes:
        label: the term's name in logs and formulas, unless another `name` is given.
        needs: roles the data must have: `label`, `sensitive`, `factors`.

    Call arguments:
        trace: the record of one forward pass, by keyword.
    """

    label: ClassVar[str]

    def __init__(self, weight: Schedule | float = 1.0, **kwargs: Any):
        kwargs.setdefault("name", self.label)
        super().__init__(autocast=False, **kwargs)
        self.weight = as_schedule(weight)
        self.average = keras.metrics.Mean(name=self.name)

    @override
    @override
    def build(self, input_shape):
        """Creates the term's variables for codes of shape [batch, latent]; most terms have none."""

    @override
    def call(self, trace: Trace) -> tf.Tensor:
        estimate = self.estimate(trace)
        mean = tf.reduce_mean(estimate)
        self.average.update_state(mean, sample_weight=tf.shape(trace.x)[0])
        step = trace.context.step
        self.add_loss(tf.cast(self.weight(step), mean.dtype) * self.penalty(mean, step))
        return estimate

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the unweighted term: [batch], or [] where only the batch as a whole has a value."""
        raise NotImplementedError

    def penalty(self, mean: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns what is added to the loss, before weighting, for the batch mean of the estimate."""
        return mean

    @property
    def formula(self) -> str:
        """The unweighted term as it reads in the model's objective."""
        return self.name

    def __str__(self):
        weight = str(self.weight)
        return self.formula if weight == "1" else f"{weight} * {self.formula}"
