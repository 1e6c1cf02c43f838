"""Turns what pydantic found wrong with a configuration into one line each, in the user's words."""

import difflib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from pipeline import expectations
from pipeline.config import Config

LONGEST = 60  # characters of a received value that are shown


def lines(error: ValidationError, given: dict[str, Any]) -> list[str]:
    """Returns one line for each key that is wrong: its path, what is wrong, and what would be right.

    Args:
        error: what `Config` raised.
        given: the mapping that was validated.
    """
    schema = Config.model_json_schema()
    found = (_line(tuple(e["loc"]), e["type"], given=given, schema=schema) for e in error.errors())
    return list(dict.fromkeys(found))


def closest(name: str, known: list[str]) -> str | None:
    """Returns the known name nearest to one that was typed, if any is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def shown(value: Any) -> str:
    """Returns a received value on one short line, as it would stand in YAML."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _line(place: tuple[int | str, ...], kind: str, *, given: dict[str, Any], schema: dict) -> str:
    path, node = _field(place, schema)
    if kind == "extra_forbidden":
        return _unknown_key(path, node, schema)
    expected = expectations.describe(node, schema)
    value, there = _value(given, path)
    dotted = ".".join(path)
    if not there:
        return f"{dotted}: is missing. It must be {expected}."
    return f"{dotted}: must be {expected}. Received: {shown(value)}.{_hint(value, expected)}"


def _field(place: tuple[int | str, ...], schema: dict) -> tuple[tuple[str, ...], dict]:
    """Follows pydantic's location as far as it names keys; the rest are items and alternatives."""
    path: tuple[str, ...] = ()
    node = schema
    for part in place:
        if isinstance(part, int):
            break
        inner = expectations.descend(node, part, schema)
        if inner is None and not expectations.is_section(node, schema):
            break
        path += (part,)
        if inner is None:
            break
        node = inner
    return path, node


def _value(given: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
    for key in path:
        if not isinstance(given, dict) or key not in given:
            return None, False
        given = given[key]
    return given, True


def _hint(value: Any, expected: str) -> str:
    if expected.startswith("text") and isinstance(value, int | float):
        return " Put it in quotes."
    if expected.startswith("a list") and not isinstance(value, list | dict | None):
        return f" Write it in brackets: [{value}]."
    return ""


def _unknown_key(path: tuple[str, ...], section: dict, schema: dict) -> str:
    *above, key = path
    dotted = ".".join(path)
    siblings = expectations.keys(section, schema)
    near = closest(key, siblings)
    suggestion = ".".join([*above, near]) if near else _elsewhere(key, schema)
    if suggestion:
        return f"{dotted}: unknown key. Did you mean {suggestion}?"
    return f"{dotted}: unknown key. The keys here are {', '.join(siblings)}."


def _elsewhere(key: str, schema: dict) -> str | None:
    paths: dict[str, str] = {}
    for path in sorted(_paths(schema, (), schema), key=len):  # of keys with one name the one that lies highest is meant
        paths.setdefault(path[-1], ".".join(path))
    near = closest(key, list(paths))
    return paths[near] if near else None


def _paths(node: dict, above: tuple[str, ...], schema: dict) -> Iterator[tuple[str, ...]]:
    for key, inner in expectations.resolve(node, schema).get("properties", {}).items():
        yield (*above, key)
        if expectations.is_section(inner, schema):
            yield from _paths(inner, (*above, key), schema)
