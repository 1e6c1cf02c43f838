"""The last blessed model's space, and the way into it."""

from dataclasses import dataclass
from pathlib import Path

from components.metrics.procrustes import Alignment


@dataclass(frozen=True)
class LastSpace:
    """The last blessed model's space.

    Args:
        root: folder of its Embeddings of the same data.
        alignment: leads codes of the model that is measured into it.
    """

    root: Path
    alignment: Alignment
