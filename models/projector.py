"""Embeddings for TensorBoard's projector: a table of codes, their labels, and a sheet of thumbnails."""

import math
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

from models.features.spec import FeatureSpec
from models.pictures import grid

MOST = 1000
SHEET = 4096  # pixels a side


def write(model: keras.Model, batches: Iterable[dict[str, tf.Tensor]], *, spec: FeatureSpec, folder: Path) -> None:
    """Writes posterior means of up to 1,000 examples and what TensorBoard needs to show them.

    Args:
        model: an autoencoder.
        batches: the model's batches, such as an evaluation split.
        spec: description of the data, resolved.
        folder: a run's folder below TensorBoard's log folder; it must hold event files, too.
    """
    config = projector.ProjectorConfig()
    info = config.embeddings.add(tensor_name="embedding", tensor_path="embeddings.tsv", metadata_path="labels.tsv")
    codes, columns, images = _collect(model, batches, spec)
    np.savetxt(folder / info.tensor_path, codes, fmt="%.6g", delimiter="\t")
    (folder / info.metadata_path).write_text(_table(columns), encoding="utf-8")
    side = math.ceil(math.sqrt(len(codes)))
    if spec.kind == "image" and max(spec.shape[:2]) * side <= SHEET:
        info.sprite.image_path = "thumbnails.png"
        info.sprite.single_image_dim.extend([spec.shape[1], spec.shape[0]])
        rest = np.zeros((side * side - len(images), *spec.shape), np.float32)  # the sheet must be square
        sheet = grid(np.concatenate([images, rest]), columns=side, gap=0)
        keras.utils.save_img(folder / info.sprite.image_path, sheet * 255, scale=False)
    projector.visualize_embeddings(str(folder), config)


def _collect(
    model: keras.Model, batches: Iterable[dict[str, tf.Tensor]], spec: FeatureSpec
) -> tuple[np.ndarray, dict[str, list[str]], np.ndarray]:
    codes, images, columns = [], [], {}
    for batch in batches:
        codes.append(np.asarray(model.encode(batch["x"]).mean()))
        images.append(batch["x"])
        for name, values in (("label", spec.classes), ("sensitive", spec.groups)):
            if name in batch:
                columns.setdefault(name, []).extend(_name(values, index) for index in batch[name].numpy())
        if sum(map(len, codes)) >= MOST:
            break
    codes, images = np.concatenate(codes)[:MOST], np.concatenate(images)[:MOST]
    columns = columns or {"example": [str(index) for index in range(len(codes))]}
    return codes, {name: values[:MOST] for name, values in columns.items()}, images


def _name(values: tuple[str, ...], index: int) -> str:
    return " ".join(values[index].split()) if index >= 0 else "missing"


def _table(columns: dict[str, list[str]]) -> str:
    rows = ["\t".join(row) for row in zip(*columns.values(), strict=True)]
    header = ["\t".join(columns)] if len(columns) > 1 else []  # the projector takes a single column's header for data
    return "\n".join([*header, *rows]) + "\n"
