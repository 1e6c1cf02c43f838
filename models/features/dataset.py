"""Batches from record files, in an order that depends on the seed and the epoch alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from models.features.encoding import Tensors, assemble, graph_inputs, parse
from models.features.groups import arrange
from models.features.spec import FeatureSpec

BLOCK_BYTES = 64 * 2**20
BLOCK_MOST = 20_000
PARALLEL = 2


@dataclass(frozen=True)
class Examples:
    """One split of the data: record files, and what turns their records into batches.

    Args:
        files: paths or patterns of TFRecord files; names that end in `.gz` are compressed.
        transform: what Transform learned.
        spec: description of the data, resolved.
    """

    files: Sequence[str]
    transform: tft.TFTransformOutput
    spec: FeatureSpec

    def paths(self) -> list[str]:
        """Returns the files' paths, sorted."""
        return sorted(path for pattern in self.files for path in tf.io.gfile.glob(pattern))

    def records(self) -> tf.data.Dataset:
        """Returns the serialized examples in the order of the files."""
        return _read(tf.constant(self.paths(), tf.string))

    def count(self) -> int:
        """Returns the number of examples; reads every file once."""
        return int(self.records().batch(4096).reduce(0, lambda total, batch: total + tf.size(batch)))

    def evaluation(self, *, batch: int) -> tf.data.Dataset:
        """Returns every example once, in the order of the files; the last batch may be smaller."""
        return self._assembled(self.records().batch(batch))

    def training(
        self, *, batch: int, steps: int, seed: int, start: int = 0, extrinsic: Sequence[int] | None = None
    ) -> tf.data.Dataset:
        """Returns an endless stream of full batches, shuffled anew in every epoch.

        The order of epoch e is a function of (seed, e), so a stream that starts later goes through the
        same batches as one that started at step 0 and went on until there. To start in the middle of an
        epoch costs reading this epoch's records up to there, neither parsed nor transformed.

        Records are shuffled in blocks of at most 20,000 and 64 MiB, two of which are in memory, and the
        files in themselves: data that fits into one block is shuffled uniformly.

        Args:
            batch: examples a step.
            steps: steps an epoch; at most the number of examples // `batch`.
            seed: decides the order.
            start: the first step, counted from the beginning of training.
            extrinsic: positions of factors, for batches of groups that differ in one respect, see
                `models.features.groups`; such an epoch draws batches from each block and need not hold
                every example.
        """
        paths = tf.constant(self.paths(), tf.string)
        first, offset = divmod(start, steps)

        @tf.autograph.experimental.do_not_convert
        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            order = tf.stack([tf.cast(seed, tf.int64), number])
            blocks = self._shuffled(paths, order)
            if extrinsic is None:
                return blocks.rebatch(batch, drop_remainder=True).take(steps)
            return self._grouped(blocks, extrinsic, batch=batch, seed=order).take(steps)

        here = epoch(tf.constant(first, tf.int64)).skip(offset)
        later = tf.data.Dataset.range(first + 1, tf.int64.max).flat_map(epoch)
        return self._assembled(here.concatenate(later))

    def _shuffled(self, paths: tf.Tensor, seed: tf.Tensor) -> tf.data.Dataset:
        shuffle = tf.random.experimental.stateless_shuffle
        width = len(self.spec.columns) * 16 or self.spec.width * tf.as_dtype(self.spec.dtype).size
        blocks = _read(shuffle(paths, seed)).batch(max(1, min(BLOCK_MOST, BLOCK_BYTES // width)))

        @tf.autograph.experimental.do_not_convert
        def shuffled(index: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
            return shuffle(block, tf.random.experimental.stateless_fold_in(seed, index))

        return blocks.enumerate().map(shuffled).prefetch(1)

    def _grouped(
        self, blocks: tf.data.Dataset, extrinsic: Sequence[int], *, batch: int, seed: tf.Tensor
    ) -> tf.data.Dataset:
        feature = tf.io.FixedLenFeature([], tf.int64, default_value=-1)
        names = list(self.spec.factors)

        @tf.autograph.experimental.do_not_convert
        def batches(index: tf.Tensor, block: tf.Tensor) -> tf.data.Dataset:
            parsed: Any = tf.io.parse_example(block, dict.fromkeys(names, feature))
            factors = tf.stack([parsed[name] for name in names], axis=1)  # [count, factors]
            own = tf.random.experimental.stateless_fold_in(seed, index)
            arranged: Any = arrange(block, factors, extrinsic, batch=batch, seed=own)
            return tf.data.Dataset.from_tensor_slices(arranged)

        return blocks.enumerate().flat_map(batches)  # pyright: ignore[reportArgumentType]

    def _assembled(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        layer, declared = self.transform.transform_features_layer(), self.transform.raw_feature_spec()

        @tf.autograph.experimental.do_not_convert
        def batch_of(examples: tf.Tensor, beside: Tensors | None = None) -> Tensors:
            raw = parse(examples, self.spec, roles=True)
            return {**assemble(layer(graph_inputs(raw, declared)), self.spec), **(beside or {})}

        batches = batches.map(batch_of, num_parallel_calls=PARALLEL, deterministic=True).prefetch(4)
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread makes Keras wait at the start of epochs
        options.deterministic = True
        return batches.with_options(options)


def _read(paths: tf.Tensor) -> tf.data.Dataset:
    files = tf.data.Dataset.from_tensor_slices(paths)
    return files.interleave(_records, cycle_length=4, block_length=16)


@tf.autograph.experimental.do_not_convert
def _records(path: tf.Tensor) -> tf.data.Dataset:
    compression: Any = tf.where(tf.strings.regex_full_match(path, r".*\.gz"), "GZIP", "")
    return tf.data.TFRecordDataset(path, compression_type=compression)
