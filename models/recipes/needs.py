"""What recipes need of the data beside x, and how to say that it is missing; free of TensorFlow."""

from collections.abc import Iterable, Sequence

from models.errors import InputError
from models.features.spec import FeatureSpec

ROLES = {"label": "a label", "sensitive": "a sensitive attribute", "factors": "ground-truth factors"}
"""Role -> what it is called in a sentence."""
SHOWN = 12  # candidates that a message names


def missing(needs: Iterable[str], spec: FeatureSpec) -> list[str]:
    """Returns which of the needed roles the data lack, in order."""
    return [role for role in needs if not getattr(spec, role)]


def check_needs(name: str, needs: Sequence[str], spec: FeatureSpec) -> None:
    """Checks that the data have what a recipe needs beside x.

    Args:
        name: the recipe, for the message.
        needs: any of `label`, `sensitive`, `factors`.
        spec: description of the data.

    Raises:
        InputError: naming the first role that is missing, and the columns that could play it.
    """
    for role in missing(needs, spec):
        raise InputError(f"`{name}` needs {ROLES[role]}. {remedy(role, candidates(role, spec))}")


def candidates(role: str, spec: FeatureSpec) -> list[str]:
    """Returns the input columns of a table that could play a role, the likeliest first.

    Categories are groups and classes already; factors are whole numbers.
    """
    kinds = (spec.numeric,) if role == "factors" else (spec.categorical, spec.numeric)
    return [column.name for columns in kinds for column in columns]


def remedy(role: str, names: Sequence[str]) -> str:
    """Returns the sentence that says how to give the data a role.

    Args:
        role: `label`, `sensitive` or `factors`.
        names: columns or arrays that could play it, the likeliest first.

    Example:
        >>> remedy("label", ["job", "sex"])
        'Set data.label to one of: job, sex.'
    """
    if not names:
        return f"Set data.{role}."
    if len(names) == 1:
        return f"Set data.{role} to {names[0]}."
    which = "some" if role == "factors" else "one"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Set data.{role} to {which} of: {', '.join(names[:SHOWN])}{more}."
