"""Which example generator for which source: a module per kind of source, and what they share.

Nothing heavier than NumPy, Pillow and Arrow comes in here. The Beam and TFX sides are
`pipeline.ingestion.read` and `pipeline.ingestion.ingest`.
"""

from pipeline.ingestion.kinds import BUILT_IN, open_source
from pipeline.ingestion.source import Description, Record, Shard, Source

__all__ = ["BUILT_IN", "Description", "Record", "Shard", "Source", "open_source"]
