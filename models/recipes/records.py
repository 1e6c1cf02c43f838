"""The catalogue's records: what every model of the survey is, readable without importing TensorFlow.

A working recipe is one function: its signature holds the parameters with their types and defaults, its
docstring the text of its page, its decorator the survey's columns. Its record is read off these three.
A planned model has a record only.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import docstring_parser.google as google
import pydantic

from models.errors import InputError
from models.recipes import wording

TEXTS = ("Objective", "Use", "Limits", "Reference")
PARSER = google.GoogleParser(
    google.DEFAULT_SECTIONS + [google.Section(t, t.lower(), google.SectionType.SINGULAR) for t in TEXTS]
)


class Family(StrEnum):
    """The survey's families, in its order."""

    REGULARIZED = "regularized posterior"
    SUPERVISED = "bottlenecks, invariance and attributes"
    SEMI_SUPERVISED = "semi-supervised"
    HIERARCHICAL = "powerful decoders, hierarchies, discrete codes"
    STRUCTURED = "structured prior"
    OTHER = "other autoencoders"
    SEQUENTIAL = "sequences"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a recipe.

    Args:
        name: its key under `model.parameters`.
        type: its type and bounds in words.
        default: the paper's value, where there is one.
        meaning: what it does, with its unit.
    """

    name: str
    type: str
    default: Any
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One model of the survey, in the survey's columns: L = D + R + lambda1 * R1 + lambda2 * R2.

    Args:
        name: canonical name.
        title: the paper's name for it.
        family: which of the survey's families.
        metaprior: the assumption it builds in.
        mechanism: how: regularization, factorization (of encoder and decoder) or prior.
        r1: penalty on q(z|x) with its weight, relative to D + R; empty if none.
        r2: penalty on the aggregate q(z) with its weight; empty if none.
        labels: what it needs beside x.
        objective: what is minimized, in ASCII, nats per example.
        reference: paper and equation.
        status: `works` or `planned`.
        aliases: other names in the literature.
        note: a warning where names clash.
        formula: the objective in LaTeX.
        needs: roles the data must have: `label`, `sensitive`, `factors`.
        summary: one line.
        use: when to use it.
        limits: what to beware of.
        parameters: what can be set under `model.parameters`.
    """

    name: str
    title: str
    family: Family
    metaprior: str = "none"
    mechanism: str = "none"
    r1: str = ""
    r2: str = ""
    labels: str = "none"
    objective: str
    reference: str
    status: Literal["works", "planned"] = "planned"
    aliases: tuple[str, ...] = ()
    note: str = ""
    formula: str = ""
    needs: tuple[str, ...] = ()
    summary: str = ""
    use: str = ""
    limits: str = ""
    parameters: tuple[Parameter, ...] = ()

    @property
    def metapriors(self) -> tuple[str, ...]:
        """The meta-priors one by one, without what stands in parentheses."""
        plain = re.sub(r" \([^)]*\)", "", self.metaprior)
        return () if plain == "none" else tuple(plain.split(", "))


_records: dict[str, Record] = {}
_functions: dict[str, Callable[..., Any]] = {}


def recipe(family: Family, **columns: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the function below it as the recipe of its own name.

    Args:
        family: the survey's family.
        **columns: the survey's columns, see `Record`.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        text = PARSER.parse(function.__doc__)
        sections = {m.args[0]: _reflow(m.description) for m in text.meta if m.args[0].title() in TEXTS}
        meanings = {p.arg_name: _reflow(p.description) for p in text.params}
        schema = _schema(function)
        fields = schema.model_json_schema().get("properties", {})
        parameters = [
            Parameter(name=key, type=wording.in_words(fields[key]), default=field.default, meaning=meanings[key])
            for key, field in schema.model_fields.items()
        ]
        _functions[name] = function
        _records[name] = Record(
            name=name,
            family=family,
            status="works",
            summary=text.short_description or "",
            parameters=tuple(parameters),
            **sections,
            **columns,
        )
        return function

    return register


def planned(family: Family, name: str, **columns: Any) -> None:
    """Registers a model of the survey that has no recipe yet; arguments as of `Record`."""
    _records[name] = Record(name=name, family=family, **columns)


def catalogue() -> list[Record]:
    """Returns the record of every model of the survey, family by family."""
    return sorted(_records.values(), key=lambda record: list(Family).index(record.family))


def find(name: str) -> Record:
    """Returns the record of a canonical name or an alias, in any case, with - or _.

    Raises:
        InputError: if there is no such model; names the nearest.
    """
    known = {alias: record for record in _records.values() for alias in (record.name, *record.aliases)}
    wanted = name.lower().replace("-", "_")
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1)
        hint = f"Did you mean {known[near[0]].name}?" if near else "`metaprior models` lists them all."
        raise InputError(f"model.recipe: there is no recipe {name!r}. {hint}")
    return known[wanted]


def function(name: str) -> Callable[..., Any]:
    """Returns the recipe function of a name or alias.

    Raises:
        InputError: if there is no such model, or no recipe for it yet.
    """
    record = find(name)
    if record.name not in _functions:
        working = ", ".join(r.name for r in catalogue() if r.status == "works")
        raise InputError(
            f"model.recipe: {record.name} is in the catalogue but has no recipe yet. Use one of: {working}."
        )
    return _functions[record.name]


def validate(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the recipe's complete parameters: the given ones, and its defaults for the others.

    Args:
        name: recipe or alias.
        parameters: values by name, as under `model.parameters` of a configuration.

    Raises:
        InputError: for an unknown recipe, and for parameters that are unknown, of the wrong type or out
            of bounds: a line each.
    """
    schema = _schema(function(name))
    try:
        return schema(**parameters).model_dump()
    except pydantic.ValidationError as error:
        lines = wording.problems(error, find(name).name, tuple(schema.model_fields))
        raise InputError("\n".join(lines)) from None


def _schema(recipe_function: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """A recipe's own parameters, the keyword-only ones of its signature."""
    signature = inspect.signature(recipe_function).parameters.values()
    own: dict[str, Any] = {p.name: (p.annotation, p.default) for p in signature if p.kind == p.KEYWORD_ONLY}
    config = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return pydantic.create_model(recipe_function.__name__, __config__=config, **own)


def _reflow(text: str | None) -> str:
    return " ".join((text or "").split())
