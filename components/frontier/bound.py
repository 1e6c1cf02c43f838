"""The bound H - D <= R, and where it holds.

With a normalized p(x|z) of discrete x, a code cannot take less than what is to be told:

    R + D >= -E log p(x) >= H,  D = E_q[-log p(x|z)]

A density has no such bound, and the Bernoulli score of grey levels is not a normalized likelihood.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from components.frontier.schema import InformationBound
from models.features.spec import FeatureSpec
from models.recipes.choices import likelihood_for

REASONS = {
    "gaussian": "the likelihood is a density, and densities have no such bound",
    "gaussian_learned": "the likelihood is a density, and densities have no such bound",
}
TOLD = "a recipe of the sweep is told a label, an attribute or factors, or explains them instead of the data"
MISSING = "cells are missing, which the likelihood leaves out"
GREY = "the pixels are grey levels, of which the Bernoulli score is not a normalized likelihood"
HOLDS = "the likelihood is normalized and the data is discrete"


def information_bound(
    spec: FeatureSpec, likelihood: str, records: Iterable[bytes], *, sums: Sequence[float], told: bool
) -> InformationBound:
    """Returns the bound of a sweep.

    Args:
        spec: description of the data.
        likelihood: the configuration's `model.likelihood`.
        records: serialized examples of the evaluation split; read only where the bound may apply.
        sums: rate plus sampled distortion of each trial on that split, nats; at least one.
        told: whether a recipe needs more than the data.
    """
    reason = TOLD if told else _refusal(spec, likelihood)
    if reason:
        return InformationBound(applies=False, reason=reason)
    counts: Counter[bytes] = Counter()
    for record in records:
        features = tf.train.Example.FromString(record).features.feature
        fault = _fault(features, spec)
        if fault:
            return InformationBound(applies=False, reason=fault)
        counts[_digest(features, spec)] += 1
    found = entropy(np.array(list(counts.values())))
    return InformationBound(applies=True, reason=HOLDS, entropy=found, distinct=len(counts), slack=min(sums) - found)


def entropy(counts: np.ndarray) -> float:
    """Returns the entropy of an empirical distribution, nats: log(n) where n examples are all distinct.

        H = -sum_i (c_i / n) log(c_i / n)

    Args:
        counts: how often each distinct example occurs.
    """
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _refusal(spec: FeatureSpec, likelihood: str) -> str | None:
    """Returns why the bound cannot apply, as far as the description of the data tells."""
    if spec.kind == "table":
        return REASONS["gaussian"] if spec.numeric else None
    return REASONS.get(likelihood_for(spec, likelihood))


def _fault(features, spec: FeatureSpec) -> str | None:
    """Returns why one example keeps the bound from applying."""
    if spec.kind == "image":
        return None if _binary(features["image"].bytes_list.value[0], spec) else GREY
    return None if all(column.name in features for column in spec.columns) else MISSING


def _binary(image: bytes, spec: FeatureSpec) -> bool:
    levels = np.unique(np.frombuffer(image, spec.dtype))
    return set(levels.tolist()) <= {0, 255 if spec.dtype == "uint8" else 1}


def _digest(features, spec: FeatureSpec) -> bytes:
    """Returns what tells one example's inputs from another's, in 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for key in [column.name for column in spec.columns] or [spec.kind]:
        digest.update(features[key].SerializeToString(deterministic=True) + b"\0")
    return digest.digest()
