"""Rules of the configuration that need more than one field; each broken one becomes one line."""

from collections.abc import Iterator
from itertools import chain

from components.evaluator.bounds import metric_names, unknown
from components.evaluator.settings import Bound
from models import recipes
from models.errors import InputError
from pipeline.config import Config, Data, SourceKind
from pipeline.problems import closest
from pipeline.sweep.settings import Choose

ONLY: dict[str, tuple[SourceKind, str]] = {
    "array": ("npz", "npz files"),
    "images": ("images", "image folders"),
    "columns": ("table", "tables (csv, parquet)"),
    "sprites": ("sprites", "the built-in sprites"),
}


def broken(config: Config) -> Iterator[str]:
    """Yields one line for each broken rule: the key's path, what is wrong, what to do."""
    yield from chain(
        _one_role_each(config.data),
        _one_kind_each(config.data),
        _recipe(config),
        _budgets(config.evaluation.labels),
        _slices(config.evaluation.slices),
        _choose(config.choose),
        *(_bound(metric, bound, config=config) for metric, bound in config.evaluation.bless.items()),
    )


def unsuited(data: Data, kind: SourceKind) -> Iterator[str]:
    """Yields one line for each key that means nothing for this kind of data, and is not at its default."""
    for key, (only, where) in ONLY.items():
        if kind != only and getattr(data, key) != Data.model_fields[key].default:
            yield f"data.{key}: is for {where} only, and the data is {data.source}. Leave it out."


def _one_role_each(data: Data) -> Iterator[str]:
    # A column called `id` is the id unless another one is named, or it is made an input.
    free = data.id or "id" in {*data.columns.numeric, *data.columns.categorical, *data.columns.ignore}
    taken: dict[str, str] = {} if free else {"id": "id"}
    named = [("label", data.label), ("sensitive", data.sensitive), ("id", data.id)]
    named += [(role, column) for role in ("factors", "targets") for column in getattr(data, role)]
    for role, column in named:
        if column is not None and column in taken:
            yield f"data.{role}: {column} is data.{taken[column]} already. Give each its own column."
        elif column is not None:
            taken[column] = role


def _one_kind_each(data: Data) -> Iterator[str]:
    taken: dict[str, str] = {}
    for group in ("numeric", "categorical", "ignore"):
        for column in getattr(data.columns, group):
            if column in taken:
                yield f"data.columns.{group}: {column} is in data.columns.{taken[column]}, too. Keep one."
            taken.setdefault(column, group)


def _recipe(config: Config) -> Iterator[str]:
    try:
        recipes.validate(config.model.recipe, config.model.parameters)
    except InputError as error:
        yield from str(error).splitlines()


def _budgets(labels: tuple[int | str, ...]) -> Iterator[str]:
    counts = [label for label in labels if isinstance(label, int)]
    right = [*sorted(set(counts)), *(["all"] if "all" in labels else [])]
    if not labels:
        yield "evaluation.labels: must hold at least one budget, such as [100, all]. Received: []."
    elif list(labels) != right:
        order = ", ".join(str(label) for label in right)
        yield f"evaluation.labels: must rise, without repeats, and end with all. Write [{order}]."


def _slices(slices: tuple[str, ...]) -> Iterator[str]:
    for column in dict.fromkeys(slices):
        if slices.count(column) > 1:
            yield f"evaluation.slices: {column} is there more than once. Keep one."


def _choose(choose: Choose) -> Iterator[str]:
    bounds = [name for name in ("max_rate", "max_distortion", "max_leakage") if getattr(choose, name) is not None]
    if choose.task is None and bounds:
        yield f"choose.task: must be given with choose.{bounds[0]}: a metric or a column, such as probe/linear/all."


def _bound(metric: str, bound: Bound, *, config: Config) -> Iterator[str]:
    where = f"evaluation.bless.{metric}"
    tasks = [*config.data.targets, *config.data.factors, *filter(None, [config.data.sensitive])]
    if unknown(metric, config.evaluation, tasks) is not None:
        near = closest(metric, metric_names(config.evaluation, tasks))
        yield f"{where}: no such metric. " + (f"Did you mean {near}?" if near else "docs/metrics.md lists them.")
    if not bound.model_dump(exclude_none=True):
        yield f"{where}: needs at least one of min, max, drop, rise."
    if bound.min is not None and bound.max is not None and bound.min > bound.max:
        yield f"{where}: min must be at most max. Received: min={bound.min:g}, max={bound.max:g}."
