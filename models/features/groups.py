"""Batches of examples that differ in one respect, for models that learn from what keeps still."""

from collections.abc import Sequence

import tensorflow as tf

ELSE = 10.0  # batches in which everything but the extrinsic factors varies, for one of each factor


def arrange(
    records: tf.Tensor, factors: tf.Tensor, extrinsic: Sequence[int], *, batch: int, seed: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the records of one block as batches of groups.

    Every batch has one respect in which the examples of its groups differ: one extrinsic factor, all others
    being equal, or everything but the extrinsic factors. A batch is a run of as many groups as it takes;
    groups that the data hold one example of have one. Kinds are drawn in the proportion 1 : ... : 1 : 10.

    Args:
        records: serialized examples in a random order, [count].
        factors: their ground-truth factors, int64 [count, factors].
        extrinsic: positions of the extrinsic factors.
        batch: examples a batch.
        seed: decides which kinds are drawn and the order of the groups, int64 [2].

    Returns:
        Records [batches, batch] and, of the same shape, int64 `group` (numbers within the batch) and
        `varying` (position in `extrinsic`, or its length).

    Reference:
        Kulkarni et al. 2015, Deep Convolutional Inverse Graphics Network, arXiv:1503.03167, Section 3.2.
    """
    fold = tf.random.experimental.stateless_fold_in
    count = tf.shape(records)[0]
    batches = (count + batch - 1) // batch
    kinds = len(extrinsic) + 1
    keys = tf.stack([_keys(factors, _fixed(range(factors.shape[-1] or 0), extrinsic, kind)) for kind in range(kinds)])
    orders = tf.stack([_order(keys[kind], fold(seed, kind)) for kind in range(kinds)])  # [kinds, count]
    shares = tf.math.log([[1.0] * len(extrinsic) + [ELSE]])
    drawn = tf.random.stateless_categorical(shares, batches, fold(seed, kinds))[0]  # [batches]
    places = tf.reshape(tf.range(batches * batch) % count, [batches, batch])
    rows = tf.gather(tf.gather(orders, drawn), places, batch_dims=1)
    group = tf.map_fn(
        lambda pair: tf.unique(tf.gather(tf.gather(keys, pair[0]), pair[1]), tf.int64).idx,
        (drawn, rows),
        fn_output_signature=tf.TensorSpec([batch], tf.int64),
    )
    varying = tf.broadcast_to(drawn[:, None], tf.shape(rows))
    return tf.gather(records, rows), {"group": group, "varying": varying}


def _fixed(factors: Sequence[int], extrinsic: Sequence[int], kind: int) -> list[int]:
    """The factors that are equal in groups of a kind."""
    if kind == len(extrinsic):
        return list(extrinsic)
    return [factor for factor in factors if factor != extrinsic[kind]]


def _keys(factors: tf.Tensor, fixed: Sequence[int]) -> tf.Tensor:
    """The number of each row's combination of the fixed factors, int64 [count]."""
    key = tf.zeros_like(factors[:, 0])
    for factor in fixed:
        column = tf.unique(factors[:, factor], tf.int64).idx
        # Numbered afresh with every factor: below the number of rows, where a product of ranges could overflow.
        key = tf.unique(key * (tf.reduce_max(column) + 1) + column, tf.int64).idx
    return key


def _order(keys: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """An order of the rows in which equal keys are neighbors and the keys come in a random order: int32 [count]."""
    groups, index = tf.unique(keys)
    ranks = tf.random.experimental.stateless_shuffle(tf.range(tf.size(groups)), seed)
    return tf.argsort(tf.gather(ranks, index), stable=True)
