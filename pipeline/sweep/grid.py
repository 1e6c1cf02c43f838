"""The configurations of a sweep, and the run configuration of each trial."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.evaluator.bounds import unknown
from components.evaluator.names import probe_name
from components.frontier.wording import configuration_in_words
from models import recipes
from models.errors import InputError
from pipeline.config import Config

AXES = ("rate", "distortion")


@dataclass(frozen=True)
class Arm:
    """One configuration of a sweep: a recipe with its parameters, and a latent."""

    recipe: str
    parameters: Mapping[str, Any]
    latent: int

    @property
    def name(self) -> str:
        """The configuration in words, unique in the sweep."""
        return configuration_in_words(self.recipe, self.parameters, self.latent)


@dataclass(frozen=True)
class Trial:
    """One training: a configuration, a seed, and how far to train."""

    arm: Arm
    seed: int
    rung: int
    epochs: int

    @property
    def name(self) -> str:
        """The trial in words."""
        return f"{self.arm.name}, seed {self.seed}, {self.epochs} epochs"


def arms(config: Config) -> list[Arm]:
    """Returns the configurations in the order of the file: the first recipe at every latent comes first."""
    latents = config.sweep.latent or (config.model.latent,)
    return [
        Arm(recipes.find(recipe).name, parameters, latent)
        for recipe, grid in config.sweep.recipes.items()
        for parameters in _combinations(grid)
        for latent in latents
    ]


def rungs(config: Config) -> list[int]:
    """Returns the epochs of each rung, the last one `training.epochs`.

    Example:
        With halving {epochs: 5, factor: 3} and 60 epochs: [5, 15, 45, 60].
    """
    first, last = config.sweep.halving.epochs, config.training.epochs
    if first is None:
        return [last]
    steps = itertools.takewhile(lambda e: e < last, (first * config.sweep.halving.factor**k for k in itertools.count()))
    return [*steps, last]


def seeds(config: Config) -> range:
    """Returns the seeds of every configuration."""
    return range(config.seed, config.seed + config.sweep.seeds)


def usefulness(config: Config) -> str:
    """Returns the metric that is the third axis."""
    return config.sweep.usefulness or probe_name("linear", config.evaluation.labels[-1])


def run_of(config: Config, trial: Trial) -> Config:
    """Returns the run configuration of a trial: what `metaprior run` would need to train the same model."""
    model = config.model.model_copy(
        update={"recipe": trial.arm.recipe, "parameters": dict(trial.arm.parameters), "latent": trial.arm.latent}
    )
    training = config.training.model_copy(update={"epochs": trial.epochs})
    return config.model_copy(update={"seed": trial.seed, "model": model, "training": training})


def check(config: Config) -> None:
    """Checks the sweep section as far as that needs no data.

    Raises:
        InputError: a line for each problem.
    """
    if broken := list(dict.fromkeys(_broken(config))):
        raise InputError("\n".join(broken))


def _broken(config: Config) -> Iterator[str]:
    sweep = config.sweep
    if not sweep.recipes:
        yield "sweep.recipes: must name at least one recipe, such as {vae: {}, beta_vae: {beta: [1, 4]}}. Received: {}."
    for recipe, grid in sweep.recipes.items():
        yield from _recipe(recipe, grid)
    yield from _twice(config)
    if len(set(sweep.latent)) < len(sweep.latent):
        yield f"sweep.latent: must not repeat. Received: {list(sweep.latent)}."
    first, last = sweep.halving.epochs, config.training.epochs
    if first is not None and first >= last:
        yield f"sweep.halving.epochs: must be below training.epochs ({last}). Received: {first}."
    yield from _metric(config)


def _recipe(recipe: str, grid: Mapping[str, Any]) -> Iterator[str]:
    where = f"sweep.recipes.{recipe}"
    for key, values in grid.items():
        if values == []:
            yield f"{where}.{key}: must hold at least one value. Received: []."
        elif isinstance(values, list) and len({json.dumps(value) for value in values}) < len(values):
            yield f"{where}.{key}: must not repeat. Received: {json.dumps(values)}."
    for parameters in _combinations(grid):
        try:
            recipes.validate(recipe, parameters)
        except InputError as error:
            for line in str(error).splitlines():
                yield line.replace("model.parameters", where).replace("model.recipe", where)


def _twice(config: Config) -> Iterator[str]:
    """Yields a line for each name of a recipe that another name of it stands before."""
    taken: dict[str, str] = {}
    for name in config.sweep.recipes:
        with contextlib.suppress(InputError):  # an unknown recipe has a line of its own
            first = taken.setdefault(recipes.find(name).name, name)
            if first != name:
                yield f"sweep.recipes.{name}: is {first} under another name. Put its parameters there."


def _metric(config: Config) -> Iterator[str]:
    metric, data = config.sweep.usefulness, config.data
    tasks = [*data.targets, *data.factors, *filter(None, [data.sensitive])]
    if metric in AXES:
        yield f"sweep.usefulness: {metric} is an axis of the frontier already. Name a probe or another metric."
    elif metric is not None and (nearest := unknown(metric, config.evaluation, tasks)):
        yield f"sweep.usefulness: no such metric. Did you mean {nearest}? Received: {metric}."


def _combinations(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    alternatives = [values if isinstance(values, list) else [values] for values in grid.values()]
    for chosen in itertools.product(*alternatives):
        yield dict(zip(grid, chosen, strict=True))
