"""A run's events, as its worker tells them."""

from pipeline.console import View
from pipeline.events import Cached, Done, Progress, Run, Start

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
