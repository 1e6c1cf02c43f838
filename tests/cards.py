"""What a model card is made of, beside an evaluation."""

import dataclasses

from components.pusher.card import Lineage
from models.features.spec import Column, FeatureSpec

TRAINING = {
    "steps": 1320,
    "epochs": 60,
    "best_epoch": 56,
    "stopped": "limit",
    "seconds": 27.8,
    "rate": 6.15,
    "distortion": 19.26,
    "elbo": -25.41,
    "warnings": [],
}
LINEAGE = Lineage(model=7, evaluation=11, fingerprint="0123456789ab", served="encoder")
TABLE = FeatureSpec(
    kind="table",
    shape=(9,),
    label="income",
    sensitive="sex",
    columns=(Column("age", "numeric"), Column("job|kind", "categorical")),
)


def record(spec: FeatureSpec = TABLE) -> dict:
    """What an exported encoder says of itself, as far as a card reads it."""
    return {"spec": dataclasses.asdict(spec), "metaprior": "0.1.0"}
