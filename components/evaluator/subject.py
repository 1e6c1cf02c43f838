"""One model's embeddings: everything that families of metrics may ask of it, one representation at a time."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from components.evaluator import rows, slicing
from components.evaluator.examples import TEST, TRAIN, Chosen, NoTask, Task
from components.evaluator.families.both import Both
from components.evaluator.families.view import Last, View
from components.evaluator.schema import REPRESENTATIONS, Representation
from components.evaluator.settings import Settings
from components.evaluator.space import LastSpace
from components.evaluator.wording import NOT_FINITE, NOT_YET
from components.metrics.baselines import pca
from components.metrics.probes import Codes
from components.metrics.targets import Kind
from models.features.beside import slice_columns
from models.features.spec import FeatureSpec


class Subject:
    """A model's embeddings of the chosen examples.

    Args:
        root: folder of the Embeddings artifact.
        head: what its files say about the model and the data.
        chosen: the examples.
        settings: what to measure.
        seed: seed of draws, intervals and PCA.
        last: the last blessed model's space, or why there is none to lead the codes into.
    """

    def __init__(
        self,
        root: Path,
        head: rows.Header,
        chosen: Chosen,
        settings: Settings,
        *,
        seed: int,
        last: LastSpace | str = NOT_YET,
    ):
        self._root = root
        self._head = head
        self._chosen = chosen
        self.settings = settings
        self.seed = seed
        self._last = last
        spec = head.spec
        self.label = chosen.task("label", None, column=spec.label or "", kind="classification")
        self.tasks = tuple(self._task(name) for name in task_names(settings, spec))
        self.sensitive = chosen.task("sensitive", spec.sensitive, column=spec.sensitive or "", kind="classification")
        self.both = Both.of(self.label, self.sensitive, seed=seed)

    @functools.cached_property
    def factors(self) -> np.ndarray | None:
        """Ground-truth factors of the chosen test examples, [test examples, factors]; None where one is missing."""
        names = self._head.spec.factors
        columns = [column for name in names if (column := self._chosen.column(f"factor:{name}")) is not None]
        return np.stack(columns, axis=1) if columns and len(columns) == len(names) else None

    @functools.cached_property
    def slices(self) -> dict[str, np.ndarray]:
        """What the chosen test examples are told apart by, by column."""
        return slicing.columns(self._chosen.test, self.settings.slices, slice_columns(self._head.spec))

    @property
    def asked(self) -> bool:
        """Whether there is anything to ask of codes: a label, another task, a sensitive attribute, factors."""
        tasks = (self.label, self.sensitive, *self.tasks)
        return self.factors is not None or any(isinstance(task, Task) for task in tasks)

    @property
    def count(self) -> int:
        """Number of views: the baselines are looked at only where there is something to ask."""
        return len(REPRESENTATIONS) if self.asked else 1

    def views(self) -> Iterator[View]:
        """Yields one representation after another, the encoder last, so that only one is in memory."""
        if self.asked:
            features = self._codes("baselines", "features")
            yield self._view("raw", features)
            yield self._view("pca", pca(features, width=self._head.latent, seed=self.seed))
            del features
            yield self._view("random", self._codes("baselines", "random"))
        yield self.encoder()

    def encoder(self) -> View:
        """Returns the encoder's own view."""
        return self._view("encoder", self._codes("embeddings", "embedding"))

    def nats(self, name: str, split: str = TEST) -> np.ndarray:
        """Returns rate, distortion or elbo of the chosen examples of one split, nats."""
        return rows.gather_scalars(self._root, split, name, ids=self._ids(split))

    def _measured(self, column: str) -> tuple[np.ndarray, np.ndarray] | None:
        ids = self._chosen.test.ids
        if column not in rows.columns(self._root, TEST, "measures"):
            return None
        known = {id: place for place, id in enumerate(ids)}
        there = [id for batch in rows.stream(self._root, TEST, "measures", ("id",)) for id in batch["id"].to_pylist()]
        places = np.sort([known[id] for id in there if id in known])
        read = rows.matrix if column.startswith("noisy:") else rows.scalars
        chosen = [ids[place] for place in places]
        return places, rows.gathered(self._root, TEST, "measures", column, ids=chosen, read=read)

    def _view(self, representation: Representation, codes: Codes) -> View:
        return View(
            representation=representation,
            codes=codes,
            chosen=self._chosen,
            label=self.label,
            tasks=self.tasks,
            sensitive=self.sensitive,
            both=self.both,
            factors=self.factors,
            stddev=lambda: self._gathered("embeddings", "stddev", TEST),
            nats=self.nats,
            measured=self._measured,
            last=self._last_codes,
            settings=self.settings,
            seed=self.seed,
        )

    def _last_codes(self) -> Last | str:
        if isinstance(self._last, str):
            return self._last
        try:
            return Last(self._codes("embeddings", "embedding", root=self._last.root), self._last.alignment)
        except rows.NotFiniteError:
            return NOT_FINITE

    def _codes(self, prefix: str, column: str, *, root: Path | None = None) -> Codes:
        return Codes(*(self._gathered(prefix, column, split, root=root) for split in (TRAIN, TEST)))

    def _gathered(self, prefix: str, column: str, split: str, *, root: Path | None = None) -> np.ndarray:
        return rows.gather(root or self._root, split, prefix=prefix, column=column, ids=self._ids(split))

    def _ids(self, split: str) -> list[str]:
        return (self._chosen.train if split == TRAIN else self._chosen.test).ids

    def _task(self, name: str) -> Task | NoTask:
        spec = self._head.spec
        kinds: dict[str, Kind] = {target.name: target.kind for target in spec.targets}
        key = f"target:{name}" if name in kinds else slice_columns(spec).get(name, name)
        return self._chosen.task(key, name, column=name, kind=kinds.get(name, "classification"))


def task_names(settings: Settings, spec: FeatureSpec) -> tuple[str, ...]:
    """Returns the columns to predict beside the label: those that are asked for, or all targets."""
    return tuple(target.name for target in spec.targets) if settings.tasks is None else settings.tasks
