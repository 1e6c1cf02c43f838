"""Reads a run configuration: a YAML file, then the flags, then every check that needs no data."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.errors import InputError
from pipeline import expectations, problems, rules, yaml_reader
from pipeline.config import Config

FILE_SUFFIXES = (".npz", ".csv", ".parquet")
Mapping = dict[str, Any]


def load(
    path: Path | str | None = None,
    *,
    data: str | None = None,
    model: str | None = None,
    sets: Iterable[tuple[str, str]] = (),
) -> Config:
    """Returns the validated configuration of a run.

    Flags win over the file, and `sets` over the other flags. Paths in it are relative to the current folder.

    Args:
        path: the YAML file; None starts from the defaults.
        data: replaces `data.source`.
        model: replaces `model.recipe`; where that changes the recipe, the file's `model.parameters` go.
        sets: (key, value) pairs such as ("training.epochs", "5"); the value is YAML.

    Raises:
        InputError: one line for each problem: the key's path, what is wrong, what would be right.
    """
    given = {} if path is None else _read(Path(path))
    if data is not None:
        _set(given, "data.source", data)
    if model is not None:
        _choose_recipe(given, model)
    for key, value in sets:
        _set(given, key, _parsed(key, value))
    return validate(given)


def keys_of(key: str, value: str) -> Iterator[str]:
    """Yields the key of every single value that one of `load`'s sets gives.

    Example:
        >>> list(keys_of("training", "{epochs: 5, batch: 32}"))
        ['training.epochs', 'training.batch']

    Raises:
        InputError: the value is no YAML.
    """
    found = _parsed(key, value)
    if not isinstance(found, dict):
        yield key
        return
    for name, inner in found.items():
        yield from keys_of(f"{key}.{name}", json.dumps(inner, default=str))


def validate(given: Mapping) -> Config:
    """Returns the configuration that a mapping describes; fills in `name` from the data.

    Raises:
        InputError: one line for each problem.
    """
    filled = _without_empty_sections(given, Config.model_json_schema())
    filled.setdefault("data", {})
    source = filled["data"].get("source") if isinstance(filled["data"], dict) else None
    if "name" not in filled:
        filled = {"name": name_from(source if isinstance(source, str) else "run")} | filled
    try:
        config = Config.model_validate_json(json.dumps(filled, default=str), strict=True)
    except ValidationError as error:
        raise InputError("\n".join(problems.lines(error, filled))) from error
    broken = list(rules.broken(config))
    if broken:
        raise InputError("\n".join(broken))
    return config


def name_from(source: str) -> str:
    """Returns the name of a run on this data: the file's or folder's own name, made fit for a folder.

    Example:
        >>> name_from("../My Photos/")
        'my-photos'
    """
    path = Path(source).resolve()
    base = path.stem if path.suffix.lower() in FILE_SUFFIXES else path.name
    return re.sub(r"[^a-z0-9_-]+", "-", base.lower()).strip("-_")[:63] or "run"


def _read(path: Path) -> Mapping:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such configuration file. Check the path; `configs/` has examples.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8. Give a YAML file.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    given = yaml_reader.parse(text, origin=str(path))
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InputError(f"{path}: must hold keys and values, such as `name: digits`.")
    return given


def _set(given: Mapping, key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        if not isinstance(given.get(section), dict):
            given[section] = {}
        given = given[section]
    given[last] = value


def _parsed(key: str, value: str) -> Any:
    return yaml_reader.parse(value, origin=f"--set {key}={value}")


def _choose_recipe(given: Mapping, recipe: str) -> None:
    section = given.get("model")
    if isinstance(section, dict) and section.get("recipe") != recipe:
        section.pop("parameters", None)
    _set(given, "model.recipe", recipe)


def _without_empty_sections(given: Mapping, schema: Mapping, node: Mapping | None = None) -> Mapping:
    """Drops sections whose every line is commented out: YAML reads them as null."""
    node = node or schema
    kept: Mapping = {}
    for key, value in given.items():
        inner = expectations.descend(node, str(key), schema) or {}
        if not expectations.is_section(inner, schema):
            kept[str(key)] = value
        elif isinstance(value, dict):
            kept[str(key)] = _without_empty_sections(value, schema, inner)
        elif value is not None:
            kept[str(key)] = value
    return kept
