"""What to measure and which bounds to meet: the run configuration's `evaluation` section."""

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

Budget = int | Literal["all"]


@dataclass(frozen=True)
class Limits:
    """Bounds on one metric: absolute (`min`, `max`) and against the last blessed model (`drop`, `rise`)."""

    min: float | None = None
    max: float | None = None
    drop: float | None = None
    rise: float | None = None


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Args:
        labels: label budgets of the probes.
        seeds: number of draws behind each interval.
        examples: the most examples of a split that probes look at.
        bless: bounds by metric name.
    """

    labels: tuple[Budget, ...] = (10, 100, 1000, "all")
    seeds: int = 5
    examples: int = 10_000
    bless: Mapping[str, Limits] = field(default_factory=dict)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The label budgets, each once, in ascending order, `all` last."""
        return tuple(sorted(set(self.labels), key=lambda budget: math.inf if budget == "all" else budget))


def read_settings(text: str) -> Settings:
    """Returns the settings in the JSON text of a configuration's `evaluation` section."""
    return TypeAdapter(Settings).validate_json(text)
