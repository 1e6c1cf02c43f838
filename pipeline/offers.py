"""Which columns or arrays of a source could play a role that none plays yet."""

from models.recipes import needs
from pipeline.ingestion.images import ImageFolder
from pipeline.ingestion.npz import Npz, members
from pipeline.ingestion.source import Source
from pipeline.ingestion.table import Table

CLASSES, FACTORS = "biuUS", "iu"  # NumPy's kinds of elements that name classes, and that number factors


def of(source: Source, role: str) -> list[str]:
    """Returns the names that `data.<role>` could have, the likeliest first; empty if the source has none.

    Args:
        source: the input, which reads its headers at most.
        role: `label`, `sensitive` or `factors`.
    """
    match source:
        case Table():
            return needs.candidates(role, source.spec)
        case Npz():
            return _arrays(source, role)
    return []


def advice(source: Source, role: str) -> str:
    """Returns the sentence that says how this source gets a role, or that it cannot."""
    match source:
        case Table() | Npz():
            return needs.remedy(role, of(source, role))
        case ImageFolder() if role == "label":
            return "Put the images of each class into a subfolder of its own."
    them = "them" if role == "factors" else "one"
    return f"{source.name} has none; a table or an npz file can name {them}."


def _arrays(source: Npz, role: str) -> list[str]:
    """Arrays with one value an example, of a suitable type, that have no role."""
    rows = next(iter(source.parts.values()))
    count = next(iter(rows.values())).shape[0]
    taken = {array.name for array in rows.values()}
    kinds = FACTORS if role == "factors" else CLASSES
    arrays = members(source.path).values()
    return [a.name for a in arrays if a.name not in taken and a.shape == (count,) and a.dtype.kind in kinds]
