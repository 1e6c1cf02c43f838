"""The built-in `digits`: 1,797 scans of handwritten digits that scikit-learn carries."""

from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from models.features.spec import FeatureSpec
from pipeline.ingestion.arrays import ArraySource, Block
from pipeline.ingestion.source import Description, Shard

LABEL = "label"
COUNT = 1797


class Digits(ArraySource):
    """Images of 8x8x1, uint8, ten classes under the key `label`.

    The scans have 17 grey levels (0 to 16), spread over 0 to 255.

    Reference: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """

    kind = "digits"

    def _inspect(self) -> Description:
        self.only_label(LABEL)
        spec = self.settle(FeatureSpec("image", (8, 8, 1), "uint8", label=LABEL))
        return Description("digits", "digits", spec, COUNT, f"scikit-learn {version('scikit-learn')}")

    def _shards(self) -> list[Shard]:
        """Returns one shard."""
        return [Shard("")]

    def blocks(self, shard: Shard) -> Iterator[Block]:
        """Yields all scans at once (115 kB)."""
        from sklearn.datasets import load_digits  # slow to import, and needed nowhere else

        scans = load_digits()
        images = np.round(scans.images * (255 / 16)).astype(np.uint8)
        yield self.labelled(images, scans.target)
