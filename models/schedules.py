"""Numbers that change with the training step: weights of terms, capacities.

A schedule is a pure function of the model's step counter. It has no state of its own, so a resumed run
continues it exactly. The exception is the `Lagrangian`, whose multiplier is a variable of the model.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from typing_extensions import override

from models.part import Fields, Part


class Schedule(Fields):
    """Maps a step to a number. Subclasses are frozen dataclasses with a `__call__`.

    Example:
        >>> warmup = Linear(0.0, 1.0, steps=100)
        >>> warmup.at(25), warmup.at(1000)
        (0.25, 1.0)
    """

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor | float:
        """Returns the value at `step`, a scalar."""
        raise NotImplementedError

    def at(self, step: int) -> float:
        """Returns the value at `step` as a Python number."""
        return float(self(step))

    @property
    def final(self) -> float:
        """The value that the schedule comes to in the end."""
        raise NotImplementedError

    def observe(self, mean: tf.Tensor) -> None:
        """Is told the batch mean of what the schedule weighs, once a training step; most do not mind."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The same value at every step."""

    value: float

    @override
    def __call__(self, step):
        return self.value

    @property
    def final(self) -> float:
        """The value."""
        return self.value

    def __str__(self):
        return f"{self.value:g}"


@dataclass(frozen=True)
class Ramp(Schedule):
    """Base of schedules that go from `start` to `end` within `steps` and stay there.

    Args:
        start: value at step 0.
        end: value from step `steps` on.
        steps: length of the ramp in training steps, at least 1.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1. Received: steps={self.steps}.")

    @property
    def final(self) -> float:
        """The value from step `steps` on."""
        return self.end

    def fraction(self, step: tf.Tensor | int) -> tf.Tensor:
        """Returns how much of the ramp is done at `step`: 0 to 1."""
        return tf.clip_by_value(tf.cast(step, tf.float32) / self.steps, 0.0, 1.0)

    def __str__(self):
        return f"{type(self).__name__.lower()}({self.start:g} -> {self.end:g} in {self.steps})"


class Linear(Ramp):
    """Straight line: start + (end - start) * step / steps."""

    @override
    def __call__(self, step):
        return self.start + (self.end - self.start) * self.fraction(step)


class Cosine(Ramp):
    """Half a cosine, flat at both ends: start + (end - start) * (1 - cos(pi * step / steps)) / 2."""

    @override
    def __call__(self, step):
        return self.start + (self.end - self.start) * (1.0 - tf.cos(math.pi * self.fraction(step))) / 2.0


@dataclass(frozen=True)
class Cyclic(Schedule):
    """A linear ramp repeated every `period` steps, each time followed by a plateau.

    Args:
        start: value at the beginning of each period.
        end: value on the plateau.
        period: length of a period in training steps, at least 1.
        rise: share of the period spent rising, above 0, at most 1.

    Reference:
        Fu et al. 2019, Cyclical Annealing Schedule, arXiv:1903.10145, Eq. 6-7.
    """

    start: float
    end: float
    period: int
    rise: float = 0.5

    def __post_init__(self):
        if self.period < 1:
            raise ValueError(f"`period` must be at least 1. Received: period={self.period}.")
        if not 0 < self.rise <= 1:
            raise ValueError(f"`rise` must be above 0 and at most 1. Received: rise={self.rise}.")

    @override
    def __call__(self, step):
        position = tf.cast(tf.math.floormod(step, self.period), tf.float32) / self.period
        return self.start + (self.end - self.start) * tf.minimum(position / self.rise, 1.0)

    @property
    def final(self) -> float:
        """The value on the plateau."""
        return self.end

    def __str__(self):
        return f"cyclic({self.start:g} -> {self.end:g} every {self.period})"


class Lagrangian(Part):
    """The multiplier of a constraint: it grows while what it weighs is above the target, and falls below it.

        log lambda <- log lambda + rate * (mean - target),  once a training step

    So the training settles where the weighed quantity equals the target. A schedule in all but that it has
    a variable, which checkpoints carry.

    Args:
        target: the value that the weighed quantity is to have, nats.
        rate: the size of a step of log lambda per nat of difference, above 0.
        start: the first multiplier, above 0.

    Reference:
        Rezende and Viola 2018, Taming VAEs, arXiv:1810.00597, Algorithm 1, without its moving average.
    """

    LOGARITHM = 12.0  # the multiplier stays between exp(-12) and exp(12)

    def __init__(self, target: float, rate: float = 0.01, start: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        if rate <= 0 or start <= 0:
            raise ValueError(f"`rate` and `start` must be above 0. Received: rate={rate}, start={start}.")
        self.target = target
        self.rate = rate
        self.start = start
        self.logarithm = self.add_weight(
            name="logarithm",
            shape=(),
            initializer=keras.initializers.Constant(math.log(start)),
            trainable=False,
            autocast=False,
            aggregation="mean",
        )

    @override
    def build(self, input_shape):
        """Has made its variable already."""

    @override
    def call(self, step: tf.Tensor | int | None = None) -> tf.Tensor:
        return tf.exp(tf.convert_to_tensor(self.logarithm.value))

    def at(self, step: int) -> float:
        """Returns the present multiplier, whatever the step."""
        return float(self.final)

    @property
    def final(self) -> tf.Tensor:
        """The present multiplier."""
        return self(None)

    def observe(self, mean: tf.Tensor) -> None:
        """Takes a step towards the target."""
        moved = self.logarithm.value + self.rate * (tf.cast(mean, self.variable_dtype) - self.target)
        self.logarithm.assign(tf.clip_by_value(moved, -self.LOGARITHM, self.LOGARITHM))

    def __str__(self):
        return f"lagrangian(target {self.target:g})"


Weight = Schedule | Lagrangian
Clock = Callable[[Weight], tf.Tensor | float]

KINDS = {"constant": Constant, "linear": Linear, "cosine": Cosine, "cyclic": Cyclic, "lagrangian": Lagrangian}


def settled(schedule: Weight) -> tf.Tensor | float:
    """Returns a schedule's final value: the clock of somebody who compares models across steps."""
    return schedule.final


def as_schedule(value: Weight | float | Mapping[str, Any]) -> Weight:
    """Returns a schedule as it is, a number as the constant of that value, and a mapping as it reads.

    Args:
        value: a schedule, a number, or a mapping of `schedule` (a key of `KINDS`) and its arguments, as a
            configuration has it.
    """
    if isinstance(value, Mapping):
        arguments = dict(value)
        return KINDS[arguments.pop("schedule")](**arguments)
    return value if isinstance(value, Schedule | Lagrangian) else Constant(float(value))
