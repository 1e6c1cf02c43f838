"""What a run's worker tells the process that shows it: one JSON object a line, on a pipe."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """A run began; `components` in the order they will run in."""

    run: str
    components: list[str]


@dataclass(frozen=True)
class Start:
    """A component started; `time` in seconds since 1970."""

    component: str
    time: float


@dataclass(frozen=True)
class Progress:
    """How far a running component (None: the run as a whole) is; `fraction` from 0 to 1, where known."""

    component: str | None
    text: str
    fraction: float | None = None


@dataclass(frozen=True)
class Warned:
    """A running component (None: the run as a whole) warns of what may spoil the result; `text` is one line."""

    component: str | None
    text: str


@dataclass(frozen=True)
class Cached:
    """A component had nothing to do: an earlier run's result still holds."""

    component: str
    time: float


@dataclass(frozen=True)
class Done:
    """A component is done."""

    component: str
    time: float


@dataclass(frozen=True)
class Failed:
    """A component, or the run before its first one (None), failed; `reason` is one line."""

    component: str | None
    reason: str
    time: float


@dataclass(frozen=True)
class Summary:
    """The run is over and this came out.

    Args:
        evaluation: path of evaluation.json.
        report: path of report.html.
        blessed: whether the model met every bound and answered over the wire.
        reasons: one line for each bound or check, in order.
        pushed: folder of the pushed version, if it was pushed.
        version: its number.
        model_run: TensorBoard's log folder.
        serving: the folder of the served model's versions.
        warnings: what the training of the model warned of, a line each.
    """

    evaluation: str
    report: str
    blessed: bool
    reasons: list[str]
    pushed: str | None
    version: int | None
    model_run: str
    serving: str
    warnings: list[str] = field(default_factory=list)


Event = Run | Start | Progress | Warned | Cached | Done | Failed | Summary
KINDS: dict[str, type] = {
    "run": Run,
    "start": Start,
    "progress": Progress,
    "warned": Warned,
    "cached": Cached,
    "done": Done,
    "failed": Failed,
    "summary": Summary,
}


def read(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yields the events of a stream of lines, as they come.

    A line that was cut off when its writer died is left out.
    """
    for line in lines:
        if line.endswith(b"\n"):
            fields = json.loads(line)
            yield KINDS[fields.pop("event")](**fields)
