"""Metrics against closed forms, independent references and the digits' measured baselines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from components.metrics import draws, efficiency, intervals, probes
from components.metrics.baselines import pca
from components.metrics.codes import Spread, active_units, standard_normal_rate
from components.metrics.efficiency import label_efficiency
from components.metrics.probes import PROBES, Codes
from components.metrics.targets import Labels, Targets


def blobs(count: int, *, classes: int = 3, noise: float = 0.05, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One-hot codes with a little noise, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    return np.eye(classes)[labels] + noise * rng.normal(size=(count, classes)), labels


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small fits are faster without threads, and far faster beside other work."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def ideal() -> tuple[Codes, Targets]:
    train, train_labels = blobs(400, seed=1)
    test, test_labels = blobs(200, seed=2)
    return Codes(train, test), Targets(train_labels, test_labels)


@pytest.fixture(scope="module")
def digits() -> tuple[Codes, Targets]:
    """The digits, in the split of 500 test examples that the measured baselines belong to."""
    data = load_digits()
    images = data.data.astype(np.float32) / 16
    order = np.random.default_rng(0).permutation(len(images))
    test, train = order[:500], order[500:]
    return Codes(images[train], images[test]), Targets(data.target[train], data.target[test])


def measured(probe: str, codes: Codes, targets: Targets, budgets, seeds: int = 5) -> list[efficiency.ProbeScore]:
    return list(label_efficiency(PROBES[probe], codes, targets, budgets=tuple(budgets), seeds=seeds, seed=0))


@pytest.mark.parametrize("probe", ["linear", "knn"])
def test_ideal_codes_are_read_without_error(probe, ideal):
    codes, targets = ideal
    found = measured(probe, codes, targets, [3, 100, "all"])
    assert [accuracy.budget for accuracy in found] == [3, 100, "all"]
    assert [accuracy.value for accuracy in found] == [1.0, 1.0, 1.0]
    assert [accuracy.interval for accuracy in found] == [(1.0, 1.0)] * 3
    assert [accuracy.seeds for accuracy in found] == [5, 5, 1]


@pytest.mark.parametrize("probe", PROBES)
def test_permuted_labels_are_read_at_chance(probe, ideal):
    codes, targets = ideal
    rng = np.random.default_rng(3)
    shuffled = Targets(rng.permutation(targets.train), rng.permutation(targets.test))
    [found] = measured(probe, codes, shuffled, ["all"])
    assert abs(found.value - 1 / 3) < 0.12


def test_a_linear_probe_of_constant_codes_guesses_the_majority():
    labels = np.array([0] * 70 + [1] * 30)
    codes = Codes(np.ones((100, 4)), np.ones((100, 4)))
    [found] = measured("linear", codes, Targets(labels, labels), ["all"])
    assert found.value == 0.7
    low, high = found.interval
    assert low < 0.7 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 100), rel=0.15)


def test_every_representation_gets_the_same_draws(ideal):
    codes, targets = ideal
    once = measured("knn", codes, targets, [10, "all"])
    assert measured("knn", codes, targets, [10, "all"]) == once
    # A turn of the space changes no distance, hence no vote.
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    assert measured("knn", Codes(codes.train @ turn, codes.test @ turn), targets, [10, "all"]) == once


def test_notes_say_where_an_interval_comes_from(ideal):
    codes, targets = ideal
    few, every = measured("knn", codes, targets, [9, "all"])
    assert few.note == "interval: t over draws; k = 3"
    assert every.note == "interval: bootstrap; k = 5"


def test_a_probe_that_does_not_converge_says_so(monkeypatch, ideal):
    monkeypatch.setattr(probes, "STEPS", 2)
    codes, targets = ideal
    [found] = measured("linear", codes, targets, ["all"])
    assert found.note == "interval: bootstrap; 2 steps, not converged"


def test_k_nearest_neighbors_equal_a_plain_vote(digits):
    codes, targets = digits
    reading = probes.knn(codes, rows := np.arange(len(targets.train)), targets.labels(rows))
    squared = (
        (codes.test**2).sum(1)[:, None] - 2 * codes.test @ codes.train.T + (codes.train**2).sum(1)[None]
    )  # [test, train]
    nearest = targets.train[np.argsort(squared, axis=1, kind="stable")[:, :5]]
    votes = np.array([np.bincount(row, minlength=10).argmax() for row in nearest])
    assert np.mean(reading.predictions == votes) > 0.995
    assert reading.note == "k = 5"


@pytest.mark.parametrize(("labels", "k"), [([0, 1], 1), ([0, 0, 0, 1, 1, 1], 3), ([0, 1] * 50, 5)])
def test_k_is_five_or_the_labels_per_class(labels, k):
    assert probes.neighbors(Labels(np.array(labels))) == k


def test_the_raw_digits_give_the_measured_accuracies(digits):
    found = measured("linear", *digits, budgets=[30, 50, 100], seeds=10)
    for accuracy, expected in zip(found, [0.81, 0.88, 0.90], strict=True):
        assert accuracy.value == pytest.approx(expected, abs=0.06)
        low, high = accuracy.interval
        assert low < accuracy.value < high


def test_pca_equals_the_singular_vectors_and_scikit_learn(digits):
    codes, _ = digits
    found = pca(codes, width=8, seed=0)
    mean = codes.train.mean(axis=0)
    directions = np.linalg.svd(codes.train - mean, full_matrices=False)[2][:8]
    exact = (codes.test - mean) @ directions.T
    signs = np.sign((exact * found.test).sum(axis=0))
    np.testing.assert_allclose(found.test, exact * signs, atol=2e-4)
    np.testing.assert_allclose(np.abs(found.train), np.abs(PCA(8).fit_transform(codes.train)), atol=2e-4)


def test_pca_is_never_wider_than_the_data():
    narrow = Codes(np.random.default_rng(0).normal(size=(20, 3)), np.zeros((4, 3)))
    assert pca(narrow, width=8, seed=0).test.shape == (4, 3)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), counts=st.lists(st.integers(1, 40), min_size=2, max_size=6))
def test_draws_are_stratified(data, counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    size = data.draw(st.integers(len(counts), len(labels)))
    rows = draws.stratified(labels, size, np.random.default_rng(0))
    assert len(set(rows.tolist())) == size
    drawn = np.bincount(labels[rows], minlength=len(counts))
    share = np.array(counts) * size / len(labels)
    assert (drawn >= 1).all()
    # A class gets its share to within one, unless the least of one label each takes from it.
    assert (drawn <= np.ceil(share)).all() or (share < 1).any()


def test_a_draw_out_of_range_is_refused():
    with pytest.raises(ValueError, match="between the number of classes .2. and of examples .4.*Received: size=5"):
        draws.stratified(np.array([0, 0, 1, 1]), 5, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (2, "2 labels are fewer than the 3 classes"),
        (3, None),
        (9, None),
        (1000, "only 9 labelled training examples"),
        ("all", None),
    ],
)
def test_a_budget_that_cannot_be_drawn_says_why(budget, reason):
    assert draws.omission(np.array([0, 1, 2] * 3), budget) == reason


def test_active_units_are_those_whose_mean_varies():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(5000, 4)) * np.sqrt([1.0, 0.02, 0.005, 0.0])
    spread = Spread()
    for batch in np.array_split(codes, 7):
        spread.add(batch.astype(np.float32))
    np.testing.assert_allclose(spread.variance, codes.var(axis=0), rtol=1e-5, atol=1e-12)
    assert spread.count == 5000
    assert active_units(spread.variance) == 2


def test_the_variance_of_codes_far_from_zero_is_not_lost():
    codes = np.random.default_rng(0).normal(size=(1000, 2)) * 0.2 + 1e4
    spread = Spread()
    for batch in np.array_split(codes, 10):
        spread.add(batch)
    spread.add(codes[:0])
    np.testing.assert_allclose(spread.variance, codes.var(axis=0), rtol=1e-6)


def test_rate_by_dimension_is_the_closed_form():
    rate = standard_normal_rate(np.array([[0.0, 1.0, 0.0]]), np.array([[1.0, 1.0, 2.0]]))
    np.testing.assert_allclose(rate, [[0.0, 0.5, 1.5 - np.log(2)]])


@pytest.mark.parametrize("count", [80, 2500])
def test_bootstrap_intervals_cover_the_mean_as_often_as_they_say(count):
    rng = np.random.default_rng(0)
    hits, widths = 0, []
    for _ in range(100):
        mean = intervals.Mean()
        for batch in np.array_split(rng.exponential(size=count), 3):
            mean.add(batch)
        low, high = mean.interval(rng)
        hits += low <= 1.0 <= high
        widths.append(high - low)
    assert 86 <= hits <= 100
    assert np.mean(widths) == pytest.approx(2 * 1.96 / np.sqrt(count), rel=0.1)


def test_the_mean_of_batches_is_the_mean():
    values = np.random.default_rng(0).normal(size=3001)
    mean = intervals.Mean()
    for batch in np.array_split(values, 13):
        mean.add(batch)
    assert mean.count == 3001
    assert mean.value == pytest.approx(values.mean(), abs=1e-12)


def test_one_value_has_no_interval():
    mean = intervals.Mean()
    mean.add(np.array([2.0]))
    assert mean.interval(np.random.default_rng(0)) is None


def test_intervals_over_draws_are_students():
    low, high = intervals.draws_interval(np.array([0.8, 0.9]))
    # t(0.975, 1) = 12.7062, standard error 0.05.
    assert (low, high) == pytest.approx((0.85 - 0.63531, 0.85 + 0.63531), abs=1e-5)
    assert intervals.draws_interval(np.array([0.5, 0.5, 0.5])) == (0.5, 0.5)
