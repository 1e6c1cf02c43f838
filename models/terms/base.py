"""What every term shares: an estimate per example becomes a named metric and a weighted loss."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf
from typing_extensions import override

from models.critics import Critic
from models.part import Part
from models.schedules import Clock, Weight, as_schedule
from models.trace import Trace


class Term(Part):
    """One thing a model is punished for: `(trace) -> [batch]`, nats per example.

        loss += weight(step) * penalty(mean over the batch of estimate(trace))

    The unweighted mean is the metric of the term's name. A subclass writes `estimate`; one that
    punishes a function of the batch mean (a capacity, say) also `penalty` and `formula`; one that needs an
    opponent owns its critic, and lets it learn in `estimate`.

    Under a distribution strategy a term sees its replica's batch: what couples the examples of a batch
    (an aggregate posterior, a kernel estimate, a covariance) is estimated from that share of it.

    Args:
        weight: a number, a schedule of the training step or a multiplier; or its description as a mapping.

    Attributes:
        label: the term's name in logs and formulas, unless another `name` is given.
        needs: roles the data must have: `label`, `sensitive`, `factors`.

    Call arguments:
        trace: the record of one forward pass, by keyword.
    """

    label: ClassVar[str]

    def __init__(self, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        kwargs.setdefault("name", self.label)
        super().__init__(autocast=False, **kwargs)
        self.weight = as_schedule(weight)
        self.average = keras.metrics.Mean(name=self.name)

    @override
    def build(self, input_shape):
        """Creates the term's variables for codes of shape [batch, latent]; most terms have none."""

    @override
    def call(self, trace: Trace) -> tf.Tensor:
        estimate = self.estimate(trace)
        mean = tf.reduce_mean(estimate)
        self.average.update_state(mean, sample_weight=tf.shape(trace.x)[0])
        self.add_loss(self.charge(mean, trace.context.now))
        if trace.context.training:
            self.weight.observe(mean)
        return estimate

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the unweighted term: [batch], or [] where only the batch as a whole has a value."""
        raise NotImplementedError

    def penalty(self, mean: tf.Tensor, clock: Clock) -> tf.Tensor:
        """Returns what is punished, before weighting, for the batch mean of the estimate.

        Args:
            mean: the batch mean, [].
            clock: reads a schedule at the step in question.
        """
        return mean

    def charge(self, mean: tf.Tensor, clock: Clock) -> tf.Tensor:
        """Returns the weighted penalty for the batch mean of the estimate; arguments as of `penalty`."""
        return tf.cast(clock(self.weight), mean.dtype) * self.penalty(mean, clock)

    @property
    def schedules(self) -> dict[str, Weight]:
        """What changes with the training step, by the name of its curve."""
        return {f"weight/{self.name}": self.weight}

    @property
    def critics(self) -> tuple[Critic, ...]:
        """The term's opponents."""
        return ()

    @property
    def formula(self) -> str:
        """The unweighted term as it reads in the model's objective."""
        return self.name

    def __str__(self):
        weight = str(self.weight)
        return self.formula if weight == "1" else f"{weight} * {self.formula}"
