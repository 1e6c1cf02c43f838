"""What to measure and which bounds to meet: the run configuration's `evaluation` section."""

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from components.section import Positive, Section

Budget = Positive | Literal["all"]


class Bound(Section):
    """A bound on one metric; each of the four that is given must hold."""

    min: float | None = Field(default=None, description="The metric must be at least this.")
    max: float | None = Field(default=None, description="The metric must be at most this.")
    drop: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="The most it may fall below the last blessed model's; more is refused where it is significant.",
    )
    rise: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="The most it may rise above the last blessed model's; more is refused where it is significant.",
    )


Kind = Literal["linear", "knn", "gbt", "mlp"]
Family = Literal[
    "probes",
    "ceiling",
    "clustering",
    "disentanglement",
    "leakage",
    "density",
    "privacy",
    "alignment",
    "likelihood",
    "robustness",
]
ASKING: tuple[Family, ...] = ("likelihood", "robustness")
"""They ask the model itself, which takes a while."""
DEFAULT: tuple[Family, ...] = tuple(family for family in get_args(Family) if family not in ASKING)


class Settings(Section):
    """What is measured, and what a model must reach to be blessed."""

    labels: tuple[Budget, ...] = Field(
        default=(10, 100, 1000, "all"),
        description="Label budgets of the probes, in rising order.",
    )
    seeds: Annotated[int, Field(ge=2, le=100)] = Field(default=5, description="Random draws behind each interval.")
    examples: Annotated[int, Field(ge=100)] = Field(
        default=10_000, description="The most examples of a split the probes and baselines look at."
    )
    slices: tuple[str, ...] = Field(
        default=(),
        description="Columns by whose values the test examples are told apart and measured each: inputs of a table, "
        "the label, the sensitive attribute, factors, targets.",
    )
    probes: tuple[Kind, ...] = Field(
        default=("linear", "knn"),
        min_length=1,
        description="Readers of codes: linear, knn (nearest neighbors), gbt (boosted trees), mlp (a small network).",
    )
    tasks: tuple[str, ...] | None = Field(
        default=None,
        description="Columns to predict beside the label (targets, factors, sensitive attribute); null: all targets.",
    )
    measure: tuple[Family, ...] = Field(
        default=DEFAULT,
        description="What is measured beside rate, distortion and active units, as far as the data allows it; "
        "likelihood and robustness ask the model itself, which takes a while.",
    )
    samples: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=100, description="Codes of an example behind its bounds on the likelihood."
    )
    noise: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.1, 0.2, 0.5),
        description="Levels of noise on the inputs for the robustness, in units of the model's input.",
    )
    asked: Positive = Field(
        default=1_000, description="The most test examples of which likelihood and robustness are measured."
    )
    significance: Annotated[float, Field(gt=0, le=0.5)] = Field(
        default=0.05,
        description="Probability of refusing, over all bounds against the last blessed model, one that is no worse.",
    )
    bless: dict[str, Bound] = Field(default={}, description="Bounds by metric, such as `probe/linear/100: {min: 0.8}`.")

    @property
    def measures(self) -> dict[str, Any]:
        """What the Embedder asks of the model beside codes, and which of that the last blessed model is asked, too."""
        samples = self.samples if "likelihood" in self.measure else 0
        noise = self.noise if "robustness" in self.measure else ()
        bounded = {name.split("/")[0] for name, b in self.bless.items() if b.drop is not None or b.rise is not None}
        again = [family for family in ASKING if family in bounded and family in self.measure]
        return {"samples": samples, "noise": noise, "examples": self.asked, "again": again}

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The label budgets, each once, in ascending order, `all` last."""
        return tuple(sorted(set(self.labels), key=lambda budget: math.inf if budget == "all" else budget))
