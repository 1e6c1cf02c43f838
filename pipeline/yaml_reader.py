"""YAML as people mean it: no key twice, `on` and `yes` are text, 1e-3 is a number, errors say where."""

import re
from typing import Any

import yaml

from models.errors import InputError

UNTYPED = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?$|^[-+]?[0-9]+[eE][-+]?[0-9]+$|^[-+]?\.inf$|^\.nan$"
)


class Reader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2; a key that stands twice is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag not in UNTYPED]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Returns the mapping.

        Raises:
            yaml.constructor.ConstructorError: if a key stands in it twice.
        """
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                problem = f"the key {key.value} stands here and in line {lines[key.value]}; keep one"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[str(key.value)] = line
        return super().construct_mapping(node, deep)


Reader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
Reader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))


def parse(text: str, *, origin: str) -> Any:
    """Returns what a YAML text holds.

    Args:
        text: the YAML.
        origin: where it comes from; begins the message of an error.

    Raises:
        InputError: if it is not YAML, or a key stands twice.
    """
    try:
        return yaml.load(text, Loader=Reader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{origin}{where}: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{origin}: not YAML: {str(error).splitlines()[0]}.") from error
