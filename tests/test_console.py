"""What a person sees of a run, from its events alone."""

import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console

from components.evaluator.schema import BoundRecord, DataFacts, Evaluation, Metric, write_evaluation
from pipeline import console, events, loading, show
from pipeline.console import View
from pipeline.events import Cached, Done, Failed, Progress, Run, Start, Summary

WHOLE = [
    Run("r1", ["Ingest", "Trainer", "Pusher"]),
    Start("Ingest", 100.0),
    Cached("Ingest", 101.0),
    Start("Trainer", 101.0),
    Progress("Trainer", "epoch 3 of 20, elbo -24.1", 0.15),
    Done("Trainer", 184.0),
    Start("Pusher", 184.0),
    Done("Pusher", 185.0),
]


def view_of(stream) -> View:
    view = View()
    for event in stream:
        view.apply(event)
    return view


def drawn(view: View, now: float, width: int = 70) -> list[str]:
    """The table's lines as a terminal shows them, without colors."""
    out = Console(file=io.StringIO(), width=width)
    out.print(console.table(view, now))
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def told(stream) -> list[str]:
    """The lines for an output that is not a terminal."""
    out = Console(file=io.StringIO(), width=40)
    console.follow(iter(stream), out, clock=lambda: 0.0)
    return out.file.getvalue().splitlines()


def test_the_table_shows_what_waits_runs_and_is_done():
    assert drawn(view_of(WHOLE[:5]), now=163.4) == [
        "component  state          time",
        "Ingest     cached",
        "Trainer    running  1 min 02 s  15%, epoch 3 of 20, elbo -24.1",
        "Pusher     waiting",
    ]


def test_the_table_of_a_finished_run_keeps_the_times():
    assert drawn(view_of(WHOLE), now=9e9) == [
        "component  state         time",
        "Ingest     cached",
        "Trainer    done    1 min 23 s",
        "Pusher     done           1 s",
    ]


def test_a_failed_component_shows_its_reason():
    failed = Failed("Trainer", "row 7: is NaN.\nand more", 110.0)
    view = view_of([*WHOLE[:5], failed])
    assert drawn(view, now=9e9)[2] == "Trainer    failed    9 s  row 7: is NaN."
    assert view.failure == failed


def test_without_a_terminal_each_event_is_a_plain_line():
    assert told(WHOLE) == [
        "run r1: Ingest, Trainer, Pusher",
        "Ingest running",
        "Ingest cached",
        "Trainer running",
        "Trainer: 15%, epoch 3 of 20, elbo -24.1",
        "Trainer done in 1 min 23 s",
        "Pusher running",
        "Pusher done in 1 s",
    ]


def test_plain_lines_show_brackets_as_they_are():
    assert told([WHOLE[0], Progress("Ingest", "[red]x[/red]", None)])[-1] == "Ingest: [red]x[/red]"


def test_plain_progress_is_told_now_and_then():
    times = iter([0.0, 0.0, 1.0, 4.9, 5.0, 5.0])
    stream = [WHOLE[0], *(Progress("Ingest", f"{count} examples") for count in (1, 2, 3, 4))]
    out = Console(file=io.StringIO(), force_terminal=False, width=200)
    console.follow(iter(stream), out, clock=lambda: next(times))
    assert out.file.getvalue().splitlines()[1:] == ["Ingest: 1 examples", "Ingest: 4 examples"]


def test_on_a_terminal_the_table_is_live():
    out = Console(file=io.StringIO(), width=70, force_terminal=True)
    view = console.follow(iter(WHOLE), out, clock=lambda: 200.0)
    assert view == view_of(WHOLE)
    assert "1 min 23 s" in out.file.getvalue()


def test_on_a_terminal_something_moves_before_the_first_event():
    out = Console(file=io.StringIO(), width=70, force_terminal=True)
    console.follow(iter(()), out)
    assert "loading the libraries" in out.file.getvalue()


def test_on_a_terminal_a_worker_that_dies_leaves_no_component_running():
    out = Console(file=io.StringIO(), width=70, force_terminal=True)
    view = console.follow(iter(WHOLE[:5]), out, clock=lambda: 200.0)
    assert view.rows["Trainer"].status == "failed"
    assert "its process is gone" in out.file.getvalue()


def test_progress_of_the_run_as_a_whole_belongs_to_no_row():
    view = view_of([WHOLE[0], Progress(None, "compiling", None)])
    assert {row.text for row in view.rows.values()} == {""}


def test_events_come_from_lines_and_one_cut_off_is_left_out():
    lines = [
        b'{"event": "start", "component": "Ingest", "time": 1.5}\n',
        b'{"event": "progress", "component": "Ingest", "text": "x", "fraction": null}\n',
        b'{"event": "done", "compo',
    ]
    assert list(events.read(lines)) == [Start("Ingest", 1.5), Progress("Ingest", "x", None)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (7385, "2 h 03 min")],
)
def test_durations_read_at_a_glance(seconds, text):
    assert console.duration(seconds) == text


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return loading.load(data="digits")


@pytest.fixture
def summary(tmp_path):
    """A summary whose evaluation lies on disk."""
    metrics = (
        Metric("rate", "encoder", 6.5, "nats", None, "test", 180, 5),
        Metric("distortion", "encoder", 18.25, "nats", None, "test", 180, 5),
        Metric("probe/linear/all", "encoder", 0.93, "accuracy", (0.91, 0.95), "test", 180, 5),
        Metric("probe/linear/all", "pca", 0.9, "accuracy", (0.88, 0.92), "test", 180, 5),
    )
    bound = BoundRecord("probe/linear/all", "min", 0.85, 0.93, None, ok=True, reason="0.93 is at least 0.85")
    evaluation = Evaluation(
        schema=1,
        space="beta_vae-10-0123456789ab",
        recipe="beta_vae",
        parameters={"beta": 4.0},
        objective="nll + 4 * kl",
        latent=10,
        data=DataFacts("digits", "image", {"train": 1437, "eval": 180, "test": 180}),
        metrics=metrics,
        bounds=(bound,),
        blessed=True,
    )
    root = tmp_path / "runs" / "digits"
    path = write_evaluation(evaluation, root / "RepresentationEvaluator" / "evaluation" / "9")
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
    assert lines[1] == "What was learned:"
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


def test_events_of_the_wire_are_those_of_the_agreement():
    summary = {"evaluation": "e", "report": "r", "blessed": True, "reasons": [], "pushed": None}
    summary |= {"version": None, "model_run": "m", "serving": "s"}
    lines = [
        {"event": "run", "run": "r1", "components": ["Ingest"]},
        {"event": "cached", "component": "Ingest", "time": 1.0},
        {"event": "failed", "component": None, "reason": "x", "time": 1.0},
        {"event": "summary", **summary},
    ]
    read = list(events.read(json.dumps(line).encode() + b"\n" for line in lines))
    assert read == [Run("r1", ["Ingest"]), Cached("Ingest", 1.0), Failed(None, "x", 1.0), Summary(**summary)]
