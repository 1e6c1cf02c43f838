"""A training from records to an artifact: its result, its stops, its messages, and what TensorBoard gets."""

import json
import logging
import math
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import samples
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.callbacks import Budget, Plan
from models.errors import InputError
from models.features.dataset import Examples
from models.features.spec import FeatureSpec
from models.task import Task
from models.training import Training, run_fn

pytestmark = samples.STACK


@dataclass(frozen=True)
class Trained:
    folder: Path
    progress: list[logging.LogRecord]

    def read(self, name):
        return json.loads((self.folder / "model" / name).read_text())


class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    return samples.digits(tmp_path_factory.getbasetemp() / "samples")


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder, told = tmp_path_factory.mktemp("trained"), Records()
    logger = logging.getLogger("metaprior.progress")
    logger.addHandler(told)
    logger.setLevel(logging.INFO)
    run_fn(samples.arguments(digits, folder))
    logger.removeHandler(told)
    return Trained(folder, told.records)


def test_a_training_leaves_the_whole_artifact(trained):
    files = {str(path.relative_to(trained.folder / "model")) for path in (trained.folder / "model").rglob("*")}
    assert {
        "Format-Serving/saved_model.pb",
        "Format-Serving/assets.extra/metaprior.json",
        "Format-Baselines/saved_model.pb",
        "Format-Keras/model.keras",
        "golden.json",
        "training.json",
    } <= files
    assert not any(".tmp" in file for file in files)


def test_the_summary_says_how_it_went(trained):
    summary = trained.read("training.json")
    assert (summary["steps"], summary["epochs"], summary["stopped"]) == (80, 5, "limit")
    assert summary["elbo"] == pytest.approx(-(summary["rate"] + summary["distortion"]), rel=1e-5)
    assert summary["elbo"] > -35  # a factorized Bernoulli on these digits reaches about -40
    assert summary["seconds"] > 0
    assert summary["examples_per_second"] > 0


def test_checkpoints_are_gone_after_success(trained):
    assert not (trained.folder / "checkpoints").exists()


def test_progress_is_told_with_a_fraction(trained):
    first = trained.progress[0]
    assert first.getMessage() == "epoch 1 of 5, step 4"
    fractions = [record.fraction for record in trained.progress]
    assert fractions == sorted(fractions)
    assert fractions[0] == pytest.approx(4 / 80)


def test_event_files_hold_the_promised_tags(trained):
    train, held_out = (EventAccumulator(str(trained.folder / "run" / run)).Reload() for run in ("train", "eval"))
    bounds = {"rate", "distortion", "elbo", "objective", "loss", "term/nll", "term/kl", "examples_per_second"}
    own = {"weight/nll", "weight/kl", "learning_rate", "gradient_norm"}
    assert set(train.Tags()["tensors"]) == bounds | own
    pictures = {"reconstructions", "samples", "traversals"}
    final = {"final/elbo", "final/rate", "final/distortion"}
    plugin = {"_hparams_/experiment", "_hparams_/session_start_info", "custom_scalars__config__"}
    code = {f"code/{name}" for name in ("active_units", "mutual_information", "mismatch", "total_correlation")}
    code |= {f"rate/dimension_{index}" for index in range(4)}
    assert set(held_out.Tags()["tensors"]) == bounds | pictures | final | plugin | code
    assert [event.step for event in train.Tensors("elbo")] == [16, 32, 48, 64, 80]
    values = {tag: float(tf.make_ndarray(train.Tensors(tag)[-1].tensor_proto)) for tag in own}
    assert values.pop("gradient_norm") > 0
    assert values == {"weight/nll": 1, "weight/kl": 0.5, "learning_rate": pytest.approx(2e-3)}
    assert (
        float(tf.make_ndarray(held_out.Tensors("final/elbo")[0].tensor_proto)) == trained.read("training.json")["elbo"]
    )


def test_one_event_file_a_run(trained):
    files = [path.parent.name for path in (trained.folder / "run").rglob("events.*")]
    assert sorted(files) == ["eval", "train"]


@pytest.fixture(scope="module")
def tensorboard(trained):
    """TensorBoard itself, on a free port."""
    from tensorboard import default, program

    board = program.TensorBoard(plugins=default.get_plugins())
    board.configure(argv=[None, "--logdir", str(trained.folder / "run"), "--port", "0", "--load_fast", "false"])
    address = board.launch()

    def get(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read()

    return get


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensorboard_shows_the_projector_and_the_hyperparameters(trained, tensorboard):
    assert json.loads(tensorboard("data/plugin/projector/runs")) == ["eval"]
    info = json.loads(tensorboard("data/plugin/projector/info?run=eval"))["embeddings"][0]
    assert info["tensorShape"] == [140, 4]
    tensor = np.frombuffer(tensorboard("data/plugin/projector/tensor?run=eval&name=embedding"), np.float32)
    golden = trained.read("golden.json")["embedding"]
    np.testing.assert_allclose(tensor.reshape(140, 4)[:8], golden, atol=1e-4)
    labels = tensorboard("data/plugin/projector/metadata?run=eval&name=embedding").decode().split("\n")
    assert len(labels) == 141
    assert set(labels) == {*"0123456789", ""}
    sheet = tf.io.decode_png(tensorboard("data/plugin/projector/sprite_image?run=eval&name=embedding"))
    assert sheet.shape[:2] == (96, 96)
    states = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    asked = {"experimentName": "", "allowedStatuses": states, "colParams": [], "startIndex": 0, "sliceSize": 9}
    groups = json.loads(tensorboard("data/plugin/hparams/session_groups", asked))["sessionGroups"]
    assert groups[0]["hparams"]["model.recipe"] == "beta_vae"
    assert groups[0]["hparams"]["parameters.beta"] == 0.5


def test_training_stops_early_and_keeps_the_best_weights(digits, tmp_path):
    fn_args = samples.arguments(digits, tmp_path, epochs=40, learning_rate=0.05, patience=2)
    task = Task.of(fn_args.custom_config).resolved(digits.spec)
    training = Training(task, digits.examples("train"), digits.examples("eval"), folder=tmp_path / "run")
    summary = training.run()
    objectives = [entry["eval"]["objective"] for entry in training.state.history]
    assert summary["stopped"] == "early"
    assert summary["best_epoch"] == int(np.argmin(objectives)) + 1 == len(objectives) - 2
    held_out = digits.examples("eval").evaluation(batch=32)
    scores = training.model.evaluate(held_out, steps=5, return_dict=True, verbose=0)
    assert scores["objective"] == pytest.approx(min(objectives), rel=1e-5)


def test_a_data_set_smaller_than_a_batch_is_one_batch(digits, tmp_path):
    few = few_examples(digits, tmp_path, train=5, held_out=1)
    task = Task.of(samples.arguments(few, tmp_path, epochs=2).custom_config).resolved(digits.spec)
    splits = [Examples(few.files(split), digits.output, digits.spec) for split in ("train", "eval")]
    summary = Training(task, *splits, folder=tmp_path / "run").run()
    assert (summary["steps"], summary["epochs"]) == (2, 2)


@pytest.mark.parametrize(
    ("train", "held_out", "message"),
    [
        (
            1,
            4,
            "data.source: training needs at least 2 examples, the training split has 1. Give more data or a larger "
            "data.splits.train.",
        ),
        (
            8,
            0,
            "data.splits: the evaluation split has no examples (the training split has 8). Give more data or a "
            "larger data.splits.eval.",
        ),
    ],
)
def test_too_little_data_is_said_in_one_line(digits, tmp_path, train, held_out, message):
    few = few_examples(digits, tmp_path, train=train, held_out=held_out)
    with pytest.raises(InputError) as caught:
        run_fn(samples.arguments(few, tmp_path))
    assert str(caught.value) == message


def few_examples(sample, folder, *, train, held_out):
    records = [samples.example(row) for row in sample.rows]
    (folder / "few").mkdir()
    samples.write_records(folder / "few" / "train-0.gz", records[:train])
    samples.write_records(folder / "few" / "eval-0.gz", records[train : train + held_out])
    return SimpleNamespace(
        raw=sample.raw, transform=sample.transform, files=lambda split: [str(folder / "few" / f"{split}-*")]
    )


def test_a_loss_that_is_no_number_stops_with_the_step_and_the_remedy(tmp_path_factory, tmp_path):
    spec = FeatureSpec("image", (2, 2, 1), "float32")
    pixels = np.random.default_rng(0).random((40, 4), np.float32)
    pixels[7] = np.nan
    rows = [{"image": image.tobytes(), "id": b"0"} for image in pixels]
    root = tmp_path_factory.getbasetemp() / "samples" / "broken"
    sample = samples.build(root, spec, rows, {"image": samples.TEXT, "id": samples.TEXT})
    with pytest.raises(InputError) as caught:
        run_fn(samples.arguments(sample, tmp_path, batch=4, checkpoint_every=100))
    assert str(caught.value) == (
        "training: the loss is not a number at step 8 (epoch 1). Lower training.learning_rate (now 0.002) or "
        "look for extreme values in the data."
    )


@pytest.mark.filterwarnings("error")
def test_a_folder_that_cannot_be_written_is_named(digits, tmp_path):
    fn_args = samples.arguments(digits, tmp_path)
    (tmp_path / "checkpoints").write_text("a file, where the folder should be")
    with pytest.raises(InputError) as caught:
        run_fn(fn_args)
    assert str(caught.value).startswith(f"checkpoints: cannot write to {tmp_path / 'checkpoints'}: ")


@pytest.mark.parametrize(
    ("count", "batch", "every", "expected"),
    [
        (1437, 64, 500, (64, 22, 22)),
        (560, 32, 6, (32, 16, 4)),
        (60_000, 64, 500, (64, 936, 26)),
        (5, 64, 500, (5, 1, 1)),
        (1000, 10, 1, (10, 100, 1)),
    ],
)
def test_a_plan_leaves_out_few_examples(count, batch, every, expected):
    plan = Plan.of(count, 10, batch=batch, epochs=3, checkpoint_every=every)
    assert (plan.batch, plan.steps, plan.execution) == expected
    assert plan.steps % plan.execution == 0


@pytest.mark.parametrize("count", range(2, 3000, 37))
def test_a_plan_is_sound_for_any_count(count):
    plan = Plan.of(count, 1, batch=16, epochs=2, checkpoint_every=50)
    assert plan.steps % plan.execution == 0
    assert 1 <= plan.steps * plan.batch <= count
    assert plan.steps * plan.batch > 0.9 * (count - plan.batch)


def test_a_budget_counts_what_was_spent(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 10.0, 100.0])
    monkeypatch.setattr("models.callbacks.time.monotonic", lambda: next(now))
    budget = Budget(0.1)
    with budget.spending():  # from 1 to 3
        pass
    assert not budget.allows()  # at 10: 2 of 10 seconds
    assert budget.allows()  # at 100
    assert math.isclose(budget._spent, 2.0)
