"""Fits the alignment on the training examples that both encoders embedded, and exports it with the new encoder."""

import heapq
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from components.aligner.export import ALIGNED, BYTES, EMBED, write_aligned
from components.evaluator import rows
from components.evaluator.wording import NOT_FINITE
from components.metrics.procrustes import Alignment, Moments, fit
from components.metrics.undefined import UndefinedError
from models import warmup
from models.artifact import ALIGNMENT, GOLDEN, METADATA, SERVING, read_metadata
from models.atomic import link, placed, write_whole
from models.features.ids import digest

TRAIN = "train"
MOST = 50_000
"""Examples behind a fit: a hundred times more than a wide space has dimensions, in bounded memory."""
BATCH = 4_096
TOLD = ("space", "recipe", "parameters", "objective", "latent", "metaprior")
"""What an aligned encoder's record says of the encoder it is aligned to."""


def fitted(new: Path, old: Path) -> Alignment:
    """Returns the alignment of one model's space to another's.

    Of more than 50,000 training examples those with the smallest SHA-256 of their id are taken.

    Args:
        new: folder of the model's Embeddings artifact.
        old: folder of the last blessed model's Embeddings of the same data.

    Raises:
        InputError: if the two do not hold the same examples, or a code of the model itself is not finite.
        UndefinedError: if there are too few examples, a code of the last blessed model is not finite, or all codes of
            one of the models are the same.
    """
    ids = heapq.nsmallest(MOST, _ids(new), key=digest)
    codes = _codes(new, ids)
    try:
        last = _codes(old, ids)
    except rows.NotFiniteError as error:  # that model is trained and served: no new one could mend it
        raise UndefinedError(NOT_FINITE) from error
    moments = Moments()
    for start in range(0, len(ids), BATCH):
        moments.add(codes[start : start + BATCH], last[start : start + BATCH])
    return fit(moments)


def linked(model: Path, target: Path) -> None:
    """Makes a model artifact appear at a second place, file by file linked."""
    shutil.copytree(model, target, copy_function=link, dirs_exist_ok=True)


def write(model: Path, alignment: Alignment, last: dict[str, Any], target: Path) -> None:
    """Writes a model artifact whose encoder also answers in the old space, by the signature `embed_aligned`.

    Image files have a signature of their own, `embed_aligned_bytes`. All but the encoder and its golden answers are
    links.

    Args:
        model: folder of the trained model artifact.
        alignment: of its codes to the old space.
        last: record of the encoder of the old space.
        target: folder of the artifact to write.
    """
    saved_model = model / SERVING
    ignored = shutil.ignore_patterns(SERVING.name, GOLDEN.name)
    shutil.copytree(model, target, copy_function=link, dirs_exist_ok=True, ignore=ignored)
    golden = json.loads((model / GOLDEN).read_text(encoding="utf-8"))
    golden["aligned"] = _answers(golden, alignment)
    write_whole(target / GOLDEN, (json.dumps(golden, indent=1, sort_keys=True) + "\n").encode())
    with placed(target / SERVING) as path:  # last: it is what makes the artifact whole
        write_aligned(saved_model, alignment, path)
        shutil.copytree(saved_model / METADATA.parent, path / METADATA.parent, copy_function=link)
        if (path / warmup.FILE).is_file():
            for suffix in ("", BYTES):
                warmup.extend(path / warmup.FILE, ALIGNED + suffix, like=EMBED + suffix)
        record(path, alignment, last)


def record(saved_model: Path, alignment: Alignment, last: dict[str, Any]) -> None:
    """Writes the map itself beside an encoder's own record, and what it leads to into it.

    Args:
        saved_model: folder of the exported encoder.
        alignment: of its codes to the old space.
        last: record of the encoder of the old space.
    """
    file = io.BytesIO()
    np.savez(file, matrix=alignment.matrix, offset=alignment.offset)
    write_whole(saved_model / ALIGNMENT, file.getvalue())
    facts = {name: last[name] for name in TOLD}
    numbers = {"scale": alignment.scale, "residual": alignment.residual, "examples": alignment.count}
    whole = read_metadata(saved_model) | {"aligned_to": facts | numbers}
    write_whole(saved_model / METADATA, (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode())


def read(saved_model: Path) -> tuple[Alignment, dict[str, Any]] | None:
    """Returns an encoder's alignment and the facts of the space it leads to; None where it has none.

    Args:
        saved_model: folder of an exported encoder.
    """
    facts = read_metadata(saved_model).get("aligned_to")
    if facts is None:
        return None
    with np.load(saved_model / ALIGNMENT, allow_pickle=False) as file:
        numbers = {name: facts[name] for name in ("scale", "residual")}
        return Alignment(file["matrix"], file["offset"], **numbers, count=facts["examples"]), facts


def _ids(root: Path) -> Iterator[str]:
    for batch in rows.stream(root, TRAIN, "embeddings", ("id",)):
        yield from batch.column("id").to_pylist()


def _codes(root: Path, ids: list[str]) -> np.ndarray:
    return rows.gather(root, TRAIN, prefix="embeddings", column="embedding", ids=ids)


def _answers(golden: dict[str, Any], alignment: Alignment) -> dict[str, list]:
    """Returns what `embed_aligned` must answer to the golden examples: the trainer's own answers, led across."""
    codes, stddev = (np.asarray(golden[name], np.float64) for name in ("embedding", "stddev"))
    return {
        "embedding": alignment.codes(codes).tolist(),
        "stddev": alignment.stddev(stddev).tolist(),
        "rate": golden["rate"],
    }
