"""The evaluation for TensorBoard: scalars, curves of precision by recall, and the model's pictures."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.pr_curve import summary as precision_recall

from components.evaluator.schema import Evaluation, Metric
from components.evaluator.wording import heading
from components.report import BOARD_FOLDER
from components.report.pictures import KNOWN
from components.report.predictions import Answers
from models.atomic import placed

THRESHOLDS = 201


def write(
    evaluation: Evaluation, folder: Path, *, step: int, files: Mapping[str, bytes], answers: Iterable[Answers]
) -> None:
    """Writes `tensorboard/<representation>` below a folder, all of it or nothing.

    A metric has the same tag, its name, in the run of every representation, so that one chart holds them all.

    Args:
        evaluation: the numbers.
        folder: the evaluation artifact's folder.
        step: the training step of the model's weights.
        files: PNG files of what the decoder makes of codes, by name.
        answers: the linear probe's, class by class.
    """
    with placed(folder / BOARD_FOLDER) as path:
        for name in dict.fromkeys(metric.representation for metric in evaluation.metrics):
            writer = tf.summary.create_file_writer(str(path / name))
            with writer.as_default(step=step):
                _scalars([m for m in evaluation.metrics if m.representation == name], evaluation.data.explains)
                if name == "encoder":
                    _images(files)
                    _curves(answers, step)
            writer.close()


def _scalars(metrics: Iterable[Metric], explains: str) -> None:
    for metric in metrics:
        note = f" {metric.note}." if metric.note else ""
        text = f"{heading(metric.name, explains=explains)}, {metric.unit}, of {metric.count:,} examples.{note}"
        tf.summary.scalar(metric.name, metric.value, description=text)


def _images(files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        tf.summary.image(name, tf.io.decode_png(content)[None], description=KNOWN[name][1])


def _curves(answers: Iterable[Answers], step: int) -> None:
    for one in answers:
        curve = precision_recall.pb(
            f"linear probe/{one.name}",
            one.truth,
            one.probability.clip(0.0, 1.0),
            num_thresholds=THRESHOLDS,
            description="Precision by recall of the linear probe with all labels, this class against the others.",
        )
        tf.summary.experimental.write_raw_pb(curve.SerializeToString(), step=step)
