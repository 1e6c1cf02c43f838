"""What a person sees of a sweep, on a terminal and in a log; and of its trials among the runs."""

import io

import stores
from rich.console import Console
from stores import COMPLETE, Recorder

from pipeline import events, history, listing
from pipeline.sweep.grid import Arm, Trial
from pipeline.sweep.view import View

VAE, BETA = Arm("vae", {}, 4), Arm("beta_vae", {"beta": 4}, 4)
FIRST, SECOND = Trial(VAE, 0, 0, 5), Trial(BETA, 1, 0, 5)


class Clock:
    """A clock that is put forward by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def view(*, terminal: bool) -> tuple[View, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=terminal, width=200, color_system=None)
    return View(console, [VAE, BETA], "accuracy", 10, clock), stream, clock


def goes_on(shown: View, clock: Clock) -> None:
    shown.start(0, FIRST)
    clock.now += 6
    shown.tell(0, events.Progress("Trainer", "epoch 2 of 5", 0.4))
    shown.tell(0, events.Progress("Trainer", "epoch 3 of 5", 0.6))
    shown.tell(0, events.Warned("Trainer", "posterior collapse"))
    clock.now += 60
    shown.done(0, "rate 5.00 nats")
    shown.decided(FIRST, "running", 0.5)
    shown.start(1, SECOND)
    shown.failed(1, "Trainer: no")
    shown.decided(SECOND, "failed", None)


def test_a_log_has_a_line_for_each_step_and_progress_now_and_then():
    shown, stream, clock = view(terminal=False)
    with shown.live():
        goes_on(shown, clock)
    assert stream.getvalue().splitlines() == [
        "vae, latent 4, seed 0, 5 epochs: started",
        "vae, latent 4, seed 0, 5 epochs: Trainer: 40%, epoch 2 of 5",
        "vae, latent 4, seed 0, 5 epochs: warning: posterior collapse",
        "vae, latent 4, seed 0, 5 epochs: rate 5.00 nats in 1 min 06 s",
        "vae, latent 4: promoted after 5 epochs, 50.0 %",
        "beta_vae, beta 4, latent 4, seed 1, 5 epochs: started",
        "beta_vae, beta 4, latent 4, seed 1, 5 epochs: failed: Trainer: no",
        "beta_vae, beta 4, latent 4: failed after 5 epochs",
    ]


def test_a_terminal_has_a_row_for_each_configuration_and_keeps_what_went_wrong():
    shown, stream, clock = view(terminal=True)
    goes_on(shown, clock)
    shown.start(0, Trial(VAE, 1, 1, 15))
    shown.tell(0, events.Progress("Trainer", "epoch 6 of 15", 0.4))
    said = stream.getvalue()
    assert [line.split(": ", 1)[1] for line in said.splitlines()] == [
        "warning: posterior collapse",
        "failed: Trainer: no",
    ]
    shown.console.print(shown.table())
    rows = stream.getvalue()[len(said) :].splitlines()
    assert rows[0].split() == ["configuration", "state", "trials", "epochs", "usefulness"]
    assert rows[1].split("  ")[0] == "vae, latent 4"
    assert "running" in rows[1]
    assert "50.0 %" in rows[1]
    assert rows[1].rstrip().endswith("seed 1, 15 epochs, Trainer: 40%, epoch 6 of 15")
    assert "failed" in rows[2]
    assert rows[3].strip() == "1 min 06 s of 10 min 00 s"


def test_trials_that_are_done_earlier_are_counted():
    shown, stream, _ = view(terminal=True)
    shown.known(FIRST, "40.0 %")
    shown.known(Trial(VAE, 1, 0, 5), "50.0 %")
    row = shown.rows[VAE.name]
    assert (row.trials, row.epochs, row.value) == (2, 5, "50.0 %")
    shown.start(0, SECOND)
    shown.stopped(0)
    assert shown.running == {}


def test_a_trial_among_the_runs_is_done_without_a_push_and_blessed_by_nobody(tmp_path):
    recorder = Recorder(tmp_path / "small")
    for run, number in (("20260701-100000", 1), ("20260702-100000", 2)):
        model_run = recorder.artifact("ModelRun", f"Trainer/model_run/{number}")
        recorder.step(run, "Trainer", COMPLETE, outputs=[("model_run", model_run)])
        folder = recorder.root / f"TrialEvaluator/evaluation/{number}"
        stores.evaluation(folder)
        found = recorder.artifact("RepresentationEvaluation", f"TrialEvaluator/evaluation/{number}")
        blessing = recorder.artifact("ModelBlessing", f"TrialEvaluator/blessing/{number}", blessed=1)
        recorder.step(run, "TrialEvaluator", COMPLETE, outputs=[("evaluation", found), ("blessing", blessing)])
    runs = history.runs(tmp_path)
    assert [(run.state, run.trial, run.blessed, run.version) for run in runs] == [("done", True, None, None)] * 2
    trainings = recorder.root / "Trainer/model_run"
    assert history.training(tmp_path, "small") == trainings
    assert history.training(tmp_path, "20260701-100000") == trainings / "1"


def test_the_run_that_made_a_frontier_says_so_among_the_runs(tmp_path):
    recorder = Recorder(tmp_path / "small")
    artifact = recorder.artifact("Frontier", "Frontier/frontier/1")
    recorder.step("20260701-100000", "Frontier", COMPLETE, outputs=[("frontier", artifact)])
    console = Console(file=io.StringIO(), width=120)
    listing.show_all(history.runs(tmp_path), tmp_path, console)
    assert "(frontier)" in console.file.getvalue()
