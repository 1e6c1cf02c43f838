"""How single dimensions of a code stand for single ground-truth factors."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import scipy.stats

from components.evaluator.families.factored import Factored
from components.evaluator.families.view import NOT_NORMAL, View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics.dci import dci_lasso
from components.metrics.disentanglement import mig, mig_sampled, modularity
from components.metrics.explicitness import explicitness
from components.metrics.intervals import CONFIDENCE, Interval
from components.metrics.irs import irs
from components.metrics.sap import sap, sap_continuous
from components.metrics.undefined import UndefinedError
from components.metrics.unfairness import counterparts, factor_unfairness
from components.metrics.votes import beta_vae_score, factor_vae_score

Score = Callable[[Factored], dict[str, float]]

MIXTURE = 2_000
"""Examples of the mixture that codes are drawn from and held against: time grows with the square of their number."""


def _dci(found: Factored) -> dict[str, float]:
    return {f"dci_{name}": getattr(found.dci, name) for name in ("disentanglement", "completeness", "informativeness")}


def _dci_lasso(found: Factored) -> dict[str, float]:
    scores = dci_lasso(found.codes, found.factors, found.rng, **found.parts)
    return {f"dci_lasso_{name}": getattr(scores, name) for name in ("disentanglement", "completeness")}


def _mig_sampled(found: Factored) -> dict[str, float]:
    if found.stddev is None:
        raise UndefinedError(NOT_NORMAL)
    return {"mig_sampled": mig_sampled(found.codes, found.stddev, found.factors, found.rng)}


SCORES: tuple[Score, ...] = (
    lambda found: {"beta_vae": beta_vae_score(found.codes, found.factors, found.rng)},
    lambda found: {"factor_vae": factor_vae_score(found.codes, found.factors, found.rng)},
    lambda found: {"mig": mig(found.codes, found.factors)},
    lambda found: {"sap": sap(found.codes, found.factors, found.rng, **found.parts).score},
    lambda found: {"sap_r2": sap_continuous(found.codes, found.factors).score},
    lambda found: {"modularity": modularity(found.codes, found.factors)},
    lambda found: {"explicitness": explicitness(found.codes, found.factors, found.rng, **found.parts).score},
    lambda found: {"irs": irs(found.codes, found.factors).score},
    _dci,
    _dci_lasso,
)


def disentanglement(view: View) -> Iterator[Finding | Omission]:
    """Yields every disentanglement score of the test part's codes.

    An interval is Student's t around the score, by the spread of the scores of as many random halves of the examples
    as there are seeds: halves drawn without replacement vary about the whole as the whole would about the truth.
    Raw features are left out: their many dimensions stand for pixels. What is taken of posteriors is the encoder's
    only, for no baseline has any.

    Reference:
        Politis, Romano, Wolf, "Subsampling" (1999), section 2.
    """
    whole = view.factored
    if whole is None or view.representation == "raw":
        return
    yield from _unfairness(view, whole.factors)
    halves = whole.halves(view.settings.seeds)
    for score in SCORES:
        yield from _scored(view, score, whole, halves)
    if view.trained:
        some = whole.some(MIXTURE)
        yield from _scored(view, _mig_sampled, some, some.halves(view.settings.seeds), "disentanglement/mig_sampled")


def _scored(
    view: View, score: Score, whole: Factored, halves: list[Factored], about: str = "disentanglement"
) -> Iterator[Finding | Omission]:
    """Yields what one function scores, or why it cannot: as of the metric `about`."""
    try:
        found = score(whole)
        parts = [score(half) for half in halves]
    except UndefinedError as error:
        if view.trained:
            yield Omission(about, str(error))
        return
    for name, value in found.items():
        interval = _around(value, np.array([part[name] for part in parts]))
        facts = {
            "count": len(whole.codes),
            "interval": interval,
            "note": f"interval: t over {len(halves)} random halves",
        }
        yield Finding(view.metric(f"disentanglement/{name}", value, "score", **facts))


def _unfairness(view: View, factors: np.ndarray) -> Iterator[Finding]:
    """Yields how far predictions of one factor change with another, where the examples hold whole sets of it."""
    interventions = {}
    for factor in range(factors.shape[1]) if view.trained else ():
        with contextlib.suppress(UndefinedError):  # no examples that differ in this factor only
            rows, _ = counterparts(factors, factor, np.random.default_rng([view.seed, factor]))
            interventions[factor] = view.codes.test[rows]
    if interventions:
        with contextlib.suppress(UndefinedError):
            score = factor_unfairness(view.codes.test, factors, interventions, seed=view.seed).score
            note = "0 is fair; by examples that differ in one factor only"
            yield Finding(view.metric("disentanglement/unfairness", score, "score", note=note))


def importance(view: View) -> np.ndarray | None:
    """Returns how much each dimension says of each factor, [latent, factors]; None without factors or importance."""
    with contextlib.suppress(UndefinedError):
        return None if view.factored is None else view.factored.dci.importance
    return None


def _around(value: float, halves: np.ndarray) -> Interval:
    reach = float(np.std(halves, ddof=1) * scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(halves) - 1))
    return max(value - reach, 0.0), min(value + reach, 1.0)
