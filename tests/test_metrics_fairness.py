"""Fairness: worked values, gaps by plain loops, leakage on data whose answer is known, unfairness by intervention."""

import itertools

import numpy as np
import pytest
from fixtures_fair import fair, fair_test
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from components.metrics import fairness
from components.metrics.fairness import (
    demographic_parity_gap,
    equal_opportunity_gap,
    equalized_odds_gap,
    worst_group,
)
from components.metrics.leakage import leakage
from components.metrics.probes import Codes
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError
from components.metrics.unfairness import counterparts, factor_unfairness, unfairness


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def worlds() -> tuple[Codes, Targets, Targets]:
    """Codes that are the data, the label, the sensitive attribute."""
    train, test = fair().batch, fair_test().batch
    roles = [Targets(train[name], test[name]) for name in ("label", "sensitive")]
    return Codes(train["x"], test["x"]), roles[0], roles[1]


def table(counts) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and groups with these counts, [groups, classes]."""
    counts = np.array(counts)
    groups, classes = np.indices(counts.shape)
    return np.repeat(classes.ravel(), counts.ravel()), np.repeat(groups.ravel(), counts.ravel())


# Catches: gap of one class only, total variation instead of the largest rate, groups and classes mixed up.
def test_the_worked_table_has_a_gap_of_six_tenths():
    found = demographic_parity_gap(*table([[80, 20], [20, 80]]), seed=0)
    assert found.value == pytest.approx(0.6)
    low, high = found.interval
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(2 * 0.8 * 0.2 / 100), rel=0.15)
    assert low < 0.6 < high
    assert demographic_parity_gap(*table([[50, 30, 20], [30, 50, 20], [60, 30, 10]]), seed=0).value == pytest.approx(
        0.3
    )


def test_the_worked_table_varies_by_three_tenths():
    found = unfairness(np.array([[80, 20], [20, 80]]))
    assert found.variations == pytest.approx([0.3, 0.3])
    assert (found.mean, found.worst) == pytest.approx((0.3, 0.3))
    # Twice as many predictions under the second value: p = (.4, .6), TV = (.4, .2), weights (1/3, 2/3).
    uneven = unfairness(np.array([[80, 20], [40, 160], [0, 0]]))
    assert uneven.variations == pytest.approx([0.4, 0.2])
    assert (uneven.mean, uneven.worst) == pytest.approx((0.8 / 3, 0.4))
    with pytest.raises(UndefinedError, match="fewer than two values of the sensitive factor have predictions"):
        unfairness(np.array([[3, 4], [0, 0]]))


cells = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2))


@settings(max_examples=50, deadline=None)
@given(examples=st.lists(cells, min_size=8, max_size=120))
def test_gaps_are_those_of_their_definition(examples):
    predictions, labels, groups = np.array(examples).T

    def rate(c, *, group, label=None):
        there = (groups == group) & (True if label is None else labels == label)
        return np.mean(predictions[there] == c) if there.sum() >= 3 else np.nan

    def widest(cases):
        gaps = [
            abs(rate(c, group=a, label=y) - rate(c, group=b, label=y))
            for c, y in cases
            for a, b in itertools.combinations(range(3), 2)
        ]
        return np.nanmax(gaps) if np.isfinite(gaps).any() else None

    expected = {
        demographic_parity_gap: widest([(c, None) for c in range(3)]),
        equalized_odds_gap: widest(itertools.product(range(3), range(2))),
        equal_opportunity_gap: widest([(1, 1)]),
    }
    for gap, value in expected.items():
        arguments = (predictions, groups) if gap is demographic_parity_gap else (predictions, labels, groups)
        if value is None:
            with pytest.raises(UndefinedError, match="^fewer than two groups have 3 examples$"):
                gap(*arguments, seed=0, least=3)
        else:
            found = gap(*arguments, seed=0, least=3)
            assert found.value == pytest.approx(value)
            assert 0 <= found.interval[0] <= found.value <= found.interval[1] <= 1


def test_every_class_can_be_the_one_that_deserves_the_opportunity():
    # Class 0 is found in .9 and .5 of cases, class 1 in .6 and .7.
    right = np.repeat([1, 0, 1, 0, 1, 0, 1, 0], [90, 10, 50, 50, 60, 40, 70, 30])
    labels, groups = np.repeat([0, 1], 200), np.resize(np.repeat([0, 1], 100), 400)
    predictions = np.where(right, labels, 1 - labels)
    gaps = {p: equal_opportunity_gap(predictions, labels, groups, seed=0, positive=p).value for p in (0, 1, None)}
    assert gaps == pytest.approx({0: 0.4, 1: 0.1, None: 0.4})
    assert equalized_odds_gap(predictions, labels, groups, seed=0).value == pytest.approx(0.4)


@pytest.mark.parametrize(("rates", "true"), [((0.4, 0.6), 0.2), ((0.5, 0.5), 0.0)])
def test_intervals_cover_the_gap_of_the_population(rates, true):
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(80):
        groups = np.repeat([0, 1], 150)
        predictions = (rng.random(300) < np.array(rates)[groups]).astype(int)
        low, high = demographic_parity_gap(predictions, groups, seed=seed).interval
        hits += low <= true <= high
    assert hits >= 70


def test_tables_too_large_to_resample_have_no_interval(monkeypatch):
    whole = demographic_parity_gap(*table([[80, 20], [20, 80]]), seed=0)
    monkeypatch.setattr(fairness, "MOST_CELLS", 40)
    parts = demographic_parity_gap(*table([[80, 20], [20, 80]]), seed=0)
    assert parts.interval == pytest.approx(whole.interval, abs=0.03)
    monkeypatch.setattr(fairness, "MOST_CELLS", 3)
    assert demographic_parity_gap(*table([[80, 20], [20, 80]]), seed=0).interval is None


def test_the_worst_group_is_the_one_with_the_lowest_accuracy():
    groups = np.repeat(["a", "b", "c"], [40, 50, 19])
    correct = np.concatenate([np.repeat([1.0, 0.0], [30, 10]), np.repeat([1.0, 0.0], [45, 5]), np.zeros(19)])
    found = worst_group(correct, groups, seed=0)
    assert (found.name, found.count, found.value) == ("a", 40, 0.75)
    assert found.interval[0] < 0.75 < found.interval[1]
    with pytest.raises(UndefinedError, match="no slice has enough examples"):
        worst_group(correct, groups, seed=0, least=60)


def test_raw_data_leaks_all_of_the_attribute(worlds):
    codes, label, sensitive = worlds
    found = leakage(codes, sensitive, label=label, seed=0)
    assert set(found.probes) == {"linear", "mlp"}
    for name, probe in found.probes.items():
        assert probe.value > 0.97
        assert probe.scores["auc"].value > 0.99
        assert found.advantage[name].value == pytest.approx(probe.value - found.majority)
    assert found.majority == pytest.approx(0.5, abs=0.03)
    assert found.from_label.value == pytest.approx(0.59, abs=0.02)
    assert found.from_label_auc.value == pytest.approx(0.59, abs=0.02)


# Catches: label and attribute swapped, the base rate taken from the test part, the advantage relative.
def test_codes_of_the_label_alone_leak_what_the_label_does(worlds):
    _, label, sensitive = worlds
    only = Codes(np.eye(2)[label.train], np.eye(2)[label.test])
    found = leakage(only, sensitive, label=label, readers=("linear",), seed=0)
    assert found.probes["linear"].value == found.from_label.value
    assert 0.57 < found.from_label.value < 0.61
    assert found.advantage["linear"].interval[0] > 0.05
    several = Targets(np.eye(2, dtype=int)[label.train], np.eye(2, dtype=int)[label.test], "multilabel")
    assert leakage(only, sensitive, label=several, readers=(), seed=0).from_label.value == found.from_label.value


def test_codes_without_the_attribute_leak_nothing(worlds):
    _, _, sensitive = worlds
    rng = np.random.default_rng(0)
    noise = Codes(rng.normal(size=(4000, 4)), rng.normal(size=(2000, 4)))
    found = leakage(noise, sensitive, seed=0)
    assert found.from_label is None
    assert found.from_label_auc is None
    for name, probe in found.probes.items():
        assert probe.scores["auc"].value == pytest.approx(0.5, abs=0.04)
        assert found.advantage[name].interval[0] < 0.02


def test_the_label_is_read_as_measured_and_its_rates_differ_by_group(worlds):
    codes, label, sensitive = worlds
    # The same numbers as of an attribute: a label read from the data.
    probe = leakage(codes, label, readers=("linear",), seed=0).probes["linear"]
    assert probe.value == pytest.approx(0.89, abs=0.015)
    base = demographic_parity_gap(label.test, sensitive.test, seed=0)
    assert base.value == pytest.approx(0.20, abs=0.03)
    predictions = np.where(probe.outcomes.correct > 0, label.test, 1 - label.test)
    assert demographic_parity_gap(predictions, sensitive.test, seed=0).value > 0.15
    odds = equalized_odds_gap(predictions, label.test, sensitive.test, seed=0)
    assert odds.value >= equal_opportunity_gap(predictions, label.test, sensitive.test, seed=0).value


def test_leakage_without_classes_says_why():
    codes = Codes(np.zeros((4, 1)), np.zeros((4, 1)))
    with pytest.raises(UndefinedError, match="^leakage takes an attribute of classes$"):
        leakage(codes, Targets(np.arange(6.0), np.arange(4.0), "regression"), seed=0)
    with pytest.raises(UndefinedError, match="^the training part has one class only$"):
        leakage(codes, Targets(np.ones(4, int), np.array([0, 1, 0, 1])), seed=0)


def grid() -> np.ndarray:
    return np.array(list(itertools.product(range(3), range(4), range(2))) * 8)


def test_counterparts_differ_in_one_factor_only():
    factors = grid()
    rows, values = counterparts(factors, 1, np.random.default_rng(0), draws=5)
    assert rows.shape == (4, 5)
    assert values.tolist() == [0, 1, 2, 3]
    shown = factors[rows]
    np.testing.assert_array_equal(shown[:, :, 1], np.repeat(np.arange(4)[:, None], 5, axis=1))
    assert (shown[:, :, [0, 2]] == shown[:1, :, [0, 2]]).all()
    assert len({tuple(setting) for setting in shown[0][:, [0, 2]]}) == 5
    with pytest.raises(UndefinedError, match="no setting of the other factors occurs with each value"):
        counterparts(np.eye(3, dtype=int), 0, np.random.default_rng(0))
    with pytest.raises(UndefinedError, match="the sensitive factor has one value only"):
        counterparts(np.zeros((4, 2), int), 0, np.random.default_rng(0))


def test_only_codes_that_mix_factors_are_unfair():
    factors, rng = grid(), np.random.default_rng(0)
    summed = np.stack([factors[:, 0] + factors[:, 1], factors[:, 2]], axis=1) * 1.0
    scores = {}
    for name, codes in {"apart": factors * 1.0, "mixed": summed}.items():
        interventions = {j: codes[counterparts(factors, j, rng)[0]] for j in range(3)}
        scores[name] = factor_unfairness(codes, factors, interventions, seed=0)
    apart, mixed = scores["apart"], scores["mixed"]
    assert apart.score == 0
    assert np.isnan(np.diag(apart.mean)).all()
    assert mixed.score > 0.05
    # The third factor has a dimension of its own: neither does it move another prediction, nor another its.
    assert mixed.mean[0, 2] == mixed.mean[1, 2] == mixed.mean[2, 0] == mixed.mean[2, 1] == 0
    assert mixed.mean[0, 1] > 0.1
    assert np.nanmax(mixed.worst - mixed.mean) > 0
    with pytest.raises(UndefinedError, match="no factor can be predicted while another one is changed"):
        factor_unfairness(factors * 1.0, factors, {}, seed=0)
