"""The names of metrics: which there are, and of what they are.

    name = base [ " of " column ] [ " where " column "=" value ]

as in `probe/linear/100`, `probe/linear/all of price`, `distortion where sex=Female`. Without "of", a probe is
about the label; clusters always are.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from components.evaluator.settings import Settings

PLAIN = ("rate", "distortion", "elbo", "active_units")
DENSITY = (
    "decomposition/mutual_information",
    "decomposition/total_correlation",
    "decomposition/dimension_wise_kl",
    "decomposition/mismatch",
)
CORRELATION = ("correlation/total_correlation", "correlation/wasserstein", "correlation/mutual_information")
DISENTANGLEMENT = tuple(
    f"disentanglement/{name}"
    for name in (
        "beta_vae",
        "factor_vae",
        "mig",
        "mig_sampled",
        "sap",
        "sap_r2",
        "modularity",
        "explicitness",
        "irs",
        "dci_disentanglement",
        "dci_completeness",
        "dci_informativeness",
        "dci_lasso_disentanglement",
        "dci_lasso_completeness",
        "unfairness",
    )
)
CLUSTERING = ("clustering/accuracy", "clustering/nmi", "clustering/ari", "clustering/silhouette")
LEAKAGE = ("leakage/linear", "leakage/mlp", "leakage_auc/linear", "leakage_auc/mlp", "attribute_inference/mlp")
FAIRNESS = (
    "fairness/demographic_parity",
    "fairness/equal_opportunity",
    "fairness/equalized_odds",
    "fairness/worst_group",
)
LIKELIHOOD = ("likelihood/elbo", "likelihood/iwae")
ALIGNMENT = (
    "alignment/neighbors",
    "alignment/retrieval",
    "alignment/retrieval/unaligned",
    "alignment/recall",
    "alignment/recall/unaligned",
    "alignment/residual",
)
TRANSFER = ("alignment/probe", "alignment/probe/before", "alignment/probe/unaligned", "alignment/probe_drop")
PRIVACY = ("membership/advantage", "membership/auc")
ROBUSTNESS = ("displacement", "agreement", "drop")
SLICED = re.compile(r"(rate|distortion|elbo|probe/[a-z]+/all|label_distortion/[a-z]+/all)")
_NAME = re.compile(r"(?P<base>\S+)(?: of (?P<column>.+?))?(?: where (?P<slice>.+?)=(?P<value>.*))?")


@dataclass(frozen=True)
class Name:
    """A metric's name, taken apart.

    Args:
        base: what is measured.
        column: the column that is predicted, None for the label or where nothing is.
        slice: the column whose `value` the examples share, None for all examples.
        value: that value.
    """

    base: str
    column: str | None = None
    slice: str | None = None
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Name":
        """Takes a name apart; what fits no pattern is all base."""
        found = _NAME.fullmatch(text)
        return cls(**found.groupdict()) if found else cls(text)

    def __str__(self) -> str:
        column = f" of {self.column}" if self.column is not None else ""
        where = f" where {self.slice}={self.value}" if self.slice is not None else ""
        return f"{self.base}{column}{where}"


def probe_name(kind: str, budget: int | str, *, what: str = "probe") -> str:
    """Returns the base name of a probe at a label budget, such as `probe/linear/100`."""
    return f"{what}/{kind}/{budget}"


def of(base: str, column: str | None) -> str:
    """Returns the name of a metric about a column; None stands for the label."""
    return str(Name(base, column))


def probe_bases(settings: Settings) -> Iterator[str]:
    """Yields the base names that probes of one column may have."""
    for what in ("probe", "label_distortion"):
        for kind in settings.probes:
            yield from (probe_name(kind, budget, what=what) for budget in settings.budgets)
    if {100, "all"} <= set(settings.budgets):
        yield from (f"efficiency/{kind}" for kind in settings.probes)


def bases(settings: Settings) -> list[str]:
    """Returns every base name that may be measured under the settings."""
    return [
        *PLAIN,
        *DENSITY,
        *CORRELATION,
        *DISENTANGLEMENT,
        *probe_bases(settings),
        *CLUSTERING,
        *LEAKAGE,
        *FAIRNESS,
        *PRIVACY,
        *ALIGNMENT,
        *TRANSFER,
        *LIKELIHOOD,
        *(f"robustness/{what}/{level:g}" for what in ROBUSTNESS for level in settings.noise),
    ]


def known(name: str, settings: Settings, tasks: Iterable[str]) -> bool:
    """Returns whether a metric of this name may be measured.

    Args:
        name: the name.
        settings: what is measured.
        tasks: columns that are predicted beside the label.
    """
    parts = Name.parse(name)
    if parts.base not in bases(settings):
        return False
    predicted = {*tasks, *(settings.tasks or ())}
    about = {*probe_bases(settings), *TRANSFER}
    if parts.column is not None and not (parts.base in about and parts.column in predicted):
        return False
    return parts.slice is None or (parts.slice in settings.slices and SLICED.fullmatch(parts.base) is not None)
