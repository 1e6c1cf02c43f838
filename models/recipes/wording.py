"""What a recipe's parameter may be, and what is wrong with one, in a person's words."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pydantic

from models.recipes.types import SCHEDULES

EXPECTED = {
    "tuple_type": "be a list of names, in brackets",
    "string_type": "be text",
    "bool_type": "be true or false",
    "int_type": "be a whole number",
}
TYPES = {"number": "number", "integer": "whole number", "boolean": "true or false", "string": "text", "null": "null"}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def in_words(field: Mapping[str, Any]) -> str:
    """Returns a JSON schema's type and bounds.

    Args:
        field: the schema of one parameter.

    Example:
        >>> in_words({"type": "number", "minimum": 0})
        'number, at least 0'
    """
    options = field.get("oneOf") or field.get("anyOf")
    if options:
        words = (_option(option) for option in options)
        return ", or ".join(dict.fromkeys(words))
    if "enum" in field:
        return f"one of: {', '.join(str(value) for value in field['enum'])}"
    if field.get("type") == "array":
        items = in_words(field["items"])
        return f"list of {'names' if items == 'text' else items}"
    bounds = (f"{word} {field[bound]:g}" for bound, word in BOUNDS.items() if bound in field)
    return ", ".join((TYPES[field["type"]], *bounds))


def problem(found: Any, recipe: str, own: Sequence[str]) -> str:
    """Returns one line about one of pydantic's errors: the key's path, what it must be, what it was.

    Args:
        found: one of `ValidationError.errors()`.
        recipe: the recipe's name.
        own: names of the recipe's parameters.
    """
    key, *inner = found["loc"]
    if not inner and found["type"] == "extra_forbidden":
        hint = _hint(key, own) or f"Its parameters: {', '.join(own) or 'none'}."
        return f"model.parameters.{key}: `{recipe}` has no such parameter. {hint}"
    path = f"model.parameters.{key}"
    if inner[:1] == ["schedule"]:
        return _of_schedule(found, path, *inner[1:])
    places = [place for place in inner if isinstance(place, int)]
    return _refused(found, ".".join(str(part) for part in (path, *places)))


def problems(error: pydantic.ValidationError, recipe: str, own: Sequence[str]) -> Iterator[str]:
    """Yields a line for each parameter that is wrong; arguments as of `problem`."""
    yield from (problem(found, recipe, own) for found in error.errors())


def _of_schedule(found: Any, path: str, kind: str = "", key: str = "") -> str:
    """A problem inside a mapping that describes a schedule."""
    kinds = f"one of: {', '.join(SCHEDULES)}"
    match found["type"]:
        case "union_tag_not_found":
            return f"{path}.schedule: is missing. It must be {kinds}."
        case "union_tag_invalid":
            given = found["input"]["schedule"]
            hint = _hint(str(given), tuple(SCHEDULES))
            return f"{path}.schedule: must be {kinds}. Received: {given!r}.{' ' * bool(hint)}{hint}"
        case "missing":
            expected = in_words(SCHEDULES[kind].model_json_schema()["properties"][key])
            return f"{path}.{key}: is missing. It must be a {expected}."
        case "extra_forbidden":
            keys = tuple(SCHEDULES[kind].model_fields)
            hint = _hint(key, keys) or f"Its keys: {', '.join(keys)}."
            return f"{path}.{key}: a {kind} schedule has no such key. {hint}"
    return _refused(found, f"{path}.{key}")


def _refused(found: Any, path: str) -> str:
    expected = EXPECTED.get(found["type"]) or found["msg"].removeprefix("Input should ")
    return f"{path}: must {expected}. Received: {found['input']!r}."


def _hint(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""


def _option(option: Mapping[str, Any]) -> str:
    """One alternative of a union; all the schedules are one word together."""
    return "a schedule" if "discriminator" in option else in_words(option)


def parameter_in_words(value: Any) -> str:
    """Returns a parameter's value for people: a schedule reads `linear(start 0, end 4, steps 1000)`."""
    if not isinstance(value, Mapping):
        return str(value)
    arguments = ", ".join(f"{name} {argument}" for name, argument in value.items() if name != "schedule")
    return f"{value['schedule']}({arguments})"
