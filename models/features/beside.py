"""What stands beside an example's code in an Embeddings table: under which name, and of which kind."""

from models.features.spec import FeatureSpec


def slice_columns(spec: FeatureSpec) -> dict[str, str]:
    """Returns the data's columns of one value an example, the id left out, and their names in Embeddings tables.

    Args:
        spec: description of the data.

    Returns:
        The user's own name -> `label`, `sensitive`, `factor:<name>`, `target:<name>`, or `slice:<name>` for
        an input column of a table, which is written where `evaluation.slices` names it.

    Example:
        >>> slice_columns(FeatureSpec("vector", (2,), label="digit", factors=("size",), factor_sizes=(3,)))
        {'digit': 'label', 'size': 'factor:size'}
    """
    named = {spec.label: "label", spec.sensitive: "sensitive"}
    found = {name: column for name, column in named.items() if name}
    found |= {name: f"factor:{name}" for name in spec.factors}
    found |= {target.name: f"target:{target.name}" for target in spec.targets if target.kind != "multilabel"}
    return found | {column.name: f"slice:{column.name}" for column in spec.columns}
