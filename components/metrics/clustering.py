"""How well clusters of codes stand for classes, and how well the clusters are apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_samples
from sklearn.metrics.cluster import contingency_matrix

from components.metrics.intervals import RESAMPLES, Estimate, basic, mean_estimate
from components.metrics.probes import Codes
from components.metrics.undefined import UndefinedError

STARTS = 10
SILHOUETTE_EXAMPLES = 2_000
MOST_CELLS = 2**22


@dataclass(frozen=True)
class Agreement:
    """How far clusters agree with classes; no number depends on how either are numbered.

    Args:
        accuracy: ACC, the share of examples in the cluster that stands for their class, where every cluster
            stands for at most one class and every class for at most one cluster, assigned as well as can be.
        majority: the share in a cluster of whose examples most have their class; None unless there are more
            clusters than classes.
        nmi: normalized mutual information, I(cluster; class) / mean of both entropies.
        ari: adjusted Rand index.
        clusters: clusters with an example.
        classes: classes with an example.
        count: examples.
    """

    accuracy: Estimate
    majority: Estimate | None
    nmi: Estimate
    ari: Estimate
    clusters: int
    classes: int
    count: int


def kmeans(codes: Codes, *, clusters: int, seed: int) -> np.ndarray:
    """Returns the cluster of every test example under k-means that was fitted on the training part.

    The best of ten k-means++ starts. Codes are taken as they are: scaling them up would turn dead dimensions
    into noise.

    Args:
        codes: one representation.
        clusters: number of clusters, usually the number of classes.
        seed: seed of the starts.

    Returns:
        Cluster indices, [test examples].

    Raises:
        UndefinedError: if codes are not finite, or fewer than `clusters` are different.
    """
    if not (np.isfinite(codes.train).all() and np.isfinite(codes.test).all()):
        raise UndefinedError("some codes are not finite")
    different = len(np.unique(codes.train, axis=0))
    if different < clusters:
        raise UndefinedError(f"the training part has {different:,} different codes, fewer than {clusters:,} clusters")
    options: dict[str, Any] = {"n_init": STARTS, "random_state": seed}
    model = KMeans(clusters, **options).fit(codes.train)
    return np.asarray(model.predict(codes.test))


def agreement(assigned: np.ndarray, labels: np.ndarray, *, seed: int) -> Agreement:
    """Holds clusters, of k-means or of a model's own, against classes.

    Intervals are bootstrapped over examples (NMI and ARI: basic), with the clustering, and which cluster stands for
    which class, held fixed.

    Args:
        assigned: cluster indices, [examples].
        labels: class indices, [examples].
        seed: seed of the bootstrap.

    Raises:
        UndefinedError: if there are fewer than two classes among the examples.

    Reference:
        Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis" (2016), equation 10 (ACC);
        Makhzani and Frey, "PixelGAN Autoencoders" (2017) (majority vote); Hubert and Arabie, "Comparing
        Partitions" (1985) (ARI).
    """
    table = np.asarray(contingency_matrix(assigned, labels))  # [clusters, classes]
    if table.shape[1] < 2:
        raise UndefinedError("fewer than two classes among the examples")
    _, cluster = np.unique(assigned, return_inverse=True)
    _, label = np.unique(labels, return_inverse=True)
    stands_for = np.full(len(table), -1)
    matched, to = linear_sum_assignment(table, maximize=True)
    stands_for[matched] = to
    more = table.shape[0] > table.shape[1]
    votes = mean_estimate((table.argmax(axis=1)[cluster] == label).astype(float), seed=seed) if more else None
    resampled = np.concatenate([np.stack([_nmi(t), _ari(t)], axis=1) for t in _tables(table, seed)])
    nmi = float(normalized_mutual_info_score(labels, assigned))
    ari = float(adjusted_rand_score(labels, assigned))
    return Agreement(
        accuracy=mean_estimate((stands_for[cluster] == label).astype(float), seed=seed),
        majority=votes,
        nmi=Estimate(nmi, basic(nmi, resampled[:, 0], within=(0.0, 1.0))),
        ari=Estimate(ari, basic(ari, resampled[:, 1], within=(-0.5, 1.0))),
        clusters=table.shape[0],
        classes=table.shape[1],
        count=len(label),
    )


def silhouette(codes: np.ndarray, assigned: np.ndarray, *, seed: int) -> Estimate:
    """Mean silhouette: (b - a) / max(a, b), a the mean distance within a cluster, b that to the nearest other.

    Taken on at most 2,000 examples that the seed draws: every one is compared with every other.

    Args:
        codes: [examples, width].
        assigned: cluster indices, [examples].
        seed: seed of the draw and of the bootstrap.

    Returns:
        From -1 to 1; about 0 for clusters that touch.

    Raises:
        UndefinedError: if fewer than two clusters, or as many as examples, are among those drawn.

    Reference:
        Rousseeuw, "Silhouettes: a Graphical Aid to the Interpretation and Validation of Cluster Analysis" (1987).
    """
    rows = np.random.default_rng(seed).permutation(len(codes))[:SILHOUETTE_EXAMPLES]
    found = len(np.unique(assigned[rows]))
    if not 1 < found < len(rows):
        raise UndefinedError(f"{found:,} clusters among {len(rows):,} examples have no silhouette")
    return mean_estimate(silhouette_samples(codes[rows], assigned[rows]), seed=seed)


def _tables(table: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields contingency tables of resampled examples, so many at a time that they fit into memory."""
    rng = np.random.default_rng(seed)
    at_once = int(np.clip(MOST_CELLS // table.size, 1, RESAMPLES))
    for start in range(0, RESAMPLES, at_once):
        draws = rng.multinomial(table.sum(), table.ravel() / table.sum(), min(at_once, RESAMPLES - start))
        yield draws.reshape(-1, *table.shape)


def _nmi(tables: np.ndarray) -> np.ndarray:
    """Normalized mutual information of many contingency tables, [tables, clusters, classes] -> [tables]."""
    clusters, classes = (scipy.stats.entropy(tables.sum(axis=axis), axis=1) for axis in (2, 1))
    joint = scipy.stats.entropy(tables.reshape(len(tables), -1), axis=1)
    both = clusters + classes
    return 2 * np.divide(both - joint, both, out=np.full(len(tables), 0.5), where=both > 0)


def _ari(tables: np.ndarray) -> np.ndarray:
    """Adjusted Rand index of many contingency tables, [tables, clusters, classes] -> [tables]."""

    def pairs(counts: np.ndarray) -> np.ndarray:
        return counts * (counts - 1.0) / 2

    together = pairs(tables).sum(axis=(1, 2))
    clusters, classes = (pairs(tables.sum(axis=axis)).sum(axis=1) for axis in (2, 1))
    expected = clusters * classes / pairs(tables.sum(axis=(1, 2)))
    most = (clusters + classes) / 2
    return np.divide(together - expected, most - expected, out=np.ones(len(tables)), where=most > expected)
