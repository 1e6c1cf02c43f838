"""Numbers that change with the training step: weights of terms, capacities.

A schedule is a pure function of the model's step counter. It has no state of its own, so a resumed run
continues it exactly.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

import keras
import tensorflow as tf
from typing_extensions import override

from models.part import PACKAGE


class Schedule:
    """Maps a step to a number. Subclasses are frozen dataclasses with a `__call__`.

    Example:
        >>> warmup = Linear(0.0, 1.0, steps=100)
        >>> warmup.at(25), warmup.at(1000)
        (0.25, 1.0)
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(PACKAGE)(cls)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor | float:
        """Returns the value at `step`, a scalar."""
        raise NotImplementedError

    def at(self, step: int) -> float:
        """Returns the value at `step` as a Python number."""
        return float(self(step))

    def get_config(self) -> dict[str, Any]:
        """Returns the schedule's fields."""
        return dataclasses.asdict(self)  # pyright: ignore[reportArgumentType]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the schedule that `get_config` described."""
        return cls(**config)


@dataclass(frozen=True)
class Constant(Schedule):
    """The same value at every step."""

    value: float

    @override
    def __call__(self, step):
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

    def __str__(self):
        return f"cyclic({self.start:g} -> {self.end:g} every {self.period})"


def as_schedule(value: Schedule | float) -> Schedule:
    """Returns `value` itself if it is a schedule, otherwise the constant of that value."""
    return value if isinstance(value, Schedule) else Constant(float(value))
