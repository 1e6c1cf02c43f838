"""How single dimensions of a code stand for single ground-truth factors."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import scipy.stats

from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics import dci as dci_module
from components.metrics.disentanglement import mig, modularity
from components.metrics.explicitness import explicitness
from components.metrics.intervals import CONFIDENCE, Interval
from components.metrics.irs import irs
from components.metrics.sap import sap, sap_continuous
from components.metrics.undefined import UndefinedError
from components.metrics.unfairness import counterparts, factor_unfairness
from components.metrics.votes import beta_vae_score, factor_vae_score

Score = Callable[[np.ndarray, np.ndarray, np.random.Generator], dict[str, float]]


def _dci(codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    found = dci_module.dci_histogram(codes, factors, rng, **_parts(codes))
    return {f"dci_{name}": getattr(found, name) for name in ("disentanglement", "completeness", "informativeness")}


def _dci_lasso(codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    found = dci_module.dci_lasso(codes, factors, rng, **_parts(codes))
    return {f"dci_lasso_{name}": getattr(found, name) for name in ("disentanglement", "completeness")}


def _parts(codes: np.ndarray) -> dict[str, int]:
    """Two thirds to learn from, a third to score on, as the published 10,000 and 5,000 are."""
    test = len(codes) // 3
    return {"train": len(codes) - test, "test": test}


SCORES: tuple[Score, ...] = (
    lambda codes, factors, rng: {"beta_vae": beta_vae_score(codes, factors, rng)},
    lambda codes, factors, rng: {"factor_vae": factor_vae_score(codes, factors, rng)},
    lambda codes, factors, _: {"mig": mig(codes, factors)},
    lambda codes, factors, rng: {"sap": sap(codes, factors, rng, **_parts(codes)).score},
    lambda codes, factors, _: {"sap_r2": sap_continuous(codes, factors).score},
    lambda codes, factors, _: {"modularity": modularity(codes, factors)},
    lambda codes, factors, rng: {"explicitness": explicitness(codes, factors, rng, **_parts(codes)).score},
    lambda codes, factors, _: {"irs": irs(codes, factors).score},
    _dci,
    _dci_lasso,
)


def disentanglement(view: View) -> Iterator[Finding | Omission]:
    """Yields every disentanglement score of the test part's codes.

    An interval is Student's t around the score, by the spread of the scores of as many random halves of the examples
    as there are seeds: halves drawn without replacement vary about the whole as the whole would about the truth.
    Raw features are left out: their many dimensions stand for pixels.

    Reference:
        Politis, Romano, Wolf, "Subsampling" (1999), section 2.
    """
    if view.factors is None or view.representation == "raw":
        return
    codes, seeds = view.codes.test, view.settings.seeds
    halves = [_half(len(codes), np.random.default_rng([view.seed, draw])) for draw in range(seeds)]
    yield from _unfairness(view, view.factors)
    for score in SCORES:
        try:
            whole = score(codes, view.factors, np.random.default_rng(view.seed))
            parts = [
                score(codes[half], view.factors[half], np.random.default_rng([view.seed, draw]))
                for draw, half in enumerate(halves)
            ]
        except UndefinedError as error:
            if view.trained:
                yield Omission("disentanglement", str(error))
            continue
        for name, value in whole.items():
            interval = _around(value, np.array([part[name] for part in parts]))
            note = f"interval: t over {seeds} random halves"
            metric = view.metric(f"disentanglement/{name}", value, "score", interval=interval, seeds=1, note=note)
            yield Finding(metric)


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
    if view.factors is None:
        return None
    try:
        rng = np.random.default_rng(view.seed)
        return dci_module.dci_histogram(view.codes.test, view.factors, rng, **_parts(view.codes.test)).importance
    except UndefinedError:
        return None


def _half(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(count)[: count // 2]


def _around(value: float, halves: np.ndarray) -> Interval:
    reach = float(np.std(halves, ddof=1) * scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(halves) - 1))
    return max(value - reach, 0.0), min(value + reach, 1.0)
