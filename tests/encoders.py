"""Small encoders as the Pusher leaves them, whose codes are their inputs, and tables of codes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from models.artifact import METADATA

SPACE, OTHER = "vae-2-0123456789ab", "vae-2-ba9876543210"


class Identity(tf.Module):
    """Its embedding of a vector is the vector, the rate the vector's sum; `double` embeds nothing."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "vector")])
    def embed(self, vector):
        vector = tf.ensure_shape(vector, [None, 2])
        return {"embedding": vector, "stddev": tf.ones_like(vector), "rate": tf.reduce_sum(vector, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "vector")])
    def double(self, vector):
        return {"doubled": 2.0 * vector}


def record(space: str, latent: int) -> str:
    """What an encoder says about itself, as far as readers of embeddings look at it."""
    return json.dumps({"space": space, "latent": latent, "recipe": "vae"})


def write_encoder(folder: Path, version: int, *, space: str | None = SPACE) -> Path:
    """Writes one version of the encoder below a folder; without a space, without a record."""
    path, module = folder / str(version), Identity()
    signatures = {"serving_default": module.embed, "embed": module.embed, "double": module.double}
    tf.saved_model.save(module, str(path), signatures=signatures)
    if space:
        (path / METADATA).parent.mkdir()
        (path / METADATA).write_text(record(space, 2))
    return path


def write_codes(
    path: Path, codes: np.ndarray, *, space: str = SPACE, start: int = 0, rows: int = 1_000, **more
) -> Path:
    """Writes a Parquet file of embeddings.

    Args:
        path: the file.
        codes: [n, latent].
        space: id of their space.
        start: number of the first row's id.
        rows: most rows of a row group.
        more: further columns.
    """
    columns = {
        "id": [f"row {start + row}" for row in range(len(codes))],
        "embedding": pa.array(list(codes.astype(np.float32)), pa.list_(pa.float32())),
        **more,
    }
    table = pa.table(columns).replace_schema_metadata({"metaprior": record(space, codes.shape[1])})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows)
    return path
