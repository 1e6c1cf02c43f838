"""Metrics in words and numbers as people read them: the same in bounds, console and report."""

from components.evaluator.names import Name
from components.evaluator.schema import Metric

PROBES = {"linear": "linear probe", "knn": "k-NN", "gbt": "boosted trees", "mlp": "small network"}
PLAIN = {"rate": "rate", "distortion": "distortion", "elbo": "ELBO", "active_units": "active units"}
WORDS = {
    "encoder": "encoder",
    "pca": "PCA",
    "random": "random encoder",
    "raw": "raw features",
    "ceiling": "supervised ceiling",
}
SCORES = {
    "decomposition/mutual_information": "mutual information",
    "decomposition/total_correlation": "total correlation",
    "decomposition/dimension_wise_kl": "dimension-wise KL",
    "decomposition/mismatch": "mismatch of aggregate posterior and prior",
    "correlation/total_correlation": "Gaussian total correlation of codes",
    "correlation/wasserstein": "Wasserstein correlation of codes",
    "correlation/mutual_information": "mutual information between dimensions",
    "disentanglement/beta_vae": "BetaVAE score",
    "disentanglement/factor_vae": "FactorVAE score",
    "disentanglement/mig": "MIG",
    "disentanglement/mig_sampled": "MIG by samples",
    "disentanglement/sap": "SAP",
    "disentanglement/sap_r2": "SAP (squared correlation)",
    "disentanglement/modularity": "modularity",
    "disentanglement/explicitness": "explicitness",
    "disentanglement/irs": "IRS",
    "disentanglement/dci_disentanglement": "DCI disentanglement (histogram trees)",
    "disentanglement/dci_completeness": "DCI completeness (histogram trees)",
    "disentanglement/dci_informativeness": "DCI informativeness (histogram trees)",
    "disentanglement/dci_lasso_disentanglement": "DCI disentanglement (lasso)",
    "disentanglement/dci_lasso_completeness": "DCI completeness (lasso)",
    "disentanglement/unfairness": "unfairness between factors",
    "clustering/accuracy": "cluster accuracy",
    "clustering/nmi": "NMI of clusters",
    "clustering/ari": "ARI of clusters",
    "clustering/silhouette": "silhouette of clusters",
    "leakage/linear": "leakage, linear probe",
    "leakage/mlp": "leakage, small network",
    "leakage_auc/linear": "AUC of leakage, linear probe",
    "leakage_auc/mlp": "AUC of leakage, small network",
    "attribute_inference/mlp": "advantage of attribute inference",
    "fairness/demographic_parity": "demographic-parity gap",
    "fairness/equal_opportunity": "equal-opportunity gap",
    "fairness/equalized_odds": "equalized-odds gap",
    "fairness/worst_group": "accuracy in the worst group",
    "likelihood/elbo": "ELBO by samples",
    "likelihood/iwae": "IWAE bound",
    "alignment/neighbors": "neighbors kept from the last blessed space",
    "alignment/retrieval": "what an index of the last blessed space finds",
    "alignment/retrieval/unaligned": "what an index of the last blessed space finds, without alignment",
    "alignment/recall": "recall in an index of the last blessed space",
    "alignment/recall/unaligned": "recall in an index of the last blessed space, without alignment",
    "alignment/residual": "residual of the alignment",
    "alignment/probe": "linear probe of the last blessed space",
    "alignment/probe/before": "linear probe of the last blessed space, there",
    "alignment/probe/unaligned": "linear probe of the last blessed space, without alignment",
    "alignment/probe_drop": "drop of the linear probe of the last blessed space",
    "membership/advantage": "advantage of membership inference",
    "membership/auc": "AUC of membership inference",
}
ROBUSTNESS = {
    "displacement": "displacement of codes",
    "agreement": "agreement of k-NN",
    "drop": "drop of the linear probe",
}
NOT_YET = "no blessed model to compare with yet"
SAME_SPACE = "the last blessed model is of the same space"
OTHER_INPUTS = "the last blessed model takes other inputs, so it is not compared"
NOT_FINITE = "some codes of the last blessed model are not finite"
CAPITAL = ("k-NN",)
DECIMALS = {"nats": 2, "count": 0}


def in_words(name: str, *, explains: str = "x") -> str:
    """Returns a metric's name in words: `probe/linear/100` is "linear probe, 100 labels".

    Args:
        name: the metric's name.
        explains: what the distortion is of, the example (`x`) or its `label`.
    """
    parts = Name.parse(name)
    column = f" of {parts.column}" if parts.column is not None else ""
    where = f", where {parts.slice} is {parts.value}" if parts.slice is not None else ""
    return f"{_base(parts.base, explains)}{column}{where}"


def _base(base: str, explains: str) -> str:
    if base == "distortion" and explains == "label":
        return "distortion of the label"
    if base in PLAIN or base in SCORES:
        return {**PLAIN, **SCORES}[base]
    if "/" not in base:  # an omission may be about a whole family, or about slices
        return base
    what, kind, *budget = base.split("/")
    if what == "robustness":
        return f"{ROBUSTNESS[kind]} under noise of {budget[0]}"
    if kind not in PROBES:
        return base
    if what == "efficiency":
        return f"share that 100 labels reach, {PROBES[kind]}"
    words = f"{PROBES[kind]}, {budget_in_words(budget[0])}" if budget else PROBES[kind]
    return f"distortion of the label, {words}" if what == "label_distortion" else words


def heading(name: str, *, explains: str = "x") -> str:
    """Returns a metric's name in words with a capital letter, except for the k of k-NN."""
    words = in_words(name, explains=explains)
    return words if words.startswith(CAPITAL) else f"{words[0].upper()}{words[1:]}"


def budget_in_words(budget: str) -> str:
    """Returns "all labels" for `all`, "1,000 labels" for `1000`."""
    return "all labels" if budget == "all" else f"{int(budget):,} labels"


def number(value: float, unit: str) -> str:
    """Returns a value at its unit's precision: nats 0.01, counts whole, all others 0.001."""
    return f"{value:,.{DECIMALS.get(unit, 3)}f}"


def value_in_words(metric: Metric) -> str:
    """Returns a metric's value with its unit, as in "14.20 nats"."""
    text = number(metric.value, metric.unit)
    return f"{text} nats" if metric.unit == "nats" else text


def beside(value: float, limit: float, unit: str) -> str:
    """Returns a value with as many decimals as it takes to see on which side of a limit it is, up to six."""
    decimals = DECIMALS.get(unit, 3)
    while decimals < 6 and _side(round(value, decimals), limit) != _side(value, limit):
        decimals += 1
    return f"{value:,.{decimals}f}"


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)
