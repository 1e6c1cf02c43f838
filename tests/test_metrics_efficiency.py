"""Label efficiency of every kind of target, AUC with its interval, the supervised ceiling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from components.metrics import baselines
from components.metrics.auc import class_auc, macro_auc
from components.metrics.baselines import ceiling
from components.metrics.draws import draw, omission
from components.metrics.efficiency import ProbeScore, label_efficiency, statistical_efficiency
from components.metrics.intervals import basic, percentiles, proportion_interval, ratio_interval
from components.metrics.probes import PROBES, Codes
from components.metrics.targets import Targets, majority
from components.metrics.undefined import UndefinedError


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def world(kind: str, count: int = 600) -> tuple[Codes, Targets]:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(count, 3))
    noisy = codes + 0.3 * rng.normal(size=codes.shape)
    values = {
        "classification": noisy.argmax(axis=1),
        "multilabel": (noisy > 0.2).astype(int),
        "regression": noisy @ [1.0, 2.0, 3.0],
    }[kind]
    cut = count // 2
    return Codes(codes[:cut], codes[cut:]), Targets(values[:cut], values[cut:], kind)


def measured(codes: Codes, targets: Targets, probe: str = "linear", budgets=(10, 100, "all")) -> list[ProbeScore]:
    return list(label_efficiency(PROBES[probe], codes, targets, budgets=budgets, seeds=3, seed=0))


KINDS = {"classification": "accuracy", "multilabel": "auc", "regression": "r2"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("probe", PROBES)
def test_more_labels_make_better_readers(kind, probe):
    codes, targets = world(kind)
    found = measured(codes, targets, probe)
    assert [score.name for score in found] == [KINDS[kind]] * 3
    few, _, every = found
    assert few.value < every.value
    assert few.scores["nll"].value > every.scores["nll"].value
    for score in found:
        assert score.value == score.scores[score.name].value
        assert score.interval == score.scores[score.name].interval
        low, high = score.interval
        assert low <= score.value <= high
        assert kind == "regression" or 0 <= low <= high <= 1
    assert few.outcomes is None
    assert every.outcomes.nll.shape == every.outcomes.merit.shape == (300,)
    assert every.outcomes.nll.mean() == pytest.approx(every.scores["nll"].value)
    main = {"multilabel": "subset_accuracy"}.get(kind, KINDS[kind])
    assert every.outcomes.merit.mean() == pytest.approx(every.scores[main].value)


@pytest.mark.parametrize("probe", ["gbt", "mlp"])
def test_the_same_seed_gives_the_same_numbers(probe):
    codes, targets = world("classification", 300)
    first, second = (measured(codes, targets, probe, (20, "all")) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(first[1].outcomes.nll, second[1].outcomes.nll)


# Catches: all / few instead of few / all, the wrong budget.
def test_statistical_efficiency_is_a_ratio_of_two_budgets():
    def score(budget, value, interval) -> ProbeScore:
        return ProbeScore(budget, "accuracy", value, interval, 5, "", {})

    found = [score(10, 0.2, (0.1, 0.3)), score(100, 0.6, (0.5, 0.7)), score("all", 0.8, (0.7, 0.9))]
    efficiency = statistical_efficiency(found)
    assert efficiency.value == pytest.approx(0.75)
    assert efficiency.interval == pytest.approx((0.625, 0.875))
    assert statistical_efficiency(found, budget=10).value == pytest.approx(0.25)
    with pytest.raises(UndefinedError, match="the label budget 1000 was not measured"):
        statistical_efficiency(found, budget=1000)
    with pytest.raises(UndefinedError, match="the score at the label budget all is not above zero"):
        statistical_efficiency([found[1], score("all", -0.1, None)])


def test_what_cannot_be_measured_says_why():
    codes, targets = world("classification")
    broken = Codes(codes.train, np.where(np.arange(300)[:, None] == 7, np.nan, codes.test))
    with pytest.raises(UndefinedError, match="^codes of the test part have values that are not finite$"):
        measured(broken, targets)
    with pytest.raises(UndefinedError, match="^2 labels are fewer than the 3 classes$"):
        measured(codes, targets, budgets=(2,))
    with pytest.raises(UndefinedError, match="^the training part has one class only$"):
        measured(codes, Targets(np.zeros(300, int), targets.test))
    labels = np.array([[0, 1]] * 150 + [[1, 0]] * 150)
    with pytest.raises(UndefinedError, match="^every label is on all or on none of the test examples$"):
        measured(codes, Targets(labels, np.ones((300, 2), int), "multilabel"))


def test_a_test_part_of_one_class_has_an_accuracy_but_no_auc():
    codes, targets = world("classification")
    [found] = measured(codes, Targets(targets.train, np.zeros(300, int)), budgets=("all",))
    assert set(found.scores) == {"accuracy", "nll"}


@pytest.mark.parametrize(
    ("kind", "budget", "reason"),
    [
        ("regression", 4, "4 labels are fewer than the 5 that numbers take"),
        ("regression", 5, None),
        ("multilabel", 2, None),
        ("multilabel", 11, "only 10 labelled training examples"),
        ("regression", "all", None),
    ],
)
def test_budgets_of_other_targets_need_no_classes(kind, budget, reason):
    assert omission(np.arange(10), budget, kind=kind) == reason


def test_draws_of_numbers_are_rows_without_repetition():
    targets = Targets(np.arange(50.0), np.arange(5.0), "regression")
    rows = draw(targets, 20, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 20
    rare = Targets(np.repeat([0, 1], [49, 1]), np.arange(2))
    assert all(49 in draw(rare, 2, np.random.default_rng(seed)) for seed in range(5))
    with pytest.raises(UndefinedError, match="only 50 labelled"):
        draw(targets, 51, np.random.default_rng(0))


def test_the_ceiling_is_a_strong_reader_of_raw_features():
    data = load_digits()
    order = np.random.default_rng(0).permutation(1797)
    test, train = order[:400], order[500:800]
    codes, targets = Codes(data.data[train], data.data[test]), Targets(data.target[train], data.target[test])
    found = ceiling(codes, targets, seed=0)
    assert found.value > 0.9
    assert found.note.startswith("network of 256, 300 labels; interval: bootstrap")
    assert found.outcomes.correct.mean() == pytest.approx(found.value)


# Catches: the reader with the larger loss, always the same one, the test part's choice.
def test_the_ceiling_chooses_what_suits_the_data():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(450, 3))
    band = (np.abs(hidden[:, 0]) < 0.7).astype(int)
    # Heavy tails: no network sees a band in what standardizing leaves of it.
    found = ceiling(Codes(np.exp(4 * hidden)[:300], np.exp(4 * hidden)[300:]), Targets(band[:300], band[300:]), seed=0)
    assert found.note.startswith("boosted trees, 300 labels")
    assert found.value > 0.9
    numbers = hidden.sum(axis=1)
    straight = ceiling(Codes(hidden[:300], hidden[300:]), Targets(numbers[:300], numbers[300:], "regression"), seed=0)
    assert straight.note.startswith("network of 256")
    assert straight.value > 0.98


def test_wide_features_are_left_to_the_network():
    rng = np.random.default_rng(0)
    labels = np.resize([0, 1], 60)
    wide = labels[:, None] + rng.normal(size=(60, 257))
    assert ceiling(Codes(wide[:40], wide[40:]), Targets(labels[:40], labels[40:]), seed=0).note.startswith("network")


def test_the_ceiling_learns_from_a_bounded_number_of_examples(monkeypatch):
    monkeypatch.setattr(baselines, "CEILING_EXAMPLES", 50)
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=400)
    codes = Codes(labels[:300, None] + 0.1 * rng.normal(size=(300, 1)), labels[300:, None] * 1.0)
    found = ceiling(codes, Targets(labels[:300], labels[300:]), seed=0)
    assert "50 labels" in found.note
    assert found.value == 1.0


def test_the_majority_is_that_of_the_training_part():
    assert majority(Targets(np.array([1, 1, 0]), np.array([0, 0, 1]))).tolist() == [0, 0, 1]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**16), levels=st.integers(2, 30))
def test_an_auc_is_that_of_scikit_learn_ties_and_all(seed, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(60, 3)) / levels
    positive = rng.integers(2, size=(60, 3))
    positive[:2] = [[0], [1]]
    found = macro_auc(scores, positive)
    assert found.value == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    # Any rising map of the scores keeps every order.
    assert macro_auc(np.exp(3 * scores), positive) == found


def test_the_interval_of_an_auc_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    positive = np.repeat([0, 1], [70, 50])[:, None]
    true = 0.76025  # Phi(1 / sqrt 2)
    hits = 0
    for _ in range(300):
        low, high = macro_auc(rng.normal(size=(120, 1)) + positive, positive).interval
        hits += low <= true <= high
    assert 0.90 <= hits / 300 <= 0.985


def test_two_classes_have_one_auc_and_one_class_none():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    assert class_auc(probabilities, np.array([0, 1, 1, 0])).value == 0.75
    with pytest.raises(UndefinedError, match="every class is on all or on none of the test examples"):
        class_auc(probabilities, np.ones(4, int))


def test_intervals_of_ratios_and_shares():
    rng = np.random.default_rng(0)
    weights = rng.uniform(1, 3, size=2500)
    low, high = ratio_interval(2 * weights, weights, seed=0)
    assert (low, high) == pytest.approx((2, 2))
    assert ratio_interval(np.ones(1), np.ones(1), seed=0) is None
    # Wilson with z = 1.95996: (0, z^2 / (n + z^2)) for none of 20.
    assert proportion_interval(0, 20) == pytest.approx((0, 0.16113), abs=1e-4)
    draws = np.linspace(1, 2, 41)
    assert percentiles(draws) == pytest.approx((1.025, 1.975))
    assert basic(1.4, draws, within=(0, 1.5)) == pytest.approx((0.825, 1.5))
    assert basic(0.5, draws, within=(0, 1)) == (0.0, 0.5)
