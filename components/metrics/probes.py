"""How well simple readers predict a target from codes: linear, k nearest neighbors, boosted trees, a small network.

Every probe answers with predictions and with a predictive distribution, so that a score and a log-likelihood
come from one fit. What it predicts, classes, several labels or a number, is up to the targets.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from components.metrics.targets import Labels

NEIGHBORS = 5
REGRESSION_NEIGHBORS = 15
STEPS = 500
FOLDS = 3
HIDDEN = (32,)
EPOCHS = 200
BATCH = (32, 200)
TREES = 100
DEPTH = 3
LEAF = 20
# Fewer labels than this are all learned from: a tenth of them says too little about when to stop.
HELD_OUT_FROM = 1_000


@dataclass(frozen=True)
class Codes:
    """One representation of the labelled examples, in the same order for every representation.

    Args:
        train: [train examples, width].
        test: [test examples, width].
    """

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Reading:
    """A probe's answer for every test example.

    Args:
        predictions: class indices [test examples], 0/1 [test examples, columns], or means [test examples].
        probabilities: of every class [test examples, classes], or of a 1 [test examples, columns]; None for
            numbers.
        variance: of a number around its predicted mean; None for labels.
        note: what a reader of the number should know, or "".
    """

    predictions: np.ndarray
    probabilities: np.ndarray | None = None
    variance: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Probe:
    """A kind of probe.

    Args:
        prepare: turns codes into what `read` sees; looks at the whole training part, never at labels.
        read: (codes, rows of the training part with labels, their labels, seed) -> reading of the test part.
    """

    prepare: Callable[[Codes], Codes]
    read: Callable[[Codes, np.ndarray, Labels, int], Reading]


def standardized(codes: Codes) -> Codes:
    """Returns the codes with mean 0 and variance 1 in every dimension of the training part."""
    scaler = StandardScaler()
    train = np.asarray(scaler.fit_transform(codes.train))
    return Codes(train=train, test=np.asarray(scaler.transform(codes.test)))


def as_they_are(codes: Codes) -> Codes:
    """Returns the codes unchanged."""
    return codes


def linear(codes: Codes, rows: np.ndarray, labels: Labels, seed: int = 0) -> Reading:
    """Logistic regression (L2 penalty 1, at most 500 steps), one for each of several labels, or ridge regression.

    Args:
        codes: standardized codes.
        rows: the rows of `codes.train` whose label is known, [labels].
        labels: their targets; classes must be at least two different ones.
        seed: of the folds behind a number's variance.
    """
    if labels.kind == "regression":
        return _numbers(Ridge(), codes, rows, labels, seed)
    return _labels(lambda: LogisticRegression(max_iter=STEPS), codes, rows, labels)


def gbt(codes: Codes, rows: np.ndarray, labels: Labels, seed: int = 0) -> Reading:
    """Gradient-boosted trees on binned codes (HistGradientBoosting), at most 100 rounds of depth 3.

    The exact GradientBoosting of published evaluations answers much alike and takes tens of times as long.
    A leaf holds a tenth of the labels, at least 1 and at most 20. With 1,000 labels or more, boosting stops
    early by a held-out tenth of them.

    Args:
        codes: codes as the encoder gives them.
        rows: the rows of `codes.train` whose label is known, [labels].
        labels: their targets.
        seed: of the held-out tenth.
    """
    options: dict[str, Any] = {
        "max_iter": TREES,
        "max_depth": DEPTH,
        "min_samples_leaf": int(np.clip(len(labels) // 10, 1, LEAF)),
        "early_stopping": _can_hold_out(labels),
        "random_state": seed,
    }
    if labels.kind == "regression":
        return _numbers(HistGradientBoostingRegressor(**options), codes, rows, labels, seed)
    return _labels(lambda: HistGradientBoostingClassifier(**options), codes, rows, labels)


def mlp(codes: Codes, rows: np.ndarray, labels: Labels, seed: int = 0, *, hidden: tuple[int, ...] = HIDDEN) -> Reading:
    """A network with one hidden layer of 32 ReLU units, trained by Adam for at most 200 epochs.

    A batch is a fiftieth of the labels, at least 32 and at most 200, or all of fewer than 64. With 1,000 labels
    or more, training stops early by a held-out tenth of them.

    Args:
        codes: standardized codes.
        rows: the rows of `codes.train` whose label is known, [labels].
        labels: their targets.
        seed: of the weights, the batches and the held-out tenth.
        hidden: widths of the hidden layers.
    """
    options: dict[str, Any] = {"hidden_layer_sizes": hidden, "max_iter": EPOCHS, "random_state": seed}
    options["early_stopping"] = _can_hold_out(labels)
    options["batch_size"] = int(np.clip(len(labels) // 50, *BATCH)) if len(labels) >= 2 * BATCH[0] else "auto"
    if labels.kind == "regression":
        return _scaled_numbers(MLPRegressor(**options), codes, rows, labels, seed)
    return _labels(lambda: MLPClassifier(**options), codes, rows, labels)


def knn(codes: Codes, rows: np.ndarray, labels: Labels, seed: int = 0) -> Reading:
    """Majority vote of the k nearest labelled rows, by Euclidean distance between the codes as they are.

    k is 5, or the number of labels per class where that is smaller: with one label per class, five
    neighbors would be five different classes. Numbers are the mean of the 15 nearest, or of a fifth of the
    labels where that is fewer. Probabilities are the votes and one more, which the label frequencies cast: a
    class without a vote is unlikely, not impossible.

    Args:
        codes: codes as the encoder gives them; scaling them up would turn dead dimensions into noise.
        rows: the rows of `codes.train` whose label is known, [labels].
        labels: their targets.
        seed: not used; nothing here is random.
    """
    k = neighbors(labels)
    known = codes.train[rows]
    if labels.kind == "classification":
        model = KNeighborsClassifier(k, algorithm="brute").fit(known, labels.values)
        shares = model.predict_proba(codes.test)
        votes, note = _aligned(shares, model.classes_, labels, smooth=k)
        return Reading(model.classes_[np.argmax(shares, axis=1)], votes, note=_said(f"k = {k}", note))
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(known)
    found = labels.values[search.kneighbors(codes.test, return_distance=False)].mean(axis=1)
    if labels.kind == "multilabel":
        frequency = (labels.values.sum(axis=0) + 1) / (len(labels) + 2)
        return Reading((found > 0.5).astype(np.int64), (k * found + frequency) / (k + 1), note=f"k = {k}")
    # A row's own neighbors do not include itself, or the residuals would be those of a reader that knows.
    others = labels.values[search.kneighbors(return_distance=False)].mean(axis=1)
    return Reading(found, variance=_variance(labels.values, others), note=f"k = {k}")


def neighbors(labels: Labels) -> int:
    """Returns the k that `knn` takes for these training labels."""
    if labels.kind == "regression":
        return int(np.clip(len(labels) // NEIGHBORS, 1, REGRESSION_NEIGHBORS))
    groups = len(np.unique(labels.values)) if labels.kind == "classification" else 1
    return int(np.clip(len(labels) // groups, 1, NEIGHBORS))


PROBES: dict[str, Probe] = {
    "linear": Probe(prepare=standardized, read=linear),
    "knn": Probe(prepare=as_they_are, read=knn),
    "gbt": Probe(prepare=as_they_are, read=gbt),
    "mlp": Probe(prepare=standardized, read=mlp),
}


def _can_hold_out(labels: Labels) -> bool:
    """Whether a tenth of the labels can be held out: stratified by class, it takes two labels of every class."""
    if labels.kind != "classification":
        return len(labels) >= HELD_OUT_FROM
    sizes = np.unique(labels.values, return_counts=True)[1]
    return len(labels) >= max(HELD_OUT_FROM, 10 * len(sizes)) and int(sizes.min()) > 1


def _labels(make: Callable[[], Any], codes: Codes, rows: np.ndarray, labels: Labels) -> Reading:
    """Fits a classifier to classes, or to several labels."""
    if labels.kind == "multilabel":
        return _several(make, codes, rows, labels.values)
    model = _fitted(make(), codes.train[rows], labels.values)
    probabilities, note = _aligned(model.predict_proba(codes.test), model.classes_, labels)
    return Reading(model.predict(codes.test), probabilities, note=_said(_steps(model), note))


def _several(make: Callable[[], Any], codes: Codes, rows: np.ndarray, values: np.ndarray) -> Reading:
    """Fits one classifier per column, or one network for all of them."""
    known = codes.train[rows]
    if values.shape[1] > 1 and isinstance(model := make(), MLPClassifier):
        probabilities, notes = _fitted(model, known, values).predict_proba(codes.test), {_steps(model)}
    else:
        columns, notes = [], set()
        for column in values.T:
            if len(np.unique(column)) < 2:
                columns.append(np.full(len(codes.test), (column.sum() + 1) / (len(column) + 2)))
                notes.add("labels with one value only among the known ones: guessed, Laplace-smoothed")
                continue
            model = _fitted(make(), known, column)
            columns.append(model.predict_proba(codes.test)[:, 1])
            notes.add(_steps(model))
        probabilities = np.stack(columns, axis=1)
    return Reading((probabilities > 0.5).astype(np.int64), probabilities, note=_said(*sorted(notes)))


def _numbers(model: Any, codes: Codes, rows: np.ndarray, labels: Labels, seed: int) -> Reading:
    """Fits a regressor; its variance is that of the labelled rows around fits that did not see them."""
    known = codes.train[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        others = cross_val_predict(model, known, labels.values, cv=KFold(FOLDS, shuffle=True, random_state=seed))
    fitted = _fitted(model, known, labels.values)
    predictions = fitted.predict(codes.test).astype(np.float64)
    return Reading(predictions, variance=_variance(labels.values, np.asarray(others)), note=_steps(fitted))


def _scaled_numbers(model: Any, codes: Codes, rows: np.ndarray, labels: Labels, seed: int) -> Reading:
    """Fits a regressor to numbers of mean 0 and variance 1: a network's learning rate depends on their scale."""
    center, scale = float(labels.values.mean()), float(labels.values.std()) or 1.0
    found = _numbers(model, codes, rows, Labels((labels.values - center) / scale, labels.kind), seed)
    variance = None if found.variance is None else found.variance * scale**2
    return Reading(center + scale * found.predictions, variance=variance, note=found.note)


def _fitted(model: Any, known: np.ndarray, values: np.ndarray) -> Any:
    with warnings.catch_warnings():
        # The reading's note says it instead, where the number's reader sees it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn 1.5, which TFX pins, still names two options that SciPy is about to drop.
        warnings.filterwarnings("ignore", "scipy.optimize: The `disp` and `iprint`", DeprecationWarning)
        return model.fit(known, values)


def _steps(model: Any) -> str:
    """Returns a note if an iterative fit ran out of steps."""
    if isinstance(model, LogisticRegression) and max(model.n_iter_) >= STEPS:
        return f"{STEPS} steps, not converged"
    if isinstance(model, (MLPClassifier, MLPRegressor)) and model.n_iter_ >= EPOCHS:
        return f"{EPOCHS} epochs, not converged"
    return ""


def _said(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _aligned(
    shares: np.ndarray, seen: np.ndarray, labels: Labels, *, smooth: int | None = None
) -> tuple[np.ndarray, str]:
    """Returns probabilities of all classes from those of the classes that have a label, and what to know of it.

    A class without a label gets what Laplace's rule of succession gives it, as if the probabilities had been
    counted on the labels. Votes are smoothed by one more vote of the label frequencies.
    """
    unseen = labels.classes - len(seen)
    full = np.zeros((len(shares), labels.classes))
    full[:, seen] = shares
    note = f"{unseen} of {labels.classes} classes without a label: Laplace-smoothed" if unseen else ""
    if smooth:
        counts = np.bincount(labels.values, minlength=labels.classes) + bool(unseen)
        return (smooth * full + counts / counts.sum()) / (smooth + 1), note
    return ((len(labels) * full + 1) / (len(labels) + labels.classes) if unseen else full), note


def _variance(values: np.ndarray, predictions: np.ndarray) -> float:
    """Returns the mean squared residual, at least a millionth of the values' variance: none is a certainty."""
    return float(max(np.mean((values - predictions) ** 2), 1e-6 * values.var(), np.finfo(np.float64).tiny))
