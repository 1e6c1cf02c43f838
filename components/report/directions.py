"""Which metrics are better when they are lower, and which say nothing of better."""

from components.evaluator.names import Name

LOWER = (
    *("label_distortion", "leakage", "leakage_auc", "attribute_inference", "membership", "correlation"),
    *("decomposition/total_correlation", "decomposition/dimension_wise_kl", "decomposition/mismatch", "distortion"),
    *("fairness/demographic_parity", "fairness/equal_opportunity", "fairness/equalized_odds"),
    *("disentanglement/unfairness", "robustness/displacement", "robustness/drop"),
    *("alignment/residual", "alignment/probe_drop"),
)
NEITHER = ("rate", "active_units", "decomposition/mutual_information", "efficiency")


def lower_is_better(name: str) -> bool:
    """Returns whether a metric of this name is better when it is lower."""
    return _among(name, LOWER)


def has_a_better(name: str) -> bool:
    """Returns whether there is a better and a worse for a metric; a rate is a price, not a score."""
    return not _among(name, NEITHER)


def _among(name: str, known: tuple[str, ...]) -> bool:
    base = Name.parse(name).base
    return any(base == one or base.startswith(f"{one}/") for one in known)
