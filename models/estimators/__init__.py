"""Estimators of information quantities: pure functions of samples and distributions."""

from models.estimators.aggregate import (
    Decomposition,
    GroupDecomposition,
    decompose,
    decompose_groups,
    log_aggregate,
    log_groups,
    log_marginals,
    log_weights,
    pairwise_log_density,
)
from models.estimators.divergence import kl
from models.estimators.hsic import dhsic, hsic
from models.estimators.kernels import delta, expected_distance, imq, median_distance, rbf
from models.estimators.mixture import exact_decomposition
from models.estimators.mmd import linear_time_mmd, mmd, mmd_between_groups
from models.estimators.moments import (
    GroupTotalCorrelation,
    aggregate_covariance,
    covariance,
    gaussian_group_total_correlation,
    gaussian_total_correlation,
)
from models.estimators.ratio import critic_loss, permute_dimensions

__all__ = [
    "Decomposition",
    "GroupDecomposition",
    "GroupTotalCorrelation",
    "aggregate_covariance",
    "covariance",
    "critic_loss",
    "decompose",
    "decompose_groups",
    "delta",
    "dhsic",
    "exact_decomposition",
    "expected_distance",
    "gaussian_group_total_correlation",
    "gaussian_total_correlation",
    "hsic",
    "imq",
    "kl",
    "linear_time_mmd",
    "log_aggregate",
    "log_groups",
    "log_marginals",
    "log_weights",
    "median_distance",
    "mmd",
    "mmd_between_groups",
    "pairwise_log_density",
    "permute_dimensions",
    "rbf",
]
