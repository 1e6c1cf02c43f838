"""Clusters against classes: worked values, scikit-learn, the digits' measured numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from threadpoolctl import threadpool_limits

from components.metrics import clustering
from components.metrics.clustering import agreement, kmeans, silhouette
from components.metrics.probes import Codes
from components.metrics.undefined import UndefinedError

indices = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=4, max_size=60)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def test_classes_under_other_names_agree_in_full():
    labels = np.repeat([0, 1, 2], [5, 9, 3])
    found = agreement(np.array([7, 0, 4])[labels], labels, seed=0)
    assert (found.accuracy.value, found.nmi.value, found.ari.value) == pytest.approx((1, 1, 1))
    assert found.accuracy.interval == (1, 1)
    assert found.nmi.interval == pytest.approx((1, 1))
    assert found.ari.interval == pytest.approx((1, 1))
    assert (found.clusters, found.classes, found.count, found.majority) == (3, 3, 17, None)


# Catches: majority vote in place of the assignment, classes matched twice, rows and columns mixed up.
def test_two_clusters_cannot_stand_for_one_class():
    # Rows are clusters: [[6, 1], [4, 3]]. Assigned best: 6 + 3; by majority both would stand for class 0: 10.
    assigned = np.repeat([0, 0, 1, 1], [6, 1, 4, 3])
    labels = np.repeat([0, 1, 0, 1], [6, 1, 4, 3])
    found = agreement(assigned, labels, seed=0)
    assert found.accuracy.value == pytest.approx(9 / 14)
    assert found.majority is None


def test_more_clusters_than_classes_also_have_a_majority_vote():
    assigned = np.repeat([0, 1, 2, 2], [5, 4, 2, 1])
    labels = np.repeat([0, 0, 1, 0], [5, 4, 2, 1])
    found = agreement(assigned, labels, seed=0)
    # Assigned: cluster 0 and 2. By majority cluster 1 counts as well.
    assert found.accuracy.value == pytest.approx(7 / 12)
    assert found.majority.value == pytest.approx(11 / 12)
    low, high = found.majority.interval
    assert low < 11 / 12 < high


@settings(max_examples=60, deadline=None)
@given(pairs=indices, order=st.permutations(range(5)), others=st.permutations(range(4)))
def test_names_of_clusters_and_classes_do_not_matter(pairs, order, others):
    assigned, labels = np.array(pairs).T
    if len(set(labels)) < 2:
        return
    found = agreement(assigned, labels, seed=0)
    renamed = agreement(np.array(order)[assigned], np.array(others)[labels], seed=0)
    for name in ("accuracy", "nmi", "ari"):
        assert getattr(renamed, name).value == pytest.approx(getattr(found, name).value, abs=1e-12)
    if found.majority:
        assert renamed.majority.value == pytest.approx(found.majority.value)
        assert found.majority.value >= found.accuracy.value
    assert found.nmi.value == pytest.approx(normalized_mutual_info_score(labels, assigned))
    assert found.ari.value == pytest.approx(adjusted_rand_score(labels, assigned))
    best = max(np.mean(np.array(to)[assigned] == labels) for to in itertools.permutations([0, 1, 2, 3, -1], 5))
    assert found.accuracy.value == pytest.approx(best)
    for name in ("accuracy", "nmi", "ari"):
        low, high = getattr(found, name).interval
        assert low - 1e-12 <= getattr(found, name).value <= high + 1e-12


@settings(max_examples=40, deadline=None)
@given(pairs=indices)
def test_resampled_tables_are_scored_as_scikit_learn_scores_them(pairs):
    assigned, labels = np.array(pairs).T
    table = np.zeros((1, 5, 4), int)
    np.add.at(table[0], (assigned, labels), 1)
    [nmi], [ari] = clustering._nmi(table), clustering._ari(table)
    assert nmi == pytest.approx(normalized_mutual_info_score(labels, assigned), abs=1e-9)
    assert ari == pytest.approx(adjusted_rand_score(labels, assigned), abs=1e-9)


@pytest.mark.parametrize("count", [300])
def test_intervals_cover_what_many_examples_agree_on(count):
    rng = np.random.default_rng(0)

    def sample(size):
        labels = rng.integers(3, size=size)
        return np.where(rng.random(size) < 0.7, labels, rng.integers(3, size=size)), labels

    truth = agreement(*sample(200_000), seed=0)
    hits = dict.fromkeys(("accuracy", "nmi", "ari"), 0)
    for seed in range(60):
        found = agreement(*sample(count), seed=seed)
        for name in hits:
            low, high = getattr(found, name).interval
            hits[name] += low <= getattr(truth, name).value <= high
    assert all(hit >= 51 for hit in hits.values()), hits


def test_k_means_finds_the_digits_as_measured():
    data = load_digits()
    images = data.data / 16
    assigned = kmeans(Codes(images, images), clusters=10, seed=0)
    found = agreement(assigned, data.target, seed=0)
    assert found.accuracy.value == pytest.approx(0.79, abs=0.02)
    assert found.nmi.value == pytest.approx(0.74, abs=0.02)
    assert found.ari.value == pytest.approx(0.67, abs=0.02)
    assert silhouette(images, assigned, seed=0).value == pytest.approx(silhouette_score(images, assigned))


def test_clusters_are_those_of_the_training_part_and_repeat():
    rng = np.random.default_rng(0)
    labels = np.resize(np.arange(3), 300)
    codes = 8 * np.eye(3)[labels] + rng.normal(size=(300, 3))
    split = Codes(codes[:200], codes[200:])
    assigned = kmeans(split, clusters=3, seed=0)
    assert agreement(assigned, labels[200:], seed=0).accuracy.value == 1
    np.testing.assert_array_equal(assigned, kmeans(split, clusters=3, seed=0))
    # One example after the other: the test part has no say.
    alone = [kmeans(Codes(split.train, row[None]), clusters=3, seed=0)[0] for row in split.test[:5]]
    assert alone == assigned[:5].tolist()


def test_silhouettes_of_many_examples_are_those_of_a_sample(monkeypatch):
    rng = np.random.default_rng(0)
    assigned = rng.integers(2, size=600)
    codes = assigned[:, None] * 5 + rng.normal(size=(600, 2))
    every = silhouette(codes, assigned, seed=0)
    assert every.value == pytest.approx(silhouette_score(codes, assigned))
    monkeypatch.setattr(clustering, "SILHOUETTE_EXAMPLES", 200)
    some = silhouette(codes, assigned, seed=0)
    assert some.value != every.value
    assert some.interval[0] < every.value < some.interval[1]


def test_what_has_no_clusters_says_why():
    same = np.ones((10, 2))
    with pytest.raises(UndefinedError, match="^the training part has 1 different codes, fewer than 3 clusters$"):
        kmeans(Codes(same, same), clusters=3, seed=0)
    with pytest.raises(UndefinedError, match="^some codes are not finite$"):
        kmeans(Codes(same, same * np.nan), clusters=1, seed=0)
    with pytest.raises(UndefinedError, match="^fewer than two classes among the examples$"):
        agreement(np.arange(4), np.zeros(4), seed=0)
    with pytest.raises(UndefinedError, match="^1 clusters among 10 examples have no silhouette$"):
        silhouette(same, np.zeros(10), seed=0)
    with pytest.raises(UndefinedError, match="^10 clusters among 10 examples have no silhouette$"):
        silhouette(same, np.arange(10), seed=0)
