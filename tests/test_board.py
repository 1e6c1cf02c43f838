"""What TensorBoard, the log and the console say about a code while its model trains."""

import io
import json
import logging
from pathlib import Path

import pytest
import samples
import stores
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from models import watch
from models.board import description
from models.task import Task
from models.training import Training
from pipeline import console, events, loading, show
from pipeline.worker import Events

pytestmark = samples.STACK

CODE = {"code/active_units", "code/mutual_information", "code/mismatch", "code/total_correlation"}


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    return samples.digits(tmp_path_factory.getbasetemp() / "samples")


@pytest.fixture
def told(caplog):
    """The warnings so far, of the log and of the progress that the console shows."""
    caplog.set_level(logging.INFO, "metaprior")

    def warnings(name):
        return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and r.name == name]

    return lambda: (warnings("metaprior.training"), warnings("metaprior.progress"))


def training(digits, folder, *, beta, epochs, latent=4, **section):
    """A training of 16 steps an epoch, whose checkpoints are those of the last one in this folder."""
    fn_args = samples.arguments(digits, folder, epochs=epochs, **section)
    fn_args.custom_config["model"] |= {"latent": latent, "parameters": {"beta": beta}}
    task = Task.of(fn_args.custom_config).resolved(digits.spec)
    return Training(task, digits.examples("train"), digits.examples("eval"), folder=folder / f"run {epochs}")


def collapse(run, *, epoch, advice):
    """The warning of a training after an epoch, with the rate that its history has for it."""
    rate = run.state.history[epoch - 1]["eval"]["rate"]
    units, where = "0 of 4 units carry information", f"on the evaluation split after epoch {epoch}"
    return f"training: posterior collapse: {units} (rate {rate:.2f} nats {where}). {advice}"


def remedy(first):
    advice = "warm it up with a schedule or use the recipe target_rate, which asks for a rate."
    return f"{first} model.parameters.beta (now 1000), {advice}"


def test_a_healthy_training_writes_its_code_and_warns_of_nothing(digits, tmp_path, told):
    run = training(digits, tmp_path, beta=0.1, epochs=5)
    summary = run.run()
    assert told() == ([], [])  # catches: a warning whatever the rate is
    assert summary["warnings"] == []
    assert summary["code"]["examples"] == 140
    assert summary["code"]["rate"] == pytest.approx(summary["rate"], rel=1e-4)  # catches: the last weights' numbers
    assert len(summary["code"]["dimensions"]) == 4
    written = EventAccumulator(str(tmp_path / "run 5" / "eval"), size_guidance={"tensors": 0}).Reload()
    dimensions = {f"rate/dimension_{index}" for index in range(4)}
    assert CODE | dimensions <= set(written.Tags()["tensors"])
    steps = [event.step for event in written.Tensors("code/mismatch")]
    assert steps[0] == 0  # the code that the training sets out from
    assert steps[-1] == 80
    for tag in CODE | dimensions:
        assert written.SummaryMetadata(tag).summary_description == description(tag) != ""
    layout = layout_pb2.Layout.FromString(written.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    first, second = layout.category[0].chart
    assert list(first.multiline.tag) == [r"rate/dimension_\d+"]
    assert list(second.multiline.tag) == ["^rate$", "code/mutual_information", "code/mismatch"]


def test_many_dimensions_are_a_histogram(digits, tmp_path):
    training(digits, tmp_path, beta=1.0, epochs=1, latent=33).run()
    written = EventAccumulator(str(tmp_path / "run 1" / "eval"), size_guidance={"tensors": 0}).Reload()
    tags = set(written.Tags()["tensors"])
    assert "rate/dimensions" in tags
    assert not {tag for tag in tags if tag.startswith("rate/dimension_")}


def test_a_collapsed_training_warns_once_and_resumed_not_again(digits, tmp_path, told):
    run = training(digits, tmp_path, beta=1000.0, epochs=5)
    first = run.run()
    text = collapse(run, epoch=5, advice="Train longer (training.epochs, now 5), " + remedy("lower"))
    assert told() == ([text], [text])  # catches: another epoch, a warning in every epoch, one of the two channels
    assert first["warnings"] == [text]
    again = training(digits, tmp_path, beta=1000.0, epochs=7).run()
    assert told() == ([text], [text])  # catches: a state that the checkpoint does not hold
    assert again["warnings"] == [text]
    assert again["epochs"] == 7


def test_a_long_training_warns_before_its_end(digits, tmp_path, told, monkeypatch):
    monkeypatch.setattr(watch, "STEPS", 96)
    run = training(digits, tmp_path, beta=1000.0, epochs=8, patience=8)
    run.run()
    text = collapse(run, epoch=6, advice=remedy("Lower"))  # 96 steps are six epochs
    assert told() == ([text], [text])  # catches: no regard for steps; advice to train longer


def test_a_schedule_that_has_not_come_to_its_end_is_waited_for(digits, tmp_path, told, monkeypatch):
    monkeypatch.setattr(watch, "STEPS", 1)
    beta = {"schedule": "linear", "start": 1000.0, "end": 999.0, "steps": 112}
    training(digits, tmp_path, beta=beta, epochs=8, patience=8).run()
    (text,), _ = told()
    assert "after epoch 7)" in text  # 112 steps; catches: a warning in epoch 5


def test_a_training_too_short_to_tell_is_left_alone(digits, tmp_path, told):
    summary = training(digits, tmp_path, beta=1000.0, epochs=4).run()
    assert summary["code"]["active_units"] == 0
    assert told() == ([], [])


def test_the_worker_tells_a_warning_as_an_event_that_stays():
    stream = io.StringIO()
    handler = Events(stream)
    handler.component = "Trainer"
    record = logging.LogRecord("metaprior.progress", logging.WARNING, "x.py", 1, "collapse of %d", (3,), None)
    handler.emit(record)
    assert json.loads(stream.getvalue()) == {"event": "warned", "component": "Trainer", "text": "collapse of 3"}
    (read,) = events.read([stream.getvalue().encode()])
    assert read == events.Warned("Trainer", "collapse of 3")


WARNED = [
    events.Run("r1", ["Trainer"]),
    events.Start("Trainer", 1.0),
    events.Progress("Trainer", "epoch 3", 0.1),
    events.Warned("Trainer", "training: [collapse]"),
]


def test_without_a_terminal_a_warning_is_a_line_at_once():
    out = Console(file=io.StringIO(), width=20)
    console.follow(iter(WARNED), out, clock=lambda: 0.0)
    assert out.file.getvalue().splitlines()[-1] == "warning: training: [collapse]"


def test_on_a_terminal_a_warning_stays_above_the_table():
    out = Console(file=io.StringIO(), width=60, force_terminal=True)
    view = console.follow(iter([*WARNED, events.Done("Trainer", 9.0)]), out, clock=lambda: 9.0)
    assert "warning: training: [collapse]" in out.file.getvalue()
    assert view.rows["Trainer"].status == "done"


def test_a_run_ends_with_its_training_s_warnings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = stores.evaluation(tmp_path / "evaluation")
    summary = events.Summary(
        evaluation=str(path),
        report=str(path.with_name("report.html")),
        blessed=True,
        reasons=[],
        pushed=None,
        version=None,
        model_run="run",
        serving="serving",
        warnings=["training: collapse."],
    )
    view = console.View(summary=summary)
    lines = show.ending(view, 0, config=loading.load(data="digits"), log=Path("r1.log"))
    learned = lines[: lines.index("Not pushed: only a blessed encoder is.")]
    assert learned[-1] == "  Warning: training: collapse."


def test_every_described_tag_or_prefix_has_words():
    assert description("rate/dimension_31") == description("rate/dimension_0")
    assert description("term/kl") != description("weight/kl")
    assert description("learning_rate_x") is None  # a tag is described by its own words or by those of its group
