"""Representations that cost nothing, and readers of the raw features: what an encoder must beat, and what bounds it."""

from functools import partial

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold

from components.metrics.efficiency import ProbeScore, label_efficiency
from components.metrics.probes import PROBES, Codes, Probe, mlp, standardized
from components.metrics.scores import outcomes
from components.metrics.targets import Targets

CEILING_EXAMPLES = 10_000
CHOICE_EXAMPLES = 3_000
CHOICE_FOLDS = 3
CEILING_HIDDEN = (256,)
WIDEST_FOR_TREES = 256


def pca(features: Codes, *, width: int, seed: int) -> Codes:
    """Returns the first principal components of the features, fitted on the training part.

    Args:
        features: raw features.
        width: number of components; fewer if the features or training examples are fewer.
        seed: seed of the randomized solver that wide features get.
    """
    model = PCA(min(width, *features.train.shape), random_state=seed)
    with np.errstate(invalid="ignore"):  # the shares of no variance at all, which nobody asks for
        train = model.fit_transform(features.train)
    return Codes(train=train, test=model.transform(features.test))


def ceiling(features: Codes, targets: Targets, *, seed: int) -> ProbeScore:
    """Supervised ceiling: how well a strong reader predicts the target from the raw features, with all labels.

    The reader is a network of 256 hidden units or boosted trees, whichever has the smaller mean negative
    log-likelihood in 3-fold cross-validation on at most 3,000 training examples. It learns from at most 10,000
    of them, drawn by the seed. Features of more than 256 values are left to the network.

    Args:
        features: raw features.
        targets: what to predict.
        seed: seed of the draws, the folds and the readers.

    Returns:
        The score at the budget `all`; its note names the reader and what it learned from.

    Raises:
        UndefinedError: as `label_efficiency`.
    """
    targets.check()
    rows = np.random.default_rng(seed).permutation(len(targets.train))[:CEILING_EXAMPLES]
    features = Codes(features.train[rows], features.test)
    targets = Targets(targets.train[rows], targets.test, targets.kind)
    readers = {"network of 256": Probe(standardized, partial(mlp, hidden=CEILING_HIDDEN))}
    if features.train.shape[1] <= WIDEST_FOR_TREES:
        readers["boosted trees"] = PROBES["gbt"]
    name = min(readers, key=lambda name: _surprise(readers[name], features, targets, seed))
    [found] = label_efficiency(readers[name], features, targets, budgets=("all",), seeds=1, seed=seed)
    note = f"{name}, {len(rows):,} labels; {found.note}"
    return ProbeScore("all", found.name, found.value, found.interval, 1, note, found.scores, found.outcomes)


def _surprise(reader: Probe, features: Codes, targets: Targets, seed: int) -> float:
    """Returns the reader's mean negative log-likelihood in cross-validation on the training part, nats."""
    chosen = np.arange(len(targets.train))[:CHOICE_EXAMPLES]
    folds = KFold(min(CHOICE_FOLDS, len(chosen)), shuffle=True, random_state=seed)
    total = 0.0
    for known, held in folds.split(chosen):
        prepared = reader.prepare(Codes(features.train[known], features.train[held]))
        # Class indices keep their meaning in a fold that lacks a class: there it counts as one without a label.
        labels = targets.labels(known)
        reading = reader.read(prepared, np.arange(len(known)), labels, seed)
        total += float(outcomes(reading, targets.train[held]).nll.sum())
    return total
