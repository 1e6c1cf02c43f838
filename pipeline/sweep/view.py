"""How a sweep is shown while it runs: a live table of its configurations on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from components.frontier.wording import amount
from pipeline import events
from pipeline.console import PAUSE, STYLES, duration
from pipeline.sweep.grid import Arm, Trial

PRUNED = "pruned"
STATES = STYLES | {PRUNED: "dim"}


@dataclass
class Row:
    """One configuration: its state, its mean usefulness and the epochs behind it, and how many trials are done."""

    state: str = "waiting"
    value: str = ""
    epochs: int = 0
    trials: int = 0


@dataclass
class Running:
    """One trial at work: when it began, and what it said last."""

    trial: Trial
    began: float
    text: str = "loading the libraries"


@dataclass
class View:
    """Everything a person sees of a sweep.

    Args:
        console: where to show it.
        arms: the configurations.
        unit: the usefulness's unit.
        minutes: the budget.
        clock: returns seconds since 1970.
    """

    console: Console
    arms: list[Arm]
    unit: str
    minutes: float
    clock: Callable[[], float] = time.time
    rows: dict[str, Row] = field(init=False)
    running: dict[int, Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {arm.name: Row() for arm in self.arms}
        self._began = self.clock()
        self._said = self._began

    def live(self):
        """Returns a context in which the table is drawn; on no terminal it draws nothing."""
        if not self.console.is_terminal:
            return nullcontext()
        return Live(console=self.console, get_renderable=self.table, refresh_per_second=4)

    def start(self, slot: int, trial: Trial) -> None:
        """Shows that a trial began."""
        self.running[slot] = Running(trial, self.clock())
        self.rows[trial.arm.name].state = "running"
        self._line(f"{trial.name}: started")

    def tell(self, slot: int, event: events.Event) -> None:
        """Shows what a running trial says."""
        running = self.running[slot]
        match event:
            case events.Start():
                running.text = event.component
            case events.Progress():
                share = f"{event.fraction:.0%}, " if event.fraction is not None else ""
                running.text = f"{event.component}: {share}{event.text.splitlines()[0]}"
                if self.clock() - self._said >= PAUSE:
                    self._line(f"{running.trial.name}: {running.text}")
            case events.Warned():
                self._line(f"{running.trial.name}: warning: {event.text}", always=True)

    def done(self, slot: int, said: str) -> None:
        """Shows that a trial is over, with what came of it."""
        running = self.running.pop(slot)
        self.rows[running.trial.arm.name].trials += 1
        self._line(f"{running.trial.name}: {said} in {duration(self.clock() - running.began)}")

    def stopped(self, slot: int) -> None:
        """Shows that a trial was stopped because the budget is used up."""
        running = self.running.pop(slot)
        self._line(f"{running.trial.name}: stopped, for the minutes are over")

    def known(self, trial: Trial, value: str) -> None:
        """Takes in a trial that an earlier command did."""
        row = self.rows[trial.arm.name]
        row.trials, row.epochs, row.value = row.trials + 1, trial.epochs, value

    def failed(self, slot: int, reason: str) -> None:
        """Shows that a trial came to nothing."""
        running = self.running.pop(slot)
        self._line(f"{running.trial.name}: failed: {reason}", always=True)

    def decided(self, trial: Trial, state: str, value: float | None) -> None:
        """Shows what was decided on a configuration after a rung."""
        row = self.rows[trial.arm.name]
        row.state, row.epochs = state, trial.epochs
        row.value = "" if value is None else amount(value, self.unit)
        words = {"running": "promoted", "done": "done"}.get(state, state)
        self._line(f"{trial.arm.name}: {words} after {trial.epochs} epochs{f', {row.value}' if row.value else ''}")

    def table(self) -> Table:
        """Returns the table at this moment."""
        drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption=self._caption(), caption_justify="left")
        for heading, right in (
            ("configuration", 0),
            ("state", 0),
            ("trials", 1),
            ("epochs", 1),
            ("usefulness", 1),
            ("", 0),
        ):
            drawn.add_column(heading, justify="right" if right else "left", header_style="dim", no_wrap=True)
        for name, row in self.rows.items():
            now = [r for r in self.running.values() if r.trial.arm.name == name]
            text = "; ".join(f"seed {r.trial.seed}, {r.trial.epochs} epochs, {r.text}" for r in now)
            state = Text(row.state, style=STATES[row.state])
            epochs = str(row.epochs or "")
            drawn.add_row(Text(name), state, str(row.trials or ""), epochs, row.value, Text(text, style="dim"))
        return drawn

    def _caption(self) -> str:
        return f"{duration(self.clock() - self._began)} of {duration(60 * self.minutes)}"

    def _line(self, text: str, *, always: bool = False) -> None:
        """Prints a line where nothing is drawn, and on a terminal only what must stay."""
        self._said = self.clock()
        if always or not self.console.is_terminal:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)
