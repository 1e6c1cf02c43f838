"""What a person sees while a run is at work, from its events alone."""

import io
import json

import pytest
from rich.console import Console
from run_events import WHOLE, view_of

from pipeline import console, events
from pipeline.console import View
from pipeline.events import Cached, Failed, Progress, Run, Start, Summary


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
