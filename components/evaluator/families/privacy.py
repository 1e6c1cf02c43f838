"""Whether the encoder gives away which examples it was trained on."""

from collections.abc import Iterator

from components.evaluator.examples import TRAIN
from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics.privacy import membership
from components.metrics.undefined import UndefinedError


def privacy(view: View) -> Iterator[Finding | Omission]:
    """Yields how well the ELBO tells training examples from test examples; the encoder only."""
    if not view.trained:
        return
    train, test = view.nats("elbo", TRAIN), view.nats("elbo")
    try:
        found = membership(train, test, seed=view.seed)
    except UndefinedError as error:
        yield Omission("membership/advantage", str(error))
        return
    facts = {"count": len(train) + len(test), "split": "train and test", "note": "by the ELBO"}
    yield Finding(view.estimate("membership/advantage", found.advantage, "difference", **facts))
    yield Finding(view.estimate("membership/auc", found.auc, "auc", **facts))
