"""A process that runs trials one after another: `python -m pipeline.sweep.worker EVENT_FD`.

Orders come on the standard input, a JSON object a line; what happens is told as events on the file descriptor,
`finished` or `failed` at the end of each order. One process runs many trials, because loading the libraries
takes longer than training a small model.
"""

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from models.checkpoints import KEEP
from pipeline import paths
from pipeline.config import Config
from pipeline.failures import reason
from pipeline.worker import Events, end_with_listener, route_logs


def main(arguments: list[str]) -> int:
    """Carries out orders until there are no more."""
    descriptor = int(arguments[0])
    os.set_inheritable(descriptor, False)
    threading.Thread(target=end_with_listener, args=[descriptor], daemon=True).start()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        events = Events(stream)
        route_logs(events)
        for line in sys.stdin:
            events.component = None
            try:
                events.tell("finished", result=carry_out(json.loads(line), events))
            except Exception as error:  # noqa: BLE001  (one trial's failure, whatever it is, must not end the others)
                told, mendable = reason(error)
                events.tell("failed", component=events.component, reason=told, time=time.time(), mendable=mendable)
                traceback.print_exc()
    return 0


def carry_out(order: dict[str, Any], events: Events) -> dict[str, Any]:
    """Runs what an order asks for and returns where its results lie.

    Args:
        order: `run` (the run's id), `config`, and either `promotable` (whether the trial may train on later) and
            `models` (the sections of all configurations, with the first trial) or `request` and `ids` of the frontier.
        events: told what happens.

    Raises:
        Exception: whatever a component raised.
    """
    from pipeline.runners import LocalRunner
    from pipeline.sweep import graph

    config = Config.model_validate(order["config"])
    runner = LocalRunner(events.tell, run=order["run"])
    if "request" in order:
        runner.run(graph.frontier(config, request=order["request"], ids=order["ids"]))
        return {"frontier": runner.outputs["Frontier"]["frontier"][0].uri}
    pipeline = graph.trial(config)
    if order["models"]:
        _declare(config, order["models"])
    kept = Path(graph.checkpoints(pipeline))
    _keep(kept, order["promotable"])
    runner.run(pipeline)
    found = {
        "evaluation": (graph.TRIAL, "evaluation"),
        "model": ("Trainer", "model"),
        "examples": ("Ingest", "examples"),
    }
    outputs = {name: runner.outputs[component][key][0] for name, (component, key) in found.items()}
    places = {name: {"id": artifact.id, "uri": artifact.uri} for name, artifact in outputs.items()}
    return places | {"checkpoints": str(kept)}


def _declare(config: Config, models: list[dict[str, Any]]) -> None:
    """Has TensorBoard's HParams table a column for each parameter of each recipe of the sweep."""
    from models import board

    training = config.training.model_dump(mode="json")
    rows = (board.hyperparameters(model, training, seed=config.seed, objective="") for model in models)
    board.declare(paths.trainings(config), dict.fromkeys(name for row in rows for name in row))


def _keep(checkpoints: Path, wanted: bool) -> None:
    """Says in the checkpoints' own folder whether they are to outlive the training."""
    if wanted:
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / KEEP).touch()
    else:
        (checkpoints / KEEP).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
