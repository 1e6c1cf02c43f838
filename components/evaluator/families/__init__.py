"""What is measured of a representation, a module per family of metrics.

A family is a function from a view, one representation of the chosen examples, to findings, and to omissions with
their reasons.
"""

from collections.abc import Callable, Iterator, Mapping

from components.evaluator.families.alignment import alignment
from components.evaluator.families.clustering import clustering
from components.evaluator.families.density import density
from components.evaluator.families.disentanglement import disentanglement
from components.evaluator.families.leakage import leakage
from components.evaluator.families.likelihood import likelihood
from components.evaluator.families.privacy import privacy
from components.evaluator.families.probes import ceiling, probes
from components.evaluator.families.robustness import robustness
from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission

Measure = Callable[[View], Iterator[Finding | Omission]]

FAMILIES: Mapping[str, Measure] = {
    "probes": probes,
    "ceiling": ceiling,
    "clustering": clustering,
    "disentanglement": disentanglement,
    "leakage": leakage,
    "density": density,
    "privacy": privacy,
    "alignment": alignment,
    "likelihood": likelihood,
    "robustness": robustness,
}

__all__ = ["FAMILIES", "Measure", "View"]
