"""How well simple readers predict a label from codes: a linear probe and k nearest neighbors."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

NEIGHBORS = 5
STEPS = 500


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
    """A probe's answer.

    Args:
        predictions: class index of every test example, [test examples].
        note: what a reader of the number should know, or "".
    """

    predictions: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class Probe:
    """A kind of probe.

    Args:
        prepare: turns codes into what `read` sees; looks at the whole training part, never at labels.
        read: (codes, rows of the training part with labels, their labels) -> reading of the test part.
    """

    prepare: Callable[[Codes], Codes]
    read: Callable[[Codes, np.ndarray, np.ndarray], Reading]


def standardized(codes: Codes) -> Codes:
    """Returns the codes with mean 0 and variance 1 in every dimension of the training part."""
    scaler = StandardScaler()
    train = np.asarray(scaler.fit_transform(codes.train))
    return Codes(train=train, test=np.asarray(scaler.transform(codes.test)))


def linear(codes: Codes, rows: np.ndarray, labels: np.ndarray) -> Reading:
    """Logistic regression (L2 penalty 1, at most 500 steps) on the labelled rows.

    Args:
        codes: standardized codes.
        rows: the rows of `codes.train` whose label is known, [labels].
        labels: their class indices, [labels], at least two different ones.
    """
    model = LogisticRegression(max_iter=STEPS)
    with warnings.catch_warnings():
        # The reading's note says it instead, where the number's reader sees it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn 1.5, which TFX pins, still names two options that SciPy is about to drop.
        warnings.filterwarnings("ignore", "scipy.optimize: The `disp` and `iprint`", DeprecationWarning)
        model.fit(codes.train[rows], labels)
    return Reading(model.predict(codes.test), f"{STEPS} steps, not converged" if max(model.n_iter_) >= STEPS else "")


def knn(codes: Codes, rows: np.ndarray, labels: np.ndarray) -> Reading:
    """Majority vote of the k nearest labelled rows, by Euclidean distance between the codes as they are.

    k is 5, or the number of labels per class where that is smaller: with one label per class, five
    neighbors would be five different classes.

    Args:
        codes: codes as the encoder gives them; scaling them up would turn dead dimensions into noise.
        rows: the rows of `codes.train` whose label is known, [labels].
        labels: their class indices, [labels].
    """
    k = neighbors(labels)
    model = KNeighborsClassifier(k, algorithm="brute").fit(codes.train[rows], labels)
    return Reading(model.predict(codes.test), f"k = {k}")


def neighbors(labels: np.ndarray) -> int:
    """Returns the k that `knn` takes for these training labels."""
    return int(np.clip(len(labels) // len(np.unique(labels)), 1, NEIGHBORS))


PROBES: dict[str, Probe] = {
    "linear": Probe(prepare=standardized, read=linear),
    "knn": Probe(prepare=lambda codes: codes, read=knn),
}
