"""What a frontier is made of: the trials of a sweep, and what they are compared by."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from components.evaluator.names import Name
from components.frontier.schema import LeftOut
from components.frontier.wording import configuration_in_words
from components.report.directions import lower_is_better


@dataclass(frozen=True)
class Measured:
    """One complete trial, before its evaluation is read.

    Args:
        recipe: name of its recipe.
        parameters: the recipe's parameters, as they were given.
        latent: width of a code.
        seed: seed of the run.
        rung: how often it was promoted.
        epochs: the most passes over the training split.
        evaluation: folder of its evaluation.json.
        model: folder of the trained model.
    """

    recipe: str
    parameters: dict[str, Any]
    latent: int
    seed: int
    rung: int
    epochs: int
    evaluation: str
    model: str

    @property
    def configuration(self) -> str:
        """Its configuration's name."""
        return configuration_in_words(self.recipe, self.parameters, self.latent)


@dataclass(frozen=True)
class Request:
    """What a frontier is made of.

    Args:
        sweep: name of the sweep.
        run: the run configuration that the trials have in common.
        usefulness: name of the metric that is the third axis.
        seeds: number of seeds a whole rung of a configuration has.
        trials: the complete trials, in the sweep's order.
        left_out: what was not finished.
        code: version of the code.
    """

    sweep: str
    run: dict[str, Any]
    usefulness: str
    seeds: int
    trials: tuple[Measured, ...]
    left_out: tuple[LeftOut, ...] = ()
    code: str = ""


REQUEST = TypeAdapter(Request)


def better(metric: str) -> Literal["higher", "lower"]:
    """Returns which values of a metric are better; of a rate, which is what a code costs, lower ones."""
    return "lower" if Name.parse(metric).base == "rate" or lower_is_better(metric) else "higher"
