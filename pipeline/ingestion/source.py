"""What every kind of source has in common: it describes itself, splits into shards, and reads them."""

import abc
import difflib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.config import Data, SourceKind

log = logging.getLogger("metaprior.ingestion")

Record = dict[str, Any]
"""One example: feature key -> array (image, vector), float, int or text. A missing value is an absent key."""

MOST_CLASSES = 1000
"""A label with more distinct values than this is a number or a name, not a class."""


@dataclass(frozen=True)
class Description:
    """What a source holds, found without reading all of it where that is possible.

    Args:
        kind: which kind of source it is.
        name: a short name for people: the built-in's or the file's.
        spec: kind, shape and roles of the examples.
        count: number of examples, None if only a full pass would tell.
        fingerprint: changes whenever the content may have changed (paths, sizes and times of files;
            versions and seeds of what is generated).
    """

    kind: SourceKind
    name: str
    spec: FeatureSpec
    count: int | None
    fingerprint: str


@dataclass(frozen=True)
class Shard:
    """A piece of a source that one worker reads from start to end; cheap to pickle.

    Args:
        name: the file or part it belongs to; what ids start with where a source has several parts.
        start: index of its first example within that file or part.
        items: what to read: file names, row groups or indices; empty means everything.
    """

    name: str
    start: int = 0
    items: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Role:
    """A part that one array or column of the input plays beside the examples.

    Args:
        role: its key below `data`: label, sensitive, id, factors or targets.
        key: its feature key in the examples.
        name: the array or column of the input.
        required: whether its absence is an error.
    """

    role: str
    key: str
    name: str
    required: bool


@dataclass(frozen=True)
class Ids:
    """What names the examples, where the input does so; it may name two of them alike.

    Args:
        what: what messages call it, such as "t.csv: column 'key'".
        first: the number of the first row in messages.
        otherwise: what to do where it cannot be made unique.
    """

    what: str
    first: int
    otherwise: str


class Source(abc.ABC):
    """One input of the pipeline.

    Building a source touches nothing; `describe` looks at the input and refuses what it can refuse
    cheaply; `read` streams and refuses the rest. Nothing heavier than NumPy, Pillow and Arrow is
    imported before `read`. Sources pickle, description included, so that workers need not look again.

    Args:
        data: the configuration's `data` section.
        seed: for the sources that draw at random (`seeded`).
        expected: what a trained model expects. The source then yields examples for that model: its
            columns, its keys; labels and other roles may be missing from the input.
    """

    kind: ClassVar[SourceKind]
    seeded: ClassVar[bool] = False

    def __init__(self, data: Data, *, seed: int = 0, expected: FeatureSpec | None = None):
        self.data = data
        self.seed = seed
        self.expected = expected
        self._description: Description | None = None

    @property
    def name(self) -> str:
        """What messages call the source."""
        return Path(self.data.source).name or self.data.source

    @property
    def spec(self) -> FeatureSpec:
        """Kind, shape and roles of the examples."""
        return self.describe().spec

    @property
    def ids(self) -> Ids | None:
        """What of the input names the examples; None where the source names them itself, each differently."""
        return None

    def describe(self) -> Description:
        """Returns what the source holds.

        Raises:
            InputError: if the input cannot be used as configured.
        """
        if self._description is None:
            self._description = self._inspect()
        return self._description

    @abc.abstractmethod
    def _inspect(self) -> Description:
        """Looks at the input once; `describe` remembers the answer."""

    def shards(self) -> list[Shard]:
        """Returns the pieces of the input, which can be read in any order and at the same time.

        Raises:
            InputError: if the input cannot be used as configured.
        """
        self.describe()
        return self._shards()

    @abc.abstractmethod
    def _shards(self) -> list[Shard]:
        """Cuts the described input into pieces."""

    @abc.abstractmethod
    def read(self, shard: Shard) -> Iterator[Record]:
        """Yields the examples of one shard, keyed by the feature keys of `spec`.

        Raises:
            InputError: if an example cannot be used; the message names it.
        """

    def settle(self, found: FeatureSpec) -> FeatureSpec:
        """Returns the spec to produce: what was found, or what a trained model expects if that agrees.

        Raises:
            InputError: if the model was trained on something else.
        """
        if self.expected is None:
            return found
        if _layout(found) != _layout(self.expected):
            raise InputError(
                f"{self.name}: holds {_layout(found)}, but the model was trained on "
                f"{_layout(self.expected)}. Give it data of the same kind and shape."
            )
        return self.expected

    def only_label(self, label: str | None) -> None:
        """Refuses every configured role but `label`, for sources that have no arrays or columns to name.

        Raises:
            InputError: if another label, a sensitive attribute, factors, targets or an id are configured.
        """
        has = f"only the label {label!r}" if label else "no label"
        for role in ("label", "sensitive", "factors", "targets", "id"):
            name = getattr(self.data, role)
            if name and (role != "label" or name != label):
                raise InputError(f"data.{role}: {self.name} has {has}. Remove data.{role}.")

    def roles(self) -> list[Role]:
        """Returns the roles to look for in an input with named arrays or columns.

        An input called `id` is the id unless another one is configured.
        """
        data, expected = self.data, self.expected
        roles = []
        for role in ("label", "sensitive", "id"):
            name = getattr(data, role)
            key = getattr(expected, role) if expected else name or ("id" if role == "id" else None)
            if key:
                roles.append(Role(role, key, name or key, bool(name)))
        keys = expected.factors if expected else data.factors
        for key, name in zip(keys, data.factors or keys, strict=False):
            roles.append(Role("factors", key, name, bool(data.factors)))
        targets = [target.name for target in expected.targets] if expected else data.targets
        return roles + [Role("targets", name, name, name in data.targets) for name in targets]


def suggestion(name: str, choices: Iterable[str]) -> str:
    """Returns the sentence that ends a message about an unknown name: the nearest choice, or all of them.

    Example:
        >>> suggestion("incom", ["age", "income"])
        'Did you mean income?'
    """
    names = list(choices)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Choose one of: {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}."


def file_fingerprint(paths: Iterable[Path]) -> str:
    """Returns one line of JSON with path, size in bytes and modification time of each file."""
    stats = ((str(path), path.stat()) for path in paths)
    return json.dumps([[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats])


class Classes:
    """Checks, over a stream, that the values of a label or a sensitive attribute are classes.

    Args:
        role: the configuration's key, such as `label`.
        what: what messages call the values, such as "adult.csv: column 'income'".
    """

    def __init__(self, role: str, what: str):
        self._role = role
        self._what = what
        self._seen: set[str] = set()

    def add(self, texts: Iterable[str | None]) -> None:
        """Takes the next values; None is missing.

        Raises:
            InputError: if there are too many distinct values.
        """
        self._seen.update(text for text in texts if text is not None)
        if len(self._seen) > MOST_CLASSES:
            raise InputError(
                f"data.{self._role}: {self._what} has more than {MOST_CLASSES:,} distinct values, so it does "
                "not name classes. Bin it first, or choose another."
            )

    def close(self) -> None:
        """Ends the stream.

        Raises:
            InputError: if there were fewer than two distinct values.
        """
        if len(self._seen) < 2:
            values = f"one class only ({min(self._seen)!r})" if self._seen else "no value at all"
            raise InputError(
                f"data.{self._role}: {self._what} has {values}. At least two are needed; choose another, or "
                f"leave data.{self._role} out."
            )


def continuous(role: str, what: str, value: float) -> InputError:
    """Returns the error for a label or sensitive attribute that holds fractions."""
    return InputError(f"data.{role}: {what} is continuous (it holds {value:g}). Bin it first, or choose another.")


def _layout(spec: FeatureSpec) -> str:
    if spec.kind == "image":
        return f"{spec.dtype} images of {'x'.join(str(n) for n in spec.shape)}"
    if spec.kind == "vector":
        return f"vectors of {spec.shape[0]} values"
    return "a table"
