"""Probes: every kind of target, and the usefulness D_y, against closed forms and plain computations."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from threadpoolctl import threadpool_limits

from components.metrics.probes import PROBES, Codes, Reading, knn, linear, neighbors, standardized
from components.metrics.scores import estimates, outcomes, scores
from components.metrics.targets import Labels, Targets
from components.metrics.undefined import UndefinedError

# scikit-learn 1.5 names options that SciPy is about to drop.
SCIPY = pytest.mark.filterwarnings("ignore:scipy.optimize")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def read(probe: str, codes: Codes, targets: Targets) -> Reading:
    how = PROBES[probe]
    rows = np.arange(len(targets.train))
    return how.read(how.prepare(codes), rows, targets.labels(rows), 0)


def measured(probe: str, codes: Codes, targets: Targets) -> dict[str, float]:
    return scores(read(probe, codes, targets), targets.test, targets.kind)


def parts(codes: np.ndarray, values: np.ndarray, kind="classification") -> tuple[Codes, Targets]:
    """The first two thirds to learn from, the rest to test on."""
    cut = len(codes) * 2 // 3
    return Codes(codes[:cut], codes[cut:]), Targets(values[:cut], values[cut:], kind)


@pytest.mark.parametrize("probe", PROBES)
def test_clear_classes_are_read_and_surely(probe):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=900)
    codes, targets = parts(np.eye(3)[labels] + 0.1 * rng.normal(size=(900, 3)), labels)
    found = measured(probe, codes, targets)
    assert found["accuracy"] > 0.99
    assert found["auc"] > 0.999
    assert 0 <= found["nll"] < 0.15


# Catches: a probe that sees the test labels, probabilities in another order than the classes.
@pytest.mark.parametrize("probe", PROBES)
def test_codes_that_tell_nothing_leave_the_entropy_of_the_label(probe):
    rng = np.random.default_rng(1)
    labels = rng.choice(3, size=3000, p=[0.6, 0.3, 0.1])
    codes, targets = parts(rng.normal(size=(3000, 2)), labels)
    entropy = scipy.stats.entropy([0.6, 0.3, 0.1])
    found = measured(probe, codes, targets)
    # Neighbors' votes are a noisy estimate of frequencies, which costs nats.
    assert found["nll"] == pytest.approx(entropy, abs=0.35 if probe == "knn" else 0.06)
    assert found["nll"] > entropy - 0.06
    assert found["auc"] == pytest.approx(0.5, abs=0.06)


@SCIPY
def test_the_usefulness_of_a_linear_probe_is_the_log_loss_of_scikit_learn():
    rng = np.random.default_rng(2)
    labels = rng.integers(4, size=600)
    codes, targets = parts(np.eye(4)[labels] + 0.6 * rng.normal(size=(600, 4)), labels)
    plain = standardized(codes)
    model = LogisticRegression(max_iter=500).fit(plain.train, targets.train)
    expected = model.predict_proba(plain.test)
    reading = read("linear", codes, targets)
    found = scores(reading, targets.test, "classification")
    assert found["nll"] == pytest.approx(log_loss(targets.test, expected), rel=1e-6)
    assert found["accuracy"] == np.mean(expected.argmax(axis=1) == targets.test)
    assert found["auc"] == pytest.approx(roc_auc_score(targets.test, expected, multi_class="ovr"), abs=1e-9)
    one = outcomes(reading, targets.test)
    assert one.nll.mean() == pytest.approx(found["nll"])
    assert one.correct.mean() == found["accuracy"]
    assert one.error is None


@SCIPY
# Catches: smoothing left out (infinite), applied with the wrong count, or not said.
def test_a_class_without_a_label_is_laplace_smoothed():
    codes = Codes(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[0.0], [1.0]]))
    labels = Labels(np.array([0, 0, 1, 1]), "classification", 3)
    reading = linear(codes, np.arange(4), labels)
    raw = LogisticRegression(max_iter=500).fit(codes.train, labels.values).predict_proba(codes.test)
    np.testing.assert_allclose(reading.probabilities[:, :2], (4 * raw + 1) / (4 + 3))
    np.testing.assert_allclose(reading.probabilities[:, 2], 1 / 7)
    assert reading.note == "1 of 3 classes without a label: Laplace-smoothed"
    assert outcomes(reading, np.array([2, 2])).nll == pytest.approx([np.log(7)] * 2)


def test_neighbors_vote_with_one_more_vote_of_the_frequencies():
    codes = Codes(np.array([[0.0], [0.1], [0.2], [9.0]]), np.array([[0.1]]))
    labels = Labels(np.array([0, 0, 1, 1]), "classification", 2)
    reading = knn(codes, np.arange(4), labels)
    assert neighbors(labels) == 2
    # Both nearest are of class 0, half of the labels are.
    np.testing.assert_allclose(reading.probabilities, [[2.5 / 3, 0.5 / 3]])


def test_what_cannot_be_is_not_infinitely_surprising():
    sure = Reading(np.array([0]), probabilities=np.array([[1.0, 0.0]]))
    assert outcomes(sure, np.array([1])).nll == pytest.approx([-np.log(np.finfo(float).eps)])
    assert outcomes(sure, np.array([0])).nll.tolist() == [0.0]


@pytest.mark.parametrize("probe", PROBES)
def test_several_labels_are_read_one_by_one(probe):
    rng = np.random.default_rng(3)
    codes = rng.uniform(-1, 1, size=(900, 2))
    values = np.stack([codes[:, 0] > 0, codes[:, 1] > 0.3, np.zeros(900)], axis=1).astype(int)
    split, targets = parts(codes, values, "multilabel")
    reading = read(probe, split, targets)
    found = scores(reading, targets.test, "multilabel")
    # The third label has no positive: it has no AUC, and everyone guesses it.
    two = roc_auc_score(targets.test[:, :2], reading.probabilities[:, :2])
    assert found["auc"] == pytest.approx(two)
    assert two > 0.99
    assert found["subset_accuracy"] == np.mean((reading.predictions == targets.test).all(axis=1)) > 0.9
    likelihood = np.where(targets.test, reading.probabilities, 1 - reading.probabilities)
    assert found["nll"] == pytest.approx(-np.log(likelihood).sum(axis=1).mean())


def test_a_label_without_a_positive_is_guessed_and_said():
    codes = Codes(np.arange(8.0)[:, None], np.zeros((2, 1)))
    values = np.stack([np.arange(8) > 3, np.zeros(8), np.ones(8)], axis=1).astype(int)
    reading = read("linear", codes, Targets(values, values[:2], "multilabel"))
    np.testing.assert_allclose(reading.probabilities[:, 1:], [[1 / 10, 9 / 10]] * 2)
    assert reading.note == "labels with one value only among the known ones: guessed, Laplace-smoothed"


def test_one_label_of_several_is_a_label_all_the_same():
    rng = np.random.default_rng(4)
    codes = rng.uniform(-1, 1, size=(600, 1))
    split, targets = parts(codes, (codes > 0).astype(int), "multilabel")
    assert measured("mlp", split, targets)["auc"] > 0.99


# Catches: variance from residuals of a fit that saw the row, R^2 against the training mean.
@pytest.mark.parametrize(("probe", "slack"), [("linear", 0.02), ("knn", 0.1), ("gbt", 0.15), ("mlp", 0.1)])
def test_numbers_are_read_with_the_variance_of_their_noise(probe, slack):
    rng = np.random.default_rng(5)
    codes = rng.normal(size=(3000, 2))
    values = 100 + 10 * codes[:, 0] + 5.0 * rng.normal(size=3000)
    split, targets = parts(codes, values, "regression")
    reading = read(probe, split, targets)
    found = scores(reading, targets.test, "regression")
    assert found["r2"] == pytest.approx(r2_score(targets.test, reading.predictions), abs=1e-9)
    assert found["r2"] == pytest.approx(0.8, abs=0.05)
    assert found["nll"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * 25), abs=slack)
    assert reading.variance == pytest.approx(25, rel=2 * slack + 0.06)
    density = scipy.stats.norm.logpdf(targets.test, reading.predictions, np.sqrt(reading.variance))
    np.testing.assert_allclose(outcomes(reading, targets.test).nll, -density)


def test_the_variance_of_neighbors_leaves_each_row_out():
    rng = np.random.default_rng(5)
    codes, values = rng.normal(size=(40, 2)), rng.normal(size=40)
    reading = knn(Codes(codes, codes[:1]), np.arange(40), Labels(values, "regression"))
    residuals = []
    for row in range(40):
        others = np.delete(np.arange(40), row)
        nearest = others[np.argsort(np.linalg.norm(codes[others] - codes[row], axis=1))[:8]]
        residuals.append(values[row] - values[nearest].mean())
    assert reading.note == "k = 8"
    assert reading.variance == pytest.approx(np.mean(np.square(residuals)))


def test_the_linear_reader_of_numbers_is_ridge_regression():
    rng = np.random.default_rng(6)
    split, targets = parts(rng.normal(size=(90, 3)), rng.normal(size=90), "regression")
    plain = standardized(split)
    expected = Ridge().fit(plain.train, targets.train).predict(plain.test)
    np.testing.assert_allclose(read("linear", split, targets).predictions, expected)


@pytest.mark.parametrize("probe", PROBES)
def test_a_few_numbers_do_not_make_a_probe_certain(probe):
    rng = np.random.default_rng(7)
    codes = rng.normal(size=(1000, 20))
    split = Codes(codes[:10], codes[10:])
    targets = Targets(codes[:10, 0], codes[10:, 0], "regression")
    # Twenty dimensions fit ten numbers without a residual; what they say of others is another matter.
    assert measured(probe, split, targets)["nll"] < 20


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("labels", [2, 3, 9, 30, 120])
def test_few_labels_of_rare_classes_are_enough_to_fit(probe, labels):
    rng = np.random.default_rng(8)
    codes = Codes(rng.normal(size=(labels, 3)), rng.normal(size=(5, 3)))
    values = np.zeros(labels, int)
    values[0] = 1
    found = measured(probe, codes, Targets(values, np.array([0, 1, 0, 1, 2])))
    assert np.isfinite(list(found.values())).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_the_linear_probe_does_not_feel_shift_and_scale(seed, scale, shift):
    rng = np.random.default_rng(seed)
    labels = np.resize([0, 1, 2], 90)
    codes = np.eye(3)[labels] + rng.normal(size=(90, 3))
    split, targets = parts(codes, labels)
    moved, _ = parts(codes * scale * np.array([1.0, 2.0, -3.0]) + shift, labels)
    here, there = (measured("linear", each, targets) for each in (split, moved))
    assert there["nll"] == pytest.approx(here["nll"], rel=1e-3)
    assert here["nll"] >= 0


def test_intervals_of_all_scores_hold_their_values():
    rng = np.random.default_rng(9)
    labels = rng.integers(3, size=600)
    split, targets = parts(np.eye(3)[labels] + rng.normal(size=(600, 3)), labels)
    numbers = Targets(split.train[:, 0] + rng.normal(size=400), split.test[:, 0] + rng.normal(size=200), "regression")
    for each in (targets, numbers):
        reading = read("linear", split, each)
        found = estimates(reading, outcomes(reading, each.test), each.test, each.kind, seed=0)
        assert all(low < found[name].value < high for name in found for low, high in [found[name].interval])
        assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(
            scores(reading, each.test, each.kind)
        )


@pytest.mark.parametrize(
    ("train", "test", "kind", "reason"),
    [
        ([1, 1, 1], [0, 1], "classification", "the training part has one class only"),
        ([], [1], "classification", "the training part has no labelled example"),
        ([0, 1], [], "classification", "the test part has no labelled example"),
        ([[1, 0]] * 3, [[1, 0]], "multilabel", "the target has one value only in the training part"),
        ([1.0] * 6, [1.0, 2.0], "regression", "the target has one value only in the training part"),
        ([1.0, 2.0] * 3, [2.0, 2.0], "regression", "the target has one value only in the test part"),
        ([1.0, 2.0], [1.0, 2.0], "regression", "the training part has fewer than 5 labelled examples"),
        ([1.0, np.nan] * 3, [1.0], "regression", "the target has values in the training part that are not finite"),
    ],
)
def test_targets_that_allow_no_measurement_say_why(train, test, kind, reason):
    with pytest.raises(UndefinedError, match=f"^{reason}$"):
        Targets(np.array(train), np.array(test), kind).check()
