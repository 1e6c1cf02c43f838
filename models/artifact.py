"""What the trained model artifact holds: names of its parts, and the record its encoder carries everywhere."""

import json
from pathlib import Path
from typing import Any

from models.features.spec import FeatureSpec

SERVING = Path("Format-Serving")
KERAS = Path("Format-Keras", "model.keras")
BASELINES = Path("Format-Baselines")
GOLDEN = Path("golden.json")
TRAINING = Path("training.json")
CONFIGURATION = Path("configuration.json")
PICTURES = Path("pictures")
"""PNG files of what a model of images makes of its data: reconstructions, samples, traversals."""
METADATA = Path("assets.extra", "metaprior.json")
"""Of the encoder's record, inside `SERVING`: it travels with every pushed version."""
ALIGNMENT = Path("assets.extra", "alignment.npz")
"""Of the map into the last blessed model's space, inside `SERVING`, where there is one: `matrix`, `offset`."""


def read_metadata(saved_model: str | Path) -> dict[str, Any]:
    """Returns the record that an exported encoder carries: space id, recipe, latent, data spec.

    Args:
        saved_model: folder of an exported encoder (`SERVING`, or a pushed version).
    """
    return json.loads(Path(saved_model, METADATA).read_text(encoding="utf-8"))


def read_spec(record: dict[str, Any]) -> FeatureSpec:
    """Returns the description of the data an encoder was trained on."""
    return FeatureSpec.from_json(json.dumps(record["spec"]))
