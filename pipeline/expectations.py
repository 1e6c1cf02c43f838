"""What a field of the configuration expects, in words: read from its JSON schema."""

from typing import Any

Node = dict[str, Any]


def describe(node: Node, root: Node) -> str:
    """Returns what a value must be, as a noun phrase that follows "must be".

    Args:
        node: the field's JSON schema.
        root: the whole schema, which holds the definitions.

    Example:
        >>> describe({"type": "integer", "minimum": 1}, {})
        'a whole number of at least 1'
    """
    node = resolve(node, root)
    if "expects" in node:
        return node["expects"]
    if "anyOf" in node:
        *options, last = (describe(option, root) for option in node["anyOf"])
        return " or ".join(options) + (", or null" if last == "null" else f" or {last}")
    if "enum" in node:
        values = [str(value) for value in node["enum"]]
        return " or ".join(values) if len(values) == 2 else "one of " + ", ".join(values)
    if "const" in node:
        return str(node["const"])
    return _of_type(node, root)


def resolve(node: Node, root: Node) -> Node:
    """Returns the node a reference points to, or the node itself."""
    reference = node.get("$ref")
    return root["$defs"][reference.rsplit("/", 1)[1]] if reference else node


def descend(node: Node, key: str, root: Node) -> Node | None:
    """Returns the schema of one key of a section, or None where the key is unknown."""
    for option in [node, *node.get("anyOf", [])]:
        section = resolve(option, root)
        if key in section.get("properties", {}):
            return section["properties"][key]
        others = section.get("additionalProperties")
        if isinstance(others, dict):
            return others
    return None


def keys(node: Node, root: Node) -> list[str]:
    """Returns the keys a section knows, in order."""
    return list(resolve(node, root).get("properties", {}))


def is_section(node: Node, root: Node) -> bool:
    """Returns whether a field is a section of fixed keys."""
    return "properties" in resolve(node, root)


def _of_type(node: Node, root: Node) -> str:
    kind = node.get("type")
    if kind == "integer":
        return "a whole number" + _bounds(node)
    if kind == "number":
        return "a number" + _bounds(node)
    if kind == "array":
        return _array(node, root)
    if kind == "object":
        known = keys(node, root)
        return f"a section with the keys {', '.join(known)}" if known else "a section of keys and values"
    names = {"boolean": "true or false", "null": "null", "string": "text"}
    return "a path" if node.get("format") == "path" else names.get(str(kind), "a value")


def _array(node: Node, root: Node) -> str:
    if "prefixItems" in node:
        items = node["prefixItems"]
        return f"a list of {len(items)} values, each {describe(items[0], root)}"
    return f"a list of values, each {describe(node['items'], root)}"


def _bounds(node: Node) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high = node.get("maximum")
    if high is None and "exclusiveMaximum" in node:
        high = node["exclusiveMaximum"] - 1
    if above is not None:
        return f" greater than {above:g}" + (f" and at most {high:g}" if high is not None else "")
    if low is None:
        return ""
    return f" of at least {low:g}" if high is None else f" from {low:g} to {high:.10g}"
