"""Types of the recipes' parameters, free of TensorFlow: numbers with bounds, lists of names, schedules.

A weight is a number or a schedule, which a configuration writes as a mapping and which stays one:

    beta: {schedule: linear, start: 0, end: 4, steps: 1000}

`models.schedules.as_schedule` makes a schedule of it when the model is built.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

NonNegative = Annotated[float, pydantic.Field(ge=0)]
Positive = Annotated[float, pydantic.Field(gt=0)]
AtMostOne = Annotated[float, pydantic.Field(le=1)]
Share = Annotated[float, pydantic.Field(gt=0, le=1)]
Count = Annotated[int, pydantic.Field(ge=1)]
NonNegativeCount = Annotated[int, pydantic.Field(ge=0)]
Groups = Annotated[int, pydantic.Field(ge=2)]
# The models are strict, and YAML has lists where Python has tuples.
Names = Annotated[tuple[str, ...], pydantic.Field(strict=False)]


class Schedule(pydantic.BaseModel):
    """Base of the mappings that describe a schedule; `schedule` says which."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Constant(Schedule):
    """The same value at every step."""

    schedule: Literal["constant"]
    value: NonNegative


class Linear(Schedule):
    """A straight line from `start` to `end` within `steps` training steps, and `end` from then on."""

    schedule: Literal["linear"]
    start: NonNegative = 0.0
    end: NonNegative
    steps: Count


class Cosine(Schedule):
    """Half a cosine from `start` to `end` within `steps` training steps, and `end` from then on."""

    schedule: Literal["cosine"]
    start: NonNegative = 0.0
    end: NonNegative
    steps: Count


class Cyclic(Schedule):
    """A rise from `start` to `end` in the share `rise` of every `period` training steps, then a plateau."""

    schedule: Literal["cyclic"]
    start: NonNegative = 0.0
    end: NonNegative
    period: Count
    rise: Share = 0.5


class Lagrangian(Schedule):
    """A multiplier that holds what it weighs at `target`: its logarithm moves by `rate` per nat of difference."""

    schedule: Literal["lagrangian"]
    target: float
    rate: Positive = 0.01
    start: Positive = 1.0


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "linear": Linear,
    "cosine": Cosine,
    "cyclic": Cyclic,
    "lagrangian": Lagrangian,
}


def _tag(value: Any) -> str:
    """Which alternative a value is meant as, so that an error speaks of that one only."""
    return "schedule" if isinstance(value, Mapping | Schedule) else "number"


Weight = Annotated[
    Annotated[NonNegative, pydantic.Tag("number")]
    | Annotated[
        Annotated[Constant | Linear | Cosine | Cyclic | Lagrangian, pydantic.Field(discriminator="schedule")],
        pydantic.Tag("schedule"),
    ],
    pydantic.Discriminator(_tag),
]
