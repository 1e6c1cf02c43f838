"""A training that goes on with more epochs, and the checkpoints that let it."""

import json
from pathlib import Path

import pytest
import samples

from models.checkpoints import KEEP
from models.task import Task
from models.training import Training, run_fn

pytestmark = samples.STACK


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    return samples.digits(tmp_path_factory.getbasetemp() / "samples")


def trained(digits, folder: Path, epochs: int) -> dict:
    """What the record of a trained model says that does not depend on the clock."""
    fn_args = samples.arguments(digits, folder, epochs=epochs)
    fn_args.model_run_dir = str(folder / f"run {epochs}")
    fn_args.serving_model_dir = str(folder / f"model {epochs}" / "Format-Serving")
    run_fn(fn_args)
    place = folder / f"model {epochs}"
    summary = json.loads((place / "training.json").read_text())
    record = json.loads((place / "Format-Serving/assets.extra/metaprior.json").read_text())
    return {key: summary[key] for key in ("steps", "epochs", "best_epoch", "elbo")} | {"space": record["space"]}


def test_a_promoted_training_goes_on_to_what_one_in_full_would_be(digits, tmp_path, caplog):
    promoted, alone = tmp_path / "promoted", tmp_path / "alone"
    checkpoints = promoted / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / KEEP).touch()
    first = trained(digits, promoted, epochs=1)
    assert checkpoints.is_dir()
    (checkpoints / KEEP).unlink()
    with caplog.at_level("INFO", "metaprior.training"):
        last = trained(digits, promoted, epochs=3)
    assert f"resuming at step {first['steps']}" in caplog.text
    assert last == trained(digits, alone, epochs=3)
    assert last["space"] != first["space"]
    assert not checkpoints.exists()


def test_a_shorter_training_does_not_take_the_checkpoints_of_a_longer_one(digits, tmp_path):
    def training(epochs: int) -> Training:
        fn_args = samples.arguments(digits, tmp_path, epochs=epochs)
        task = Task.of(fn_args.custom_config).resolved(digits.spec)
        return Training(task, digits.examples("train"), digits.examples("eval"), folder=tmp_path / f"run {epochs}")

    training(3).run()
    shorter = training(1)
    assert not shorter.checkpoints.restore(shorter.plan.total)
    assert shorter.run()["epochs"] == 1
