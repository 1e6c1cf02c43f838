"""What a rule for choosing a recipe is made of, free of TensorFlow; `models.recipes.wishes` has the rules."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.recipes.records import Record, catalogue, find

LARGE = 1024  # values in an example from which the penalties of papers on 64 x 64 images suit


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What rules know about the data and the training.

    Args:
        width: values in an example: elements of an image or a vector, columns of a table.
        examples: number of training examples; 0 if unknown.
        steps: the most training steps; 0 if unknown.
        batch: examples a step.
        latent: width of the code.
        roles: which of `label`, `sensitive`, `factors` the data have.
        factor_sizes: number of values of each ground-truth factor.
    """

    width: int
    examples: int = 0
    steps: int = 0
    batch: int = 64
    latent: int = 10
    roles: frozenset[str] = frozenset()
    factor_sizes: tuple[int, ...] = ()

    @property
    def large(self) -> bool:
        """Whether an example has as many values as in the papers on images."""
        return self.width >= LARGE

    @property
    def recurring(self) -> bool:
        """Whether groups of examples that agree in all factors but one have two members at least."""
        combinations = math.prod(self.factor_sizes)
        return self.examples * max(self.factor_sizes, default=0) >= 2 * combinations


Start = Any | Callable[[Facts], Any]
"""A starting value, or how it follows from the facts; None leaves it at its default."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A recipe for a wish.

    Args:
        recipe: its name.
        why: what speaks for it, one sentence.
        parameters: starting values of its parameters.
        settings: values for other keys of the configuration.
        needs: roles it needs for this wish, beside those it always needs.
        unless: (facts -> whether it is of no use on this data, the reason).
    """

    recipe: str
    why: str
    parameters: Mapping[str, Start] = field(default_factory=dict)
    settings: Mapping[str, Start] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    unless: tuple[Callable[[Facts], bool], str] | None = None

    def missing(self, facts: Facts) -> list[str]:
        """Returns the roles that the data lack."""
        wanted = dict.fromkeys((*find(self.recipe).needs, *self.needs))
        return [role for role in wanted if role not in facts.roles]

    def unsuited(self, facts: Facts) -> str:
        """Returns why the recipe is of no use on this data; empty if it is of use."""
        return self.unless[1] if self.unless and self.unless[0](facts) else ""

    def start(self, facts: Facts) -> dict[str, Any]:
        """Returns the starting values by their keys in the configuration."""
        keys = {f"model.parameters.{name}": value for name, value in self.parameters.items()} | dict(self.settings)
        values = {key: value(facts) if callable(value) else value for key, value in keys.items()}
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A meta-prior, as a person asks for it.

    Args:
        meaning: what it is, to follow "to try for".
        choices: the recipes for it, the best first.
        metapriors: what the catalogue calls it; empty where it is none of the survey's.
        implied_by: the role in the data that speaks for it where nothing is asked for.
        note: what to know about it today.
    """

    meaning: str
    choices: tuple[Choice, ...] = ()
    metapriors: tuple[str, ...] = ()
    implied_by: str = ""
    note: str = ""

    def planned(self) -> list[Record]:
        """Returns the models made for it that have no recipe yet."""
        return [record for record in catalogue() if record.status == "planned" and self._meant_by(record)]

    def served(self) -> bool:
        """Returns whether one of its recipes is made for it, or it is none of the survey's meta-priors."""
        return not self.metapriors or any(self._meant_by(find(choice.recipe)) for choice in self.choices)

    def _meant_by(self, record: Record) -> bool:
        return bool(set(self.metapriors) & set(record.metapriors))
