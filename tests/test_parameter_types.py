"""Types of the recipes' parameters: what they accept, how they are named, how a wrong value is refused."""

import doctest
import json
from typing import Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import recipes
from models.errors import InputError
from models.recipes import needs, records, types, wording
from models.schedules import KINDS, as_schedule


def tour(
    plan,
    *,
    weight: types.Weight = 4.0,
    rate: types.Positive = 1e-3,
    share: types.Share = 0.5,
    most: types.AtMostOne = 1.0,
    count: types.Count = 3,
    names: types.Names = (),
    kernel: Literal["mmd", "hsic"] = "mmd",
    hard: bool = False,
    optional: float | None = None,
):
    """A recipe with a parameter of every type.

    Args:
        weight: a weight.
        rate: a rate.
        share: a share.
        most: at most one.
        count: a count.
        names: names.
        kernel: a choice.
        hard: a switch.
        optional: a number or nothing.
    """


@pytest.fixture
def checked(monkeypatch):
    """`validate` for the recipe above, which is in a catalogue of its own."""
    monkeypatch.setattr(records, "_records", {})
    monkeypatch.setattr(records, "_functions", {})
    recipes.records.recipe(recipes.Family.OTHER, title="Tour", objective="none", reference="none")(tour)
    return lambda **parameters: recipes.validate("tour", parameters)


def refusal(checked, **parameters) -> str:
    with pytest.raises(InputError) as error:
        checked(**parameters)
    return str(error.value)


LINEAR = {"schedule": "linear", "end": 4, "steps": 1000}
SCHEDULES = [
    ({"schedule": "constant", "value": 2}, {"value": 2.0}),
    (LINEAR, {"start": 0.0, "end": 4.0, "steps": 1000}),
    (LINEAR | {"schedule": "cosine", "start": 1}, {"start": 1.0, "end": 4.0, "steps": 1000}),
    ({"schedule": "cyclic", "end": 1, "period": 10}, {"start": 0.0, "end": 1.0, "period": 10, "rise": 0.5}),
    ({"schedule": "lagrangian", "target": -3}, {"target": -3.0, "rate": 0.01, "start": 1.0}),
]


def test_types_are_named_for_people(checked):
    assert {p.name: p.type for p in recipes.find("tour").parameters} == {
        "weight": "number, at least 0, or a schedule",
        "rate": "number, above 0",
        "share": "number, above 0, at most 1",
        "most": "number, at most 1",
        "count": "whole number, at least 1",
        "names": "list of names",
        "kernel": "one of: mmd, hsic",
        "hard": "true or false",
        "optional": "number, or null",
    }


def test_values_as_yaml_has_them_are_taken(checked):
    given = {"weight": 2, "rate": 1, "names": ["a", "b"], "kernel": "hsic", "hard": True, "optional": None}
    assert checked(**given) == given | {
        "names": ("a", "b"),
        "share": 0.5,
        "most": 1.0,
        "count": 3,
    }
    assert isinstance(checked(weight=2)["weight"], float)


@pytest.mark.parametrize(("given", "completed"), SCHEDULES)
def test_a_schedule_stays_a_mapping_that_a_schedule_is_made_of(checked, given, completed):
    validated = checked(weight=given)["weight"]
    assert validated == {"schedule": given["schedule"]} | completed
    assert checked(weight=json.loads(json.dumps(validated)))["weight"] == validated
    schedule = as_schedule(validated)
    assert type(schedule) is KINDS[given["schedule"]]
    assert {name: getattr(schedule, name) for name in completed} == completed


def test_every_schedule_of_the_models_can_be_configured():
    assert set(types.SCHEDULES) == set(KINDS)


@given(weight=st.one_of(st.floats(0, allow_infinity=False), st.integers(0, 2**53)))
def test_a_number_that_is_at_least_zero_is_a_weight(weight):
    assert recipes.validate("beta_vae", {"beta": weight}) == {"beta": float(weight)}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weight": -1}, "weight: must be greater than or equal to 0. Received: -1."),
        ({"weight": [1]}, "weight: must be a valid number. Received: [1]."),
        (
            {"weight": {}},
            "weight.schedule: is missing. It must be one of: constant, linear, cosine, cyclic, lagrangian.",
        ),
        (
            {"weight": {"schedule": "lineer"}},
            "weight.schedule: must be one of: constant, linear, cosine, cyclic, lagrangian. Received: 'lineer'. "
            "Did you mean linear?",
        ),
        (
            {"weight": {"schedule": 3}},
            "weight.schedule: must be one of: constant, linear, cosine, cyclic, lagrangian. Received: 3.",
        ),
        ({"weight": LINEAR | {"steps": 0}}, "weight.steps: must be greater than or equal to 1. Received: 0."),
        ({"weight": LINEAR | {"steps": 2.5}}, "weight.steps: must be a whole number. Received: 2.5."),
        ({"weight": LINEAR | {"end": -4}}, "weight.end: must be greater than or equal to 0. Received: -4."),
        ({"weight": LINEAR | {"end": float("nan")}}, "weight.end: must be a finite number. Received: nan."),
        (
            {"weight": LINEAR | {"stps": 3}},
            "weight.stps: a linear schedule has no such key. Did you mean steps?",
        ),
        (
            {"weight": LINEAR | {"value": 3}},
            "weight.value: a linear schedule has no such key. Its keys: schedule, start, end, steps.",
        ),
        (
            {"weight": {"schedule": "linear", "end": 4}},
            "weight.steps: is missing. It must be a whole number, at least 1.",
        ),
        ({"names": "a"}, "names: must be a list of names, in brackets. Received: 'a'."),
        ({"names": ["a", 1]}, "names.1: must be text. Received: 1."),
        ({"kernel": "rbf"}, "kernel: must be 'mmd' or 'hsic'. Received: 'rbf'."),
        ({"hard": "yes"}, "hard: must be true or false. Received: 'yes'."),
        ({"hard": 1}, "hard: must be true or false. Received: 1."),
        ({"count": True}, "count: must be a whole number. Received: True."),
        ({"most": 1.5}, "most: must be less than or equal to 1. Received: 1.5."),
        ({"optional": "x"}, "optional: must be a valid number. Received: 'x'."),
        ({"wieght": 1}, "wieght: `tour` has no such parameter. Did you mean weight?"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_path(checked, parameters, message):
    assert refusal(checked, **parameters) == f"model.parameters.{message}"


def test_each_wrong_parameter_has_its_line(checked):
    lines = refusal(checked, weight=LINEAR | {"steps": 0, "end": -1}, rate=0).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "model.parameters.weight.end",
        "model.parameters.weight.steps",
        "model.parameters.rate",
    ]


def test_schedules_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError):
        types.Linear(schedule="linear", end=1.0, steps=2).steps = 3


@pytest.mark.parametrize("module", [wording, needs])
def test_examples_in_docstrings_run(module):
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0
