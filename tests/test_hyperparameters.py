"""The table of hyperparameters that TensorBoard shows of a sweep's trainings."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.backend_context import Context

from models.board import Board, hyperparameters
from pipeline import boards, loading, paths
from pipeline.sweep.worker import _declare

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

TRAINING = {"epochs": 5, "learning_rate": 0.001, "xla": "auto"}
RESULTS = {"elbo": -20.0, "rate": 5.0, "distortion": 15.0}


def model(recipe: str, **parameters) -> dict:
    return {"recipe": recipe, "latent": 4, "network": "auto", "parameters": parameters}


def trained(folder: Path, section: dict) -> None:
    """What a training leaves of its hyperparameters."""
    board = Board(folder)
    board.hyperparameters(hyperparameters(section, TRAINING, seed=0, objective="nll + kl"), RESULTS, step=9)
    board.close()


def columns(folder: Path) -> tuple[set[str], set[str]]:
    """The columns of hyperparameters and of results that TensorBoard takes."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(folder))))
    found = context.experiment_from_metadata(
        RequestContext(), "", True, context.hparams_metadata(RequestContext(), ""), []
    )
    return {info.name for info in found.hparam_infos}, {info.name.tag for info in found.metric_infos}


# Catches: columns of the first run alone, which lacks other recipes' parameters.
def test_the_table_of_a_sweep_has_the_parameters_of_all_its_recipes(tmp_path):
    trained(tmp_path / "12", model("factor_vae", gamma=6.4, critic=[64, 64]))
    assert "parameters.gamma" in columns(tmp_path / "12")[0]
    config = loading.validate({"data": {"source": "digits"}, "name": "small", "output": str(tmp_path / "runs")})
    trainings = paths.trainings(config)
    for number in ("9", "12"):
        trained(trainings / number, model("vae"))
    _declare(config, [model("vae"), model("factor_vae", gamma=6.4), model("beta_vae", beta=4)])
    names, results = columns(trainings)
    assert {"parameters.gamma", "parameters.beta", "model.recipe", "model.latent", "seed", "objective"} <= names
    assert results == {"final/elbo", "final/rate", "final/distortion"}
    assert (boards.reader(trainings), boards.reader(trainings / "9")) == ("false", "auto")
    _declare(config, [model("vae")])  # a later sweep: what an earlier one declared is forgotten
    assert not any(name.startswith("parameters.") for name in columns(trainings)[0])


def test_only_plain_values_are_hyperparameters():
    found = hyperparameters(model("factor_vae", critic=[64, 64], gamma=2), TRAINING, seed=3, objective="nll")
    assert found == {
        "seed": 3,
        "objective": "nll",
        "model.recipe": "factor_vae",
        "model.latent": 4,
        "model.network": "auto",
        "training.epochs": 5,
        "training.learning_rate": 0.001,
        "training.xla": "auto",
        "parameters.gamma": 2,
    }
