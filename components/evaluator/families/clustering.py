"""How clusters of codes agree with the classes of the label."""

from collections.abc import Iterator

from components.evaluator.examples import Task
from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics.clustering import agreement, kmeans, silhouette
from components.metrics.undefined import UndefinedError


def clustering(view: View) -> Iterator[Finding | Omission]:
    """Yields ACC, NMI, ARI and silhouette of k-means with as many clusters as the label has classes."""
    task = view.label
    if not isinstance(task, Task) or task.targets.kind != "classification":
        return
    codes, clusters = view.of(task), len(task.classes)
    try:
        assigned = kmeans(codes, clusters=clusters, seed=view.seed)
        found = agreement(assigned, task.targets.test, seed=view.seed)
    except UndefinedError as error:
        if view.trained:
            yield Omission("clustering/accuracy", str(error))
        return
    facts = {"count": found.count, "note": f"k-means with {clusters} clusters, the best of 10 starts"}
    yield Finding(view.estimate("clustering/accuracy", found.accuracy, "accuracy", **facts))
    yield Finding(view.estimate("clustering/nmi", found.nmi, "score", **facts))
    yield Finding(view.estimate("clustering/ari", found.ari, "score", **facts))
    try:
        apart = silhouette(codes.test, assigned, seed=view.seed)
    except UndefinedError as error:
        if view.trained:
            yield Omission("clustering/silhouette", str(error))
        return
    yield Finding(view.estimate("clustering/silhouette", apart, "score", **facts))
