"""disentanglement_lib's metrics, on command: the other side of `benchmarks.metrics`.

Runs in the peer's environment, where nothing of this project is installed. Every line of standard input is a
request in JSON, every line of standard output its answer:

    {"arrays": "file.npz"}              codes, factors, train_codes, train_factors, test_codes, test_factors
    {"run": "MIG", "seed": 0}           one metric; answers with its value, wall-clock and CPU seconds
    {}                                  answers {}, once the library is there
"""

import json
import os
import sys
import time
import types
import warnings

import numpy as np

# The metrics import gin's hooks for TensorFlow and call none of them: without this they would ask for TensorFlow 1.
sys.modules["gin.tf"] = types.ModuleType("gin.tf")

import gin  # noqa: E402
from disentanglement_lib.evaluation.metrics import (  # noqa: E402
    beta_vae,
    dci,
    factor_vae,
    irs,
    mig,
    modularity_explicitness,
    sap_score,
    unsupervised_metrics,
    utils,
)

SETTINGS = """
discretizer.discretizer_fn = @histogram_discretizer
discretizer.num_bins = 20
prune_dims.threshold = 0.05
"""
DRAWS = {"batch_size": 64, "num_train": 10_000, "num_eval": 5_000}


class Grid:
    """Ground truth of which every combination of factors stands in the arrays equally often.

    Args:
        codes: [count, latent]; they are the observations, and their own representation.
        factors: [count, factors].
    """

    def __init__(self, codes: np.ndarray, factors: np.ndarray):
        self._codes, self._sizes = codes, factors.max(axis=0) + 1
        combination = np.ravel_multi_index(factors.T, self._sizes)
        self._rows = np.argsort(combination, kind="stable").reshape(self._sizes.prod(), -1)
        self.num_factors = len(self._sizes)

    def sample_factors(self, num: int, random_state: np.random.RandomState) -> np.ndarray:
        """Returns factors, [num, factors]."""
        return np.stack([random_state.randint(size, size=num) for size in self._sizes], axis=1)

    def sample_observations_from_factors(self, factors: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Returns one of the examples of each combination, [num, latent]."""
        rows = self._rows[np.ravel_multi_index(factors.T, self._sizes)]
        return self._codes[rows[np.arange(len(rows)), random_state.randint(rows.shape[1], size=len(rows))]]

    def sample_observations(self, num: int, random_state: np.random.RandomState) -> np.ndarray:
        """Returns observations, [num, latent]."""
        return self.sample_observations_from_factors(self.sample_factors(num, random_state), random_state)


def beta_vae_score(data, seed):
    grid, state = Grid(data["codes"], data["factors"]), np.random.RandomState(seed)
    return beta_vae.compute_beta_vae_sklearn(grid, lambda x: x, state, **DRAWS)["eval_accuracy"]


def factor_vae_score(data, seed):
    grid, state = Grid(data["codes"], data["factors"]), np.random.RandomState(seed)
    scores = factor_vae.compute_factor_vae(grid, lambda x: x, state, num_variance_estimate=10_000, **DRAWS)
    return scores["eval_accuracy"]


def gap(data, _):
    return mig._compute_mig(data["codes"].T, data["factors"].T)["discrete_mig"]


def modularity(data, _):
    discrete = utils.make_discretizer(data["codes"].T)
    return modularity_explicitness.modularity(utils.discrete_mutual_info(discrete, data["factors"].T))


def explicitness(data, _):
    train, mean, spread = utils.normalize_data(data["train_codes"].T)
    test = utils.normalize_data(data["test_codes"].T, mean, spread)[0]
    labels = zip(data["train_factors"].T, data["test_factors"].T, strict=True)
    return np.mean([modularity_explicitness.explicitness_per_factor(train, a, test, b)[1] for a, b in labels])


def parts(data):
    return [data[name].T for name in ("train_codes", "train_factors", "test_codes", "test_factors")]


def sap(data, _):
    return sap_score._compute_sap(*parts(data), continuous_factors=False)["SAP_score"]


def sap_continuous(data, _):
    codes, factors = data["codes"].T, data["factors"].T
    return sap_score._compute_sap(codes, factors, codes, factors, continuous_factors=True)["SAP_score"]


def robustness(data, _):
    factors, codes = utils.make_discretizer(data["factors"].T), irs._drop_constant_dims(data["codes"].T)
    return irs.scalable_disentanglement_score(factors.T, codes.T)["avg_score"]


def correlation(data, _):
    """The three scores of `unsupervised_metrics`, summed: one number to compare."""
    covariance = np.cov(data["codes"].T)
    discrete = utils.make_discretizer(data["codes"].T)
    matrix = utils.discrete_mutual_info(discrete, discrete)
    np.fill_diagonal(matrix, 0)
    return (
        unsupervised_metrics.gaussian_total_correlation(covariance)
        + unsupervised_metrics.gaussian_wasserstein_correlation(covariance).real
        + matrix.sum() / (len(matrix) ** 2 - len(matrix))
    )


def dci_gbt(data, seed):
    np.random.seed(seed)
    return dci._compute_dci(*parts(data))["disentanglement"]


METRICS = {
    "BetaVAE score": beta_vae_score,
    "FactorVAE score": factor_vae_score,
    "MIG": gap,
    "modularity": modularity,
    "explicitness": explicitness,
    "SAP": sap,
    "SAP, squared correlation": sap_continuous,
    "IRS": robustness,
    "without labels": correlation,
    "DCI by boosted trees": dci_gbt,
}


def answer(request: dict, data: dict) -> dict:
    if file := request.get("arrays"):
        data.update(np.load(file))
        return {}
    if "run" not in request:
        return {}
    wall, cpu = time.perf_counter(), time.process_time()
    value = METRICS[request["run"]](data, request["seed"])
    return {"value": float(value), "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    warnings.simplefilter("ignore")  # of options that newer libraries are about to drop
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever the libraries print must not be taken for an answer
    gin.parse_config(SETTINGS)
    data = {}
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), data)), file=answers, flush=True)


if __name__ == "__main__":
    main()
