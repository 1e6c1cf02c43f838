"""The reference of the configuration as Markdown, written from the schema itself."""

import json
from collections.abc import Iterator

from pipeline import expectations
from pipeline.config import Config

HEAD = """# Configuration

A run is described by one YAML file, by flags, or by both: `metaprior run --config FILE --data PATH --model NAME
--set key=value`. Flags win over the file, and `--set` over the other flags. Every key can be set, by its path:
`--set training.epochs=5`, `--set model.parameters.beta=4`. Only `data.source` must be given. Paths are relative to
the current folder. `metaprior config`, with the same flags, prints the whole configuration a run would take.

A key that does not exist, a value of the wrong type, and a combination that means nothing are refused before
anything starts, a line each. `on`, `off`, `yes` and `no` are text, as in YAML 1.2.

This page is written by `metaprior config --markdown`.
"""

WITHOUT_DEFAULT = {"name": "from the data", "data.source": "must be given"}


def markdown() -> str:
    """Returns docs/configuration.md: a table of keys for each section."""
    schema = Config.model_json_schema()
    return "\n".join([HEAD, *_section("", schema, schema)])


def _section(path: str, node: dict, schema: dict) -> Iterator[str]:
    section = expectations.resolve(node, schema)
    properties = section["properties"]
    inner = [key for key, field in properties.items() if expectations.is_section(field, schema)]
    yield f"## {path or 'The run'}\n"
    yield section["description"] + "\n"
    yield "| key | what | value | default |\n| --- | --- | --- | --- |"
    for key, field in properties.items():
        if key not in inner:
            yield _row(f"{path}.{key}".lstrip("."), field, schema=schema)
    yield ""
    if path == "evaluation":
        bound = {"$ref": "#/$defs/Bound"}
        yield from _section("evaluation.bless.METRIC", bound, schema)
    for key in inner:
        yield from _section(f"{path}.{key}".lstrip("."), properties[key], schema)


def _row(path: str, field: dict, *, schema: dict) -> str:
    default = f"`{json.dumps(field['default'])}`" if "default" in field else WITHOUT_DEFAULT[path]
    cells = (f"`{path}`", field["description"], expectations.describe(field, schema), default)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
