"""Probes of every representation on the same examples and the same draws of labels."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.evaluator import rows
from components.evaluator.labelled import TEST, TRAIN, Labelled, Unlabelled
from components.evaluator.schema import REPRESENTATIONS, Metric, Omission, Representation
from components.evaluator.settings import Settings
from components.evaluator.wording import WORDS, in_words, number, probe_name
from components.metrics.baselines import pca
from components.metrics.draws import omission
from components.metrics.efficiency import Accuracy, Budget, accuracies
from components.metrics.probes import PROBES, Codes

progress = logging.getLogger("metaprior.progress")


@dataclass(frozen=True)
class Probing:
    """What the probes found.

    Args:
        metrics: an accuracy per representation, probe and label budget.
        widths: number of values in a code of each representation.
    """

    metrics: tuple[Metric, ...]
    widths: dict[str, int]


def omissions(labelled: Labelled | Unlabelled, settings: Settings) -> tuple[Omission, ...]:
    """Returns the probes that cannot be run, and why."""
    if isinstance(labelled, Unlabelled):
        reasons = [(budget, labelled.reason) for budget in settings.budgets]
    else:
        reasons = [(budget, omission(labelled.targets.train, budget)) for budget in settings.budgets]
    return tuple(Omission(probe_name(kind, budget), reason) for kind in PROBES for budget, reason in reasons if reason)


def probe_all(root: Path, labelled: Labelled, settings: Settings, *, latent: int, seed: int) -> Probing:
    """Probes the encoder's codes and the trivial baselines.

    Args:
        root: folder of the Embeddings artifact.
        labelled: the examples.
        settings: label budgets and number of draws.
        latent: width of a code, and of PCA.
        seed: seed of draws, intervals and PCA.
    """
    metrics: list[Metric] = []
    widths: dict[str, int] = {}
    total = len(REPRESENTATIONS) * len(PROBES) * len(_possible(labelled, settings))
    for name, codes in _representations(root, labelled, latent=latent, seed=seed):
        widths[name] = codes.train.shape[1]
        for found in probe(name, codes, labelled, settings, seed=seed):
            metrics.append(found)
            text = f"{WORDS[name]}, {in_words(found.name)}: {number(found.value, found.unit)}"
            progress.info(text, extra={"fraction": len(metrics) / total})
    names = list(dict.fromkeys(metric.name for metric in metrics))
    metrics.sort(key=lambda metric: (names.index(metric.name), REPRESENTATIONS.index(metric.representation)))
    return Probing(metrics=tuple(metrics), widths={name: widths[name] for name in REPRESENTATIONS})


def probe(
    representation: Representation, codes: Codes, labelled: Labelled, settings: Settings, *, seed: int
) -> Iterator[Metric]:
    """Yields an accuracy per probe and per label budget that can be drawn."""
    budgets = _possible(labelled, settings)
    for kind, how in PROBES.items():
        for found in accuracies(how, codes, labelled.targets, budgets=budgets, seeds=settings.seeds, seed=seed):
            yield _metric(kind, representation, found, len(labelled.test))


def encoder_codes(root: Path, labelled: Labelled) -> Codes:
    """Returns the encoder's codes of the labelled examples."""
    return _codes(root, labelled, "embeddings", "embedding")


def _possible(labelled: Labelled, settings: Settings) -> tuple[Budget, ...]:
    return tuple(budget for budget in settings.budgets if omission(labelled.targets.train, budget) is None)


def _representations(
    root: Path, labelled: Labelled, *, latent: int, seed: int
) -> Iterator[tuple[Representation, Codes]]:
    """Yields one representation after another, so that only one is in memory."""
    features = _codes(root, labelled, "baselines", "features")
    yield "raw", features
    yield "pca", pca(features, width=latent, seed=seed)
    del features
    yield "random", _codes(root, labelled, "baselines", "random")
    yield "encoder", encoder_codes(root, labelled)


def _codes(root: Path, labelled: Labelled, prefix: str, column: str) -> Codes:
    return Codes(
        train=rows.gather(root, TRAIN, prefix=prefix, column=column, ids=labelled.train),
        test=rows.gather(root, TEST, prefix=prefix, column=column, ids=labelled.test),
    )


def _metric(kind: str, representation: Representation, found: Accuracy, count: int) -> Metric:
    return Metric(
        name=probe_name(kind, found.budget),
        representation=representation,
        value=found.value,
        unit="accuracy",
        interval=found.interval,
        split=TEST,
        count=count,
        seeds=found.seeds,
        note=found.note,
    )
