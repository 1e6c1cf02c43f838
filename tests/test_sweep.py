"""A sweep, whole: killed, gone on with, promoted, chosen from and pushed, as a person runs it."""

import itertools
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import tenacity
import yaml
from conftest import METAPRIOR, Run, metaprior

from components.frontier.schema import read_frontier
from components.pusher.versions import versions
from pipeline.store import Store

pytestmark = pytest.mark.slow  # whole sweeps, a minute or more; the parts have their tests in test_sweep_*.py

SWEEP = """
name: small
data: {source: digits}
training: {epochs: 2, checkpoint_every: 5}
evaluation: {labels: [all], seeds: 2, probes: [linear], measure: [probes]}
sweep:
  recipes: {vae: {}, beta_vae: {beta: 8}}
  latent: [3]
  seeds: 1
  minutes: 60
  halving: {epochs: 1, factor: 2}
  usefulness: probe/linear/all
"""
HEAD = ("Ingest", "StatisticsGen", "SchemaGen", "ExampleValidator", "ValidationGate", "Transform")
COMMAND = ("sweep", "--config", "sweep.yaml")
RUN = ("run", "--config", "sweep.yaml")


def killed_in_the_second_trial(folder: Path) -> str:
    """Starts the sweep, kills it and nothing else with signal 9 while it trains, and returns what it had printed."""
    process = subprocess.Popen(
        [str(METAPRIOR), *COMMAND], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    printed = list(
        itertools.takewhile(lambda line: line != "vae, latent 3, seed 0, 2 epochs: started\n", process.stdout)
    )
    trainings = folder / "runs" / "small" / "Trainer" / "model_run"
    until(lambda: len(list(trainings.glob("*/train"))) == 2 or process.poll() is not None)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert gone
    assert not alive  # a worker ends when nobody listens any more
    return "".join(printed)


until = tenacity.retry(
    retry=tenacity.retry_if_result(lambda found: not found),
    wait=tenacity.wait_fixed(0.1),
    stop=tenacity.stop_after_delay(300),
)(lambda condition: condition())


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[str, Run]:
    """What a sweep that was killed had printed, and the same command again."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "sweep.yaml").write_text(SWEEP)
    before = killed_in_the_second_trial(folder)
    after = metaprior(folder, *COMMAND)
    assert after.code == 0, after.output
    return before, after


def root(run: Run) -> Path:
    return run.folder / "runs" / "small"


def place(run: Run) -> Path:
    return run.folder / re.search(r"^Frontier: (.*)/frontier.json$", run.output, re.MULTILINE)[1]


def test_a_killed_sweep_goes_on_and_does_no_trial_twice(swept):
    before, after = swept
    assert re.search(r"^vae, latent 3, seed 0, 1 epochs: rate .* in ", before, re.MULTILINE)
    assert "vae, latent 3: promoted after 1 epochs" in before
    assert "vae, latent 3, seed 0, 1 epochs" not in after.output
    for trial in ("vae, latent 3, seed 0, 2 epochs", "beta_vae, beta 8, latent 3, seed 0, 1 epochs"):
        assert f"{trial}: started" in after.output
        assert re.search(rf"^{trial}: rate [\d.]+ nats, distortion [\d.]+ nats, probe/linear/all", after.output, re.M)
    assert "beta_vae, beta 8, latent 3: pruned after 1 epochs" in after.output


def test_trials_share_what_comes_before_the_training(swept):
    runs = Store(root(swept[1]) / "metadata.sqlite").runs()
    steps = {run.id: {step.component: step.state for step in run.steps} for run in runs}
    states = [one for one in steps.values() if "TrialEvaluator" in one]
    assert len(states) == 3
    assert all(states[0][name] == "done" for name in HEAD)
    assert all(one[name] == "cached" for one in states[1:] for name in HEAD)
    assert all(one["Trainer"] == "done" for one in states)
    assert not any("Pusher" in one for one in steps.values())
    assert not (root(swept[1]) / "serving").exists()


def test_a_promoted_trial_goes_on_training(swept):
    log = (root(swept[1]) / "sweep" / "worker-0.log").read_text()
    [step, *_] = [int(found) for found in re.findall(r"resuming at step (\d+)", log)]
    found = read_frontier(place(swept[1]) / "frontier.json")
    training = json.loads(Path(found.trials[0].model, "training.json").read_text())
    assert step == training["steps"]  # all that the first rung had trained
    assert not list((root(swept[1]) / "checkpoints").glob("*/checkpoint"))


def test_the_frontier_has_every_trial_and_the_highest_whole_rungs(swept):
    found = read_frontier(place(swept[1]) / "frontier.json")
    assert [(trial.configuration, trial.epochs) for trial in found.trials] == [
        ("vae, latent 3", 1),
        ("vae, latent 3", 2),
        ("beta_vae, beta 8, latent 3", 1),
    ]
    assert [(one.name, one.epochs) for one in found.configurations] == [
        ("vae, latent 3", 2),
        ("beta_vae, beta 8, latent 3", 1),
    ]
    assert found.bound.reason.startswith("the pixels are grey levels")
    assert f"Recommended: {found.recommendation.text}" in swept[1].output
    assert (place(swept[1]) / "frontier.html").stat().st_size > 1_000_000  # with Plotly inside


def test_a_bound_that_nothing_meets_is_one_line_and_exit_code_two(swept):
    done = metaprior(swept[1].folder, "choose", "small", "--task", "label", "--max-rate", "0")
    assert done.code == 2
    assert re.fullmatch(
        r"metaprior: small: no configuration meets the bounds: rate at most 0 nats \(the lowest is [\d.]+\)\.\n",
        done.output,
    )


@pytest.mark.slow
def test_the_chosen_encoder_is_pushed_from_the_cache(swept):
    run = metaprior(swept[1].folder, "choose", "small", "--task", "label", "--push")
    assert run.code == 0, run.output
    assert re.match(
        r"(beta_)?vae, .*: probe/linear/all [\d.]+ %, the mean over its seeds; seed 0 is its best\.\n", run.output
    )
    for name in (*HEAD, "Trainer", "Embedder"):
        assert f"{name} cached" in run.output
    for name in ("RepresentationEvaluator", "ServingCheck", "Pusher"):
        assert f"{name} done" in run.output
    assert versions(root(run).with_name("small") / "serving" / "encoder") == [1]

    asked = ("choose", "small", "--task", "label", "--json")
    chosen = json.loads(metaprior(swept[1].folder, *asked).output)
    for same in (chosen["command"].split()[1:], [*RUN, "--set", "choose.task=label"]):
        again = metaprior(swept[1].folder, *same)
        assert again.code == 0, again.output
        assert "RepresentationEvaluator cached" in again.output
        assert "Pusher cached" in again.output  # the newest version is this model, with this card

    again = metaprior(swept[1].folder, *COMMAND)  # a blessed model changes nothing for the trials
    assert again.code == 0, again.output
    assert ": started" not in again.output


@pytest.mark.slow
def test_a_budget_that_is_used_up_leaves_out_what_is_not_complete(tmp_path):
    section = yaml.safe_load(SWEEP)
    section["sweep"] |= {"minutes": 0.01, "jobs": 2}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(section, sort_keys=False))
    done = metaprior(tmp_path, *COMMAND)
    assert done.code == 1
    assert "vae, latent 3, seed 0, 1 epochs: stopped, for the minutes are over" in done.output
    assert "No configuration is complete, so there is no frontier. Left out:" in done.output
    assert "  vae, latent 3: not finished when the minutes were over: 0 of 1 seeds at 1 epochs" in done.output
    assert "  beta_vae, beta 8, latent 3: not begun when the minutes were over" in done.output
