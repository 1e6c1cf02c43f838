"""A choice from a frontier: in words, as a command, and as the run configuration that makes it again."""

import dataclasses
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.frontier.schema import Frontier, Trial
from components.frontier.wording import amount
from models.atomic import write_whole
from pipeline import loading
from pipeline.config import Config
from pipeline.listing import shown
from pipeline.show import program

RUN_FILE = "run.yaml"


@dataclass(frozen=True)
class Choice:
    """The encoder to bless.

    Args:
        sweep: name of the sweep.
        task: the metric that decided.
        better: whether higher or lower values of it are better.
        configuration: name of the chosen configuration.
        mean: the task's mean over the configuration's seeds.
        unit: its unit.
        seed: the chosen trial's.
        trial: the chosen trial.
        excluded: a line for each configuration that is not eligible.
        path: the configuration that all trials have in common.
        sets: what the trial adds to it, by key.
    """

    sweep: str
    task: str
    better: str
    configuration: str
    mean: float
    unit: str
    seed: int
    trial: Trial
    excluded: tuple[str, ...]
    path: Path
    sets: Mapping[str, Any]

    @property
    def command(self) -> str:
        """What trains, blesses and pushes it; the training comes from the cache."""
        pairs = [part for key, value in self.sets.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        return shlex.join([program(), "run", "--config", shown(self.path), "--model", self.trial.recipe, *pairs])

    @property
    def run(self) -> Config:
        """The run configuration of the chosen trial.

        Raises:
            InputError: if this version does not take what the trials have in common.
        """
        pairs = [(key, json.dumps(value)) for key, value in self.sets.items()]
        return loading.load(self.path, model=self.trial.recipe, sets=pairs)


def words(choice: Choice) -> list[str]:
    """Returns a choice in words."""
    said = amount(choice.mean, choice.unit)
    trial = choice.trial
    return [
        f"{choice.configuration}: {choice.task} {said}, the mean over its seeds; seed {choice.seed} is its best.",
        f"  rate {amount(trial.rate.value, 'nats')}, distortion {amount(trial.distortion.value, 'nats')}, "
        f"{trial.epochs} epochs",
        *(f"Excluded {line}" for line in choice.excluded),
    ]


def lines(choice: Choice) -> list[str]:
    """Returns a choice in words, the command last."""
    how = "Bless and push it (--push does so at once); what was trained comes from the cache:"
    return [*words(choice), "", how, f"  {choice.command}"]


def facts(choice: Choice) -> dict[str, Any]:
    """Returns a choice in plain values with stable keys."""
    return dataclasses.asdict(choice) | {"command": choice.command}


def common(place: Path, frontier: Frontier) -> Path:
    """Writes what all trials have in common as a run configuration, and returns its path."""
    text = yaml.safe_dump(_plain(frontier.run), sort_keys=False, allow_unicode=True)
    return write_whole(place / RUN_FILE, text.encode())


def sets(trial: Trial) -> dict[str, Any]:
    """Returns what a trial adds to that, beside its recipe, by key."""
    own = {f"model.parameters.{name}": value for name, value in trial.parameters.items()}
    return {"model.latent": trial.latent, "seed": trial.seed, "training.epochs": trial.epochs} | own


def _plain(run: dict[str, Any]) -> dict[str, Any]:
    """Returns the run configuration without the model's own, which the command gives."""
    model = {key: value for key, value in run["model"].items() if key not in ("recipe", "parameters", "latent")}
    return run | {"model": model}
