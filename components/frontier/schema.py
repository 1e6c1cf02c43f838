"""The versioned frontier.json: every trial of a sweep, its Pareto sets, its knee, and what to make of them."""

from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, TypeAdapter
from pydantic.dataclasses import dataclass

from components.records import read_record
from models.atomic import write_whole

FRONTIER_FILE = "frontier.json"
PAGE_FILE = "frontier.html"


@dataclass(frozen=True)
class Value:
    """A number and its 95 % interval, None where there is none."""

    value: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat] | None


@dataclass(frozen=True)
class Usefulness:
    """What the codes are useful for.

    Args:
        metric: a metric of the evaluation, such as `probe/linear/100`.
        unit: its unit, as the evaluation has it.
        better: whether `higher` or `lower` values are better.
    """

    metric: str
    unit: str
    better: Literal["higher", "lower"]


@dataclass(frozen=True)
class Trial:
    """One trained and evaluated model.

    Args:
        configuration: name of its configuration.
        recipe: name of its recipe.
        parameters: the recipe's parameters, as they were given.
        latent: width of a code.
        seed: seed of the run.
        rung: how often it was promoted.
        epochs: the most passes over the training split up to this rung.
        rate: nats per example, with the evaluation's interval over examples.
        distortion: nats per example, with the evaluation's interval over examples.
        usefulness: with the evaluation's interval.
        evaluation: path of its evaluation.json.
        model: folder of the trained model.
    """

    configuration: str
    recipe: str
    parameters: dict[str, Any]
    latent: int
    seed: int
    rung: int
    epochs: int
    rate: Value
    distortion: Value
    usefulness: Value
    evaluation: str
    model: str


@dataclass(frozen=True)
class Configuration:
    """One recipe with its parameters and latent: means over seeds at its last whole rung, Student-t intervals.

    Args:
        name: the configuration in words, unique in the sweep.
        recipe: name of its recipe.
        parameters: the recipe's parameters, as they were given.
        latent: width of a code.
        rung: how often it was promoted.
        epochs: the most passes over the training split up to this rung.
        seeds: the trials' seeds.
        rate: nats per example.
        distortion: nats per example.
        usefulness: in the metric's unit.
        udr: how alike the seeds' codes are, dimension by dimension, from 0 to 1: a hint of disentanglement without
            factors (Duan et al. 2020), by the lasso; None with one seed or where it has no value.
    """

    name: str
    recipe: str
    parameters: dict[str, Any]
    latent: int
    rung: int
    epochs: int
    seeds: tuple[int, ...]
    rate: Value
    distortion: Value
    usefulness: Value
    udr: FiniteFloat | None = None


@dataclass(frozen=True)
class Knee:
    """Where more rate begins to buy little: None with the reason where there is no such place.

    Args:
        configuration: its name.
        distance: to the chord, on axes from 0 to 1.
        rule: how it was found, or why there is none.
    """

    configuration: str | None
    distance: FiniteFloat | None
    rule: str


@dataclass(frozen=True)
class InformationBound:
    """H - D <= R: with a normalized likelihood of discrete data, rate and distortion add up to the data's entropy.

    Args:
        applies: whether the likelihood is normalized and the data discrete.
        reason: why it does or does not apply.
        entropy: H of the evaluation split's empirical distribution, nats; None where the bound does not apply.
        distinct: number of distinct examples of that split; None likewise.
        slack: the least R + D - H of all trials, by the sampled distortion of training, nats; None likewise.
    """

    applies: bool
    reason: str
    entropy: FiniteFloat | None = None
    distinct: int | None = None
    slack: FiniteFloat | None = None


@dataclass(frozen=True)
class Recommendation:
    """What to make of the frontier.

    Args:
        text: in words.
        configuration: the recommended configuration.
        reference: the configuration it was compared with, the sweep's first.
        difference: mean of the paired differences of usefulness over seeds, recommended-candidate minus reference.
        interval: its 95 % interval; None where there is no test.
        p: of the paired t-test over seeds; None with fewer than two seeds, or differences without any spread.
        note: what to keep in mind.
    """

    text: str
    configuration: str
    reference: str
    difference: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat] | None
    p: FiniteFloat | None
    note: str = ""


@dataclass(frozen=True)
class LeftOut:
    """What is not part of the frontier, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Frontier:
    """A sweep's outcome; lower rate, lower distortion and better usefulness are better.

    Args:
        schema: version of this format.
        sweep: name of the sweep.
        data: name of the data.
        usefulness: the third axis.
        trials: every complete trial, of every rung.
        configurations: means over seeds, in the sweep's order; the first one is the reference.
        pareto: names of the configurations that no other one beats in rate, distortion and usefulness.
        pareto_rate_distortion: names of those that no other one beats in rate and distortion.
        knee: of the latter.
        bound: whether H - D <= R.
        recommendation: which configuration to take.
        left_out: what was not finished or could not be measured.
        run: the run configuration that the trials have in common.
        code: version of the code.
    """

    schema: Literal[1]
    sweep: str
    data: str
    usefulness: Usefulness
    trials: tuple[Trial, ...]
    configurations: tuple[Configuration, ...]
    pareto: tuple[str, ...]
    pareto_rate_distortion: tuple[str, ...]
    knee: Knee
    bound: InformationBound
    recommendation: Recommendation
    left_out: tuple[LeftOut, ...]
    run: dict[str, Any]
    code: str = ""

    def configuration(self, name: str) -> Configuration:
        """Returns the configuration of a name."""
        return next(one for one in self.configurations if one.name == name)

    def members(self, configuration: Configuration) -> tuple[Trial, ...]:
        """Returns the trials that a configuration is the mean of, by seed."""
        own = (t for t in self.trials if (t.configuration, t.rung) == (configuration.name, configuration.rung))
        return tuple(sorted(own, key=lambda trial: trial.seed))


_ADAPTER = TypeAdapter(Frontier)


def write_frontier(frontier: Frontier, folder: Path) -> Path:
    """Writes `frontier.json` into a folder, all of it or nothing, and returns its path."""
    return write_whole(folder / FRONTIER_FILE, _ADAPTER.dump_json(frontier, indent=2))


def read_frontier(path: Path) -> Frontier:
    """Reads and validates a `frontier.json`.

    Raises:
        InputError: if there is no such file, or it is not a valid frontier of this version.
    """
    again = "Run the sweep again with this version."
    return read_record(_ADAPTER, path, missing="Run the sweep again.", again=again)
