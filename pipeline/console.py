"""The live table of a run: what its events add up to, drawn for a terminal or told line by line."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline import events

PAUSE = 5.0  # seconds between two plain lines of progress
STYLES = {"waiting": "dim", "cached": "cyan", "running": "bold yellow", "done": "green", "failed": "bold red"}


@dataclass
class Row:
    """One component: `started` and `ended` in seconds since 1970, `text` its progress or its failure."""

    status: str = "waiting"
    started: float | None = None
    ended: float | None = None
    text: str = ""
    fraction: float | None = None


@dataclass
class View:
    """What is known of a run so far: the sum of the events it was given."""

    run: str | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    failure: events.Failed | None = None
    summary: events.Summary | None = None

    @property
    def running(self) -> str | None:
        """The component that is running, if one is."""
        return next((name for name, row in self.rows.items() if row.status == "running"), None)

    def apply(self, event: events.Event) -> None:
        """Adds one event."""
        match event:
            case events.Run():
                self.run = event.run
                self.rows = {name: Row() for name in event.components}
            case events.Start():
                self._row(event.component).status = "running"
                self._row(event.component).started = event.time
            case events.Progress(component=str(name)):
                self._row(name).text, self._row(name).fraction = event.text, event.fraction
            case events.Cached():
                self._end(event.component, "cached", event.time)
            case events.Done():
                self._end(event.component, "done", event.time)
            case events.Failed():
                self.failure = event
                if event.component:
                    self._end(event.component, "failed", event.time)
                    self._row(event.component).text = event.reason
            case events.Summary():
                self.summary = event

    def died(self, now: float) -> None:
        """Marks the running component failed: its process is gone without a word."""
        if self.running:
            name = self.running
            self._end(name, "failed", now)
            self.rows[name].text = "its process is gone"

    def _row(self, name: str) -> Row:
        return self.rows.setdefault(name, Row())

    def _end(self, name: str, status: str, when: float) -> None:
        row = self._row(name)
        row.status, row.ended, row.text, row.fraction = status, when, "", None


def table(view: View, now: float) -> Table:
    """Returns the table of a run's components at one moment.

    Args:
        view: the run so far.
        now: seconds since 1970, for the elapsed time of what is running.
    """
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("component", "state", "time", ""):
        right = "right" if heading == "time" else "left"
        drawn.add_column(heading, justify=right, header_style="dim", no_wrap=True)
    for name, row in view.rows.items():
        state = Text(row.status, style=STYLES[row.status])
        drawn.add_row(name, state, _elapsed(row, now), Text(_detail(row), style="dim"))
    return drawn


def line(event: events.Event, view: View) -> str | None:
    """Returns what one event is in a plain line; None for what the end of the run tells.

    Args:
        event: the event.
        view: the run, with the event applied.
    """
    match event:
        case events.Run():
            return f"run {event.run}: {', '.join(event.components)}"
        case events.Start():
            return f"{event.component} running"
        case events.Progress(component=str(name)):
            return f"{name}: {_detail(view.rows[name])}"
        case events.Warned():
            return f"warning: {event.text}"
        case events.Cached():
            return f"{event.component} cached"
        case events.Done():
            return f"{event.component} done in {_elapsed(view.rows[event.component], event.time)}"
    return None


def follow(stream: Iterable[events.Event], console: Console, *, clock: Callable[[], float] = time.time) -> View:
    """Shows a run's events as they come: as a live table on a terminal, as plain lines elsewhere.

    Args:
        stream: the events.
        console: where to show them.
        clock: returns the seconds since 1970.

    Returns:
        The run as it was when the events ended.
    """
    view = View()
    if not console.is_terminal:
        return _tell(stream, view, console, clock=clock)
    loading = Spinner("dots", "loading the libraries")

    def now() -> Table | Spinner:
        return table(view, clock()) if view.rows else loading

    with Live(console=console, get_renderable=now, refresh_per_second=4):
        for event in stream:
            view.apply(event)
            if isinstance(event, events.Warned):
                _print(line(event, view), console)
        if view.running and not view.failure:
            view.died(clock())
    return view


def _tell(stream: Iterable[events.Event], view: View, console: Console, *, clock: Callable[[], float]) -> View:
    """Prints a plain line per event, and progress now and then: a log is read, not watched."""
    said = float("-inf")
    for event in stream:
        view.apply(event)
        if isinstance(event, events.Progress):
            if clock() - said < PAUSE:
                continue
            said = clock()
        _print(line(event, view), console)
    return view


def _print(told: str | None, console: Console) -> None:
    if told:
        console.print(told, markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Returns a time a person reads at a glance.

    Example:
        >>> duration(83)
        '1 min 23 s'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _elapsed(row: Row, now: float) -> str:
    if row.started is None or row.status == "cached":
        return ""
    return duration((row.ended or now) - row.started)


def _detail(row: Row) -> str:
    share = f"{row.fraction:.0%}, " if row.fraction is not None else ""
    first = next(iter(row.text.splitlines()), "")
    return share + first
