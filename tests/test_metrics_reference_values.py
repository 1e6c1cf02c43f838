"""Every disentanglement metric on codes whose published scores are known: the table of the reference values."""

import numpy as np
import pytest
from factor_codes import codes_of
from threadpoolctl import threadpool_limits

from components.metrics.correlation import correlation
from components.metrics.dci import dci_gbt, dci_histogram
from components.metrics.disentanglement import factor_vae_score, mig, modularity
from components.metrics.explicitness import explicitness
from components.metrics.irs import irs
from components.metrics.sap import sap, sap_continuous
from components.metrics.votes import beta_vae_score

VOTES = {"batch": 32, "train": 800, "test": 400}
HALVES = {"train": 2000, "test": 2000}
METRICS = {
    "beta_vae": lambda z, f: beta_vae_score(z[:2000], f[:2000], np.random.default_rng(1), **VOTES),
    "factor_vae": lambda z, f: factor_vae_score(z[:2000], f[:2000], np.random.default_rng(1), **VOTES),
    "mig": lambda z, f: mig(z[:2000], f[:2000]),
    "sap": lambda z, f: sap(z, f, np.random.default_rng(1), **HALVES).score,
    "sap_continuous": lambda z, f: sap_continuous(z[:2000], f[:2000]).score,
    "modularity": lambda z, f: modularity(z[:2000], f[:2000]),
    "explicitness": lambda z, f: explicitness(z, f, np.random.default_rng(1), **HALVES).score,
    "irs": lambda z, f: irs(z[:2000], f[:2000]).score,
    "total_correlation": lambda z, f: correlation(z[:2000]).total_correlation,
    "wasserstein": lambda z, f: correlation(z[:2000]).wasserstein_normalized,
    "mutual_information": lambda z, f: correlation(z[:2000]).mutual_information,
}
# Published values of the reference implementation on such codes, 2,000 examples, in the order of METRICS.
PUBLISHED = {
    "ideal": (1.00, 1.00, 0.989, 0.38, 0.997, 1.00, 1.00, 0.92, 0.002, 0.000, 0.03),
    "permuted": (1.00, 1.00, 0.991, 0.37, 0.996, 1.00, 1.00, 0.95, 0.001, 0.000, 0.03),
    "noise": (0.21, 0.17, 0.001, 0.00, 0.00, 0.48, 0.51, 0.32, 0.003, 0.001, 0.07),
    "doubled": (1.00, 1.00, 0.000, 0.00, 0.00, 1.00, 1.00, 0.92, 13.3, 0.54, 0.21),
    "padded": (1.00, 1.00, 0.985, 0.37, 0.996, 0.77, 1.00, 0.90, 0.014, 0.001, 0.05),
    "mixed": (0.85, 0.61, 0.82, 0.23, 0.61, 0.91, 0.82, 0.78, 0.001, 0.000, 0.03),
}
ROTATED = (0.69, 0.56, 0.05, 0.04, 0.11, 0.77, 1.00, 0.38, 0.003, 0.001, 0.11)
LOOSE = ("beta_vae", "factor_vae", "irs", "total_correlation")
DCI = {
    "ideal": (1.00, 1.00, 1.00),
    "permuted": (1.00, 1.00, 1.00),
    "noise": (0.00, 0.01, 0.22),
    "doubled": (1.00, 0.71, 1.00),
    "padded": (1.00, 1.00, 1.00),
    "mixed": (0.64, 0.97, 0.83),
}


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("kind", PUBLISHED)
def test_known_codes_get_their_published_scores(kind):
    codes, factors = codes_of(kind, 4000)
    for (name, metric), value in zip(METRICS.items(), PUBLISHED[kind], strict=True):
        tolerance = 0.1 if name in LOOSE or (kind, name) == ("noise", "modularity") else 0.05
        assert metric(codes, factors) == pytest.approx(value, abs=tolerance), name


def test_the_published_scores_of_one_rotation_are_within_those_of_many():
    # Which rotation was published is not known: scores differ more between rotations than the tolerance is.
    scores = np.array([[m(*codes_of("rotated", 4000, seed)) for m in METRICS.values()] for seed in range(8)])
    for name, value, found in zip(METRICS, ROTATED, scores.T, strict=True):
        tolerance = 0.1 if name in LOOSE else 0.05
        assert found.min() - tolerance < value < found.max() + tolerance, name
    assert np.median(scores[:, list(METRICS).index("mig")]) < 0.4


@pytest.mark.parametrize(
    ("metric", "kind"),
    [(dci_histogram, kind) for kind in DCI] + [(dci_gbt, kind) for kind in ("noise", "doubled", "mixed")],
)
def test_known_codes_get_their_published_dci(metric, kind):
    codes, factors = codes_of(kind, 2400)
    found = metric(codes, factors, np.random.default_rng(1), train=1200, test=1200, trees=20)
    scores = (found.disentanglement, found.completeness, found.informativeness)
    assert scores == pytest.approx(DCI[kind], abs=0.05)
