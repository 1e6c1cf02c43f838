"""A SavedModel with one signature more, without the code that trained it."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.metrics.procrustes import Alignment
from models.atomic import link
from models.saved_model import inputs, rename_inputs, signatures

EMBED, ALIGNED = "embed", "embed_aligned"
BYTES = "_bytes"
"""What follows a signature's name in that of its twin, which takes image files."""


def write_aligned(saved_model: Path, alignment: Alignment, target: Path) -> None:
    """Writes a SavedModel that has the signature `embed_aligned` beside all that the given one has.

    It takes what `embed` takes, and answers `embedding` and `stddev` [batch, old latent] in the old space and the
    `rate` [batch] of `embed`. An encoder that has `embed_bytes` gets `embed_aligned_bytes`, too. The graphs of the
    other signatures are saved again as they were loaded.

    Args:
        saved_model: folder of the exported encoder.
        alignment: of its codes to the old space.
        target: folder to write.
    """
    specs = inputs(saved_model, EMBED)
    alike = sorted(name for name in signatures(saved_model) if inputs(saved_model, name) == specs)
    # TensorFlow saves no inputs by names like `job/kind`: they are numbered, and get their names back at the end.
    numbered = {name: f"input_{place}" for place, name in enumerate(sorted(specs))}
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        plain = Path(folder, "plain")
        shutil.copytree(saved_model, plain, copy_function=link)
        rename_inputs(plain, alike, numbered)
        loaded = tf.saved_model.load(str(plain))
        whole = dict(loaded.signatures)
        for suffix in ("", BYTES) if EMBED + BYTES in whole else ("",):
            aligned, taken = _aligned(loaded.signatures[EMBED + suffix], alignment), inputs(plain, EMBED + suffix)
            asked = {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in taken.items()}
            whole[ALIGNED + suffix] = aligned.get_concrete_function(**asked)
        tf.saved_model.save(loaded, str(target), signatures=whole)
    rename_inputs(target, [*alike, ALIGNED], {plain: name for name, plain in numbered.items()})


def _aligned(embed: Any, alignment: Alignment) -> Any:
    """Returns a function of what a loaded signature takes, whose codes are in the old space."""
    matrix, offset = (tf.constant(value, tf.float32) for value in (alignment.matrix, alignment.offset))

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def aligned(**raw: tf.Tensor) -> dict[str, tf.Tensor]:
        codes = embed(**raw)
        return {
            "embedding": codes["embedding"] @ matrix + offset,
            "stddev": tf.sqrt(codes["stddev"] ** 2 @ matrix**2),
            "rate": codes["rate"],
        }

    return aligned
