"""The process that runs a pipeline: `python -m pipeline.worker CONFIG_JSON EVENT_FD`.

The command that a person started stays light and draws the table; everything heavy happens here. What
happens is told as events, one JSON object a line, on the file descriptor; everything else goes to the log.
The configuration's file name, less its ending, is the run's id.
"""

import contextlib
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from models.artifact import TRAINING
from pipeline import paths
from pipeline.config import Config
from pipeline.failures import reason
from pipeline.lock import locked

DONE, FAILED, REFUSED = 0, 1, 2


class Events(logging.Handler):
    """Writes events as JSON lines; as a log handler, turns progress records into events.

    Args:
        stream: the text stream to write to.
    """

    def __init__(self, stream: TextIO):
        super().__init__()
        self._stream = stream
        self.component: str | None = None

    def tell(self, event: str, **fields: Any) -> None:
        """Writes one event; from `start` on, progress belongs to that event's component."""
        if event == "start":
            self.component = fields["component"]
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")
        self._stream.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a progress record as an event; a warning as one that stays."""
        text, fraction = record.getMessage(), getattr(record, "fraction", None)
        if record.levelno >= logging.WARNING:
            self.tell("warned", component=self.component, text=text)
        else:
            self.tell("progress", component=self.component, text=text, fraction=fraction)


def run(config: Config, events: Events, *, run_id: str) -> None:
    """Runs the pipeline of a configuration and tells its events, the summary last.

    Raises:
        Exception: whatever a component raised.
    """
    from pipeline.graph import create_pipeline
    from pipeline.runners import LocalRunner

    runner = LocalRunner(events.tell, run=run_id)
    runner.run(create_pipeline(config))
    events.tell("summary", **summary(config, runner.outputs))


def summary(config: Config, outputs: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, Any]:
    """Returns what a person wants to know of a finished run: verdict, reasons, where everything is."""
    evaluation = Path(outputs["RepresentationEvaluator"]["evaluation"][0].uri)
    record = json.loads((evaluation / "evaluation.json").read_text(encoding="utf-8"))
    training = json.loads(Path(outputs["Trainer"]["model"][0].uri, TRAINING).read_text(encoding="utf-8"))
    infra = outputs["ServingCheck"]["infra_blessing"][0]
    pushed = outputs["Pusher"]["pushed_model"][0]
    reasons = [bound["reason"] for bound in record["bounds"] if not bound["ok"]]
    if infra.get_int_custom_property("blessed") != 1:
        reasons.append(infra.get_string_custom_property("reason"))
    version = pushed.get_int_custom_property("pushed_version") or None
    return {
        "evaluation": str(evaluation / "evaluation.json"),
        "report": str(evaluation / "report.html"),
        "blessed": not reasons,
        "reasons": reasons,
        "pushed": pushed.get_string_custom_property("pushed_destination") or None,
        "version": version,
        "model_run": str(Path(outputs["Trainer"]["model_run"][0].uri)),
        "serving": str(paths.serving(config)),
        "warnings": training["warnings"],
    }


def main(arguments: list[str]) -> int:
    """Runs the pipeline; returns 0 when it is done, 2 when an input is at fault, 1 when something broke."""
    path, descriptor = arguments[0], int(arguments[1])
    config = Config.model_validate_json(Path(path).read_text(encoding="utf-8"))
    os.set_inheritable(descriptor, False)
    threading.Thread(target=end_with_listener, args=[descriptor], daemon=True).start()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        events = Events(stream)
        route_logs(events)
        try:
            with locked(paths.root(config)):
                run(config, events, run_id=Path(path).stem)
        except Exception as error:  # noqa: BLE001  (the process's last line of defence: whatever it is, it is told)
            line, mendable = reason(error)
            events.tell("failed", component=events.component, reason=line, time=time.time())
            with contextlib.suppress(OSError):  # the log may lie on the disk that is full
                traceback.print_exc()
            return REFUSED if mendable else FAILED
    return DONE


def end_with_listener(descriptor: int) -> None:
    """Ends this process and its children when nobody listens any more: a run is seen, or it is not there."""
    poll = select.poll()
    poll.register(descriptor, 0)  # errors alone: a pipe has one when its reader is gone
    if any(flags & select.POLLERR for _, flags in poll.poll()):
        os.killpg(os.getpgrp(), signal.SIGTERM)


def route_logs(events: Events) -> None:
    """Sends every log record to the log (standard error) and progress to the events alone."""
    from absl import logging as absl_logging

    logging.getLogger().setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    absl_logging.use_absl_handler()
    progress = logging.getLogger("metaprior.progress")
    progress.addHandler(events)
    progress.propagate = False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
