"""Bounds on the log-likelihood by samples of the posterior."""

from collections.abc import Iterator

import numpy as np

from components.evaluator.families.view import NOT_ANSWERED, View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics.intervals import mean_estimate

BOUNDS = ("elbo", "iwae")


def likelihood(view: View) -> Iterator[Finding | Omission]:
    """Yields the ELBO and the IWAE bound of some test examples from the same codes; the encoder only.

    elbo = E log w,  iwae = E log (1/K) sum_k w_k,  w = p(x|z) p(z) / q(z|x); with many samples K the second is the
    importance-sampled log p(x). Where the decoder explains the label, they bound log p(label | x).
    """
    if not view.trained:
        return
    for name in BOUNDS:
        found = view.measured(f"sampled:{name}")
        if found is None:
            yield Omission(f"likelihood/{name}", NOT_ANSWERED)
            continue
        rows, values = found
        if not np.isfinite(values).all():
            yield Omission(f"likelihood/{name}", "posterior or likelihood has no finite density at its own samples")
            continue
        note = f"{view.settings.samples:,} samples of each example"
        estimate = mean_estimate(values, seed=view.seed)
        metric = view.estimate(f"likelihood/{name}", estimate, "nats", count=len(rows), note=note)
        yield Finding(metric, rows=rows, outcomes=values)
