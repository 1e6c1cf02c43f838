"""Posterior collapse: when a code says nothing, and what helps. Free of TensorFlow, as the catalogue it reads is."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.features.spec import FeatureSpec
from models.recipes.choices import likelihood_for
from models.recipes.records import Parameter, find

ACTIVE = 0.01
"""Variance of a unit's posterior mean over the data above which it is active (Burda et al. 2016, section 4)."""

COLLAPSED = 0.1
"""Nats: a code with a smaller mean rate says nothing about its example."""

# The parameters that stand, in whichever recipe has them, for the price of information or the amount asked for.
VERBS = {"beta": "lower", "information": "lower", "target": "raise", "capacity": "raise"}
RATE = "target_rate"


def collapsed(rate: float, active: int) -> bool:
    """Returns whether a code has collapsed: it carries less than 0.1 nats, or no unit is active.

    Args:
        rate: mean rate, nats.
        active: number of active units.
    """
    return rate < COLLAPSED or active == 0


def remedy(
    model: Mapping[str, Any], spec: FeatureSpec, *, target: str, objective: str, epochs: int | None = None
) -> str:
    """Returns what to change in a configuration whose model has collapsed: one sentence.

    Args:
        model: the configuration's `model` section.
        spec: description of the data.
        target: what the decoder is a likelihood of, `x` or `label`.
        objective: the model's objective as it reads.
        epochs: of the training, where more of them may be all it takes.
    """
    advice = [f"train longer (training.epochs, now {epochs})"] if epochs else []
    advice += [*_own(model), *(_others(model, spec) if target == "x" else ())]
    if not advice:
        return f"Weaken what its objective has beside the likelihood: {objective}."
    *first, last = advice
    text = f"{', '.join(first)} or {last}" if first else last
    return f"{text[0].upper()}{text[1:]}."


def _own(model: Mapping[str, Any]) -> Iterator[str]:
    """What the recipe's own parameters can do."""
    parameters = {parameter.name: parameter for parameter in find(model["recipe"]).parameters}
    values = {name: model["parameters"].get(name, parameter.default) for name, parameter in parameters.items()}
    for name, verb in VERBS.items():
        if name not in parameters:
            continue
        yield f"{verb} {_named(name, values[name])}"
        if _schedulable(parameters[name]) and not isinstance(values[name], Mapping):
            yield "warm it up with a schedule"
    if {"capacity", "steps"} <= parameters.keys():
        yield f"lower {_named('steps', values['steps'])}"


def _others(model: Mapping[str, Any], spec: FeatureSpec) -> Iterator[str]:
    """What another likelihood or recipe can do; not another recipe where labels are what this one is for."""
    record = find(model["recipe"])
    if likelihood_for(spec, model["likelihood"]) == "gaussian":
        yield "let the decoder learn its variance (model.likelihood: gaussian_learned)"
    if record.labels == "none" and record.name != RATE:
        yield f"use the recipe {RATE}, which asks for a rate"


def _named(name: str, value: Any) -> str:
    now = "a schedule" if isinstance(value, Mapping) else f"{value:g}"
    return f"model.parameters.{name} (now {now})"


def _schedulable(parameter: Parameter) -> bool:
    return "schedule" in parameter.type
