"""What a person reads when a run has ended."""

import os
import signal
import sys
from pathlib import Path

import pytest
import stores
from run_events import WHOLE, view_of

from pipeline import loading, show
from pipeline.console import View
from pipeline.events import Failed, Summary


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return loading.load(data="digits")


@pytest.fixture
def summary(tmp_path):
    """A summary whose evaluation lies on disk."""
    root = tmp_path / "runs" / "digits"
    path = stores.evaluation(root / "RepresentationEvaluator" / "evaluation" / "9")
    return Summary(
        evaluation=str(path),
        report=str(path.with_name("report.html")),
        blessed=True,
        reasons=[],
        pushed=str(root / "serving" / "encoder" / "3"),
        version=3,
        model_run=str(root / "Trainer" / "model_run" / "7"),
        serving=str(root / "serving" / "encoder"),
    )


def ending(view: View, code: int, config) -> list[str]:
    return show.ending(view, code, config=config, log=Path("runs/digits/logs/r1.log"))


@pytest.fixture
def found(monkeypatch):
    """A shell that finds the command by its name."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)


def test_where_the_shell_does_not_find_the_command_its_path_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(Path(sys.executable).parents[2])
    assert show.program() == str(Path(*Path(sys.executable).parts[-3:]).with_name("metaprior"))


@pytest.mark.usefixtures("found")
def test_a_run_ends_with_what_was_learned_and_the_next_commands(config, summary):
    lines = ending(view_of([*WHOLE, summary]), 0, config)
    text = "\n".join(lines)
    assert lines[1] == "What was learned, by the test split:"
    assert "6.50 nats" in text
    assert "0.930" in text
    assert "PCA 0.900" in text
    assert "  Blessed: the bound is met." in lines
    assert lines[-8:] == [
        "Pushed: version 3 in runs/digits/serving/encoder",
        "Report: runs/digits/RepresentationEvaluator/evaluation/9/report.html",
        "",
        "Next:",
        "  serve        metaprior serve --path runs/digits/serving/encoder",
        "  query        metaprior query",
        "  TensorBoard  metaprior tensorboard digits",
        "Log: runs/digits/logs/r1.log",
    ]


@pytest.mark.usefixtures("found")
def test_a_refused_model_says_why_and_is_not_offered_for_serving(config, summary):
    reason = "rest: the answer differs by 0.1"
    refused = Summary(**vars(summary) | {"blessed": False, "reasons": [reason], "version": None, "pushed": None})
    lines = ending(view_of([*WHOLE, refused]), 0, config)
    assert f"  {reason}" in lines
    assert lines[-5:] == [
        "Not pushed: only a blessed encoder is.",
        "Report: runs/digits/RepresentationEvaluator/evaluation/9/report.html",
        "",
        "TensorBoard: metaprior tensorboard digits",
        "Log: runs/digits/logs/r1.log",
    ]


@pytest.mark.usefixtures("found")
def test_the_next_commands_carry_what_is_not_the_default(summary):
    moved = loading.load(data="digits", sets=[("serving.model", "mine"), ("output", "my runs")])
    lines = ending(view_of([*WHOLE, summary]), 0, moved)
    assert "  query        metaprior query --model mine" in lines
    assert "  TensorBoard  metaprior tensorboard digits --output 'my runs'" in lines


def test_a_failure_ends_with_its_reason_and_the_log(config):
    failed = Failed("Ingest", "a.csv: line 3 has 2 cells instead of 3.", 3.0)
    view = view_of([*WHOLE[:2], failed])
    assert ending(view, 2, config) == ["", f"Ingest failed: {failed.reason}", "Log: runs/digits/logs/r1.log"]
    assert show.exit_code(view, 2) == 2


def test_a_failure_before_the_first_component_names_none(config):
    view = view_of([Failed(None, "runs/digits: another run is at work.", 3.0)])
    assert ending(view, 2, config)[1] == "runs/digits: another run is at work."


def test_a_killed_worker_is_told_and_how_to_go_on(config):
    view = view_of(WHOLE[:5])
    expected = [
        "",
        "Trainer was killed (signal 9); run the same command again to resume. "
        "If nobody killed it, memory ran out: close other programs first",
        "Log: runs/digits/logs/r1.log",
    ]
    assert ending(view, -signal.SIGKILL, config) == expected
    view.died(163.0)  # as the live table leaves it
    assert ending(view, -signal.SIGKILL, config) == expected
    assert show.exit_code(view, -signal.SIGKILL) == 1


def test_a_worker_killed_between_components_names_none(config):
    told = ending(view_of([]), -signal.SIGTERM, config)[1]
    assert told == "the run's process was killed (signal 15); run the same command again to resume"


def test_what_came_out_is_shown_even_when_the_worker_ends_badly_afterwards(config, summary):
    view = view_of([*WHOLE, summary])
    for code, how in ((1, "ended with exit status 1"), (-11, "was killed (signal 11)")):
        lines = ending(view, code, config)
        assert "Pushed: version 3 in runs/digits/serving/encoder" in lines
        assert lines[-3:] == [
            "",
            f"When all was done, the run's process {how}; its log may say why.",
            "Log: runs/digits/logs/r1.log",
        ]
        assert show.exit_code(view, code) == 1
    view.apply(Failed(None, "no room", 190.0))
    assert ending(view, 1, config)[-2] == "When all was done: no room"


def test_a_worker_that_ends_without_a_word_points_to_its_log(config):
    assert ending(view_of([]), 1, config)[1] == "the run ended without saying why (exit status 1); its log does"
    assert show.exit_code(view_of([]), 0) == 1
