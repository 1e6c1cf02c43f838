"""Which encoder of a sweep is named, and why the others are not."""

import shlex
from pathlib import Path

import frontiers
import pytest
import yaml
from click.testing import CliRunner
from frontiers import frontier, measured
from stores import COMPLETE, Recorder

from components.frontier.schema import write_frontier
from models.errors import InputError
from pipeline import loading
from pipeline.cli import main
from pipeline.sweep.choice import lines
from pipeline.sweep.choose import Bounds, choose, chosen, latest


@pytest.fixture
def place(tmp_path) -> Path:
    """A frontier of three configurations with two seeds each."""
    trials = []
    for seed, luck in enumerate((0.01, -0.01)):
        trials.append(measured(tmp_path, seed, rate=4.0 + luck, distortion=25.0, useful=0.7 + luck))
        beta = {"recipe": "beta_vae", "parameters": {"beta": 0.25}}
        trials.append(measured(tmp_path, seed, **beta, rate=12.0 + luck, distortion=18.0, useful=0.9 + luck))
        trials.append(measured(tmp_path, seed, latent=8, rate=8.0 + luck, distortion=20.0, useful=0.8 - luck))
    write_frontier(frontier(trials), tmp_path)
    return tmp_path


def refusal(function, *args, **kwargs) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def test_without_bounds_the_most_useful_is_named_with_the_command_that_pushes_it(place):
    found = choose(place, task=frontiers.PROBE, bounds=Bounds())
    assert (found.configuration, found.seed, found.excluded) == ("beta_vae, beta 0.25, latent 4", 0, ())
    assert found.mean == pytest.approx(0.9)
    assert found.command.endswith(
        f"run --config {place / 'run.yaml'} --model beta_vae --set model.latent=4 --set seed=0 --set training.epochs=3 "
        "--set model.parameters.beta=0.25"
    )


def test_the_command_makes_the_trial_again_and_push_runs_the_same(place):
    found = choose(place, task=frontiers.PROBE, bounds=Bounds())
    command = shlex.split(found.command)
    sets = [tuple(text.split("=", 1)) for flag, text in zip(command, command[1:], strict=False) if flag == "--set"]
    config = loading.load(place / "run.yaml", model="beta_vae", sets=sets)
    assert found.run == config
    assert config.model.model_dump() == {
        "recipe": "beta_vae",
        "latent": 4,
        "network": "auto",
        "likelihood": "auto",
        "parameters": {"beta": 0.25},
    }
    assert (config.seed, config.training.epochs, config.name) == (0, 3, "sweep")


def test_bounds_exclude_with_a_line_each(place):
    found = choose(place, task=frontiers.PROBE, bounds=Bounds(rate=10, distortion=22))
    assert (found.configuration, found.seed) == ("vae, latent 8", 1)
    assert found.excluded == (
        "vae, latent 4: distortion 25.00 nats is above 22",
        "beta_vae, beta 0.25, latent 4: rate 12.00 nats is above 10",
    )
    assert lines(found)[0] == ("vae, latent 8: probe/linear/100 80.0 %, the mean over its seeds; seed 1 is its best.")
    assert "Excluded vae, latent 4: distortion 25.00 nats is above 22" in lines(found)


def test_the_trial_itself_meets_the_bounds_too(place):
    found = choose(place, task=frontiers.PROBE, bounds=Bounds(rate=12.0))
    assert (found.configuration, found.seed) == ("beta_vae, beta 0.25, latent 4", 1)  # seed 0 has a rate of 12.01


def test_bounds_that_nothing_meets_are_one_line(place):
    message = refusal(choose, place, task=frontiers.PROBE, bounds=Bounds(rate=1, distortion=2))
    assert message == (
        "sweep: no configuration meets the bounds: rate at most 1 nats (the lowest is 4.00), "
        "distortion at most 2 nats (the lowest is 18.00)."
    )


def test_leakage_that_is_not_measured_meets_no_bound(place):
    assert refusal(choose, place, task=frontiers.PROBE, bounds=Bounds(leakage=0.1)) == (
        "sweep: no configuration meets the bounds: leakage was not measured, which takes data.sensitive and leakage in "
        "evaluation.measure."
    )


def test_the_worst_leakage_counts(tmp_path):
    trials = [measured(tmp_path, 0, useful=0.9, leakage_linear=0.5, leakage_mlp=0.7)]
    trials.append(measured(tmp_path, 0, latent=8, useful=0.8, leakage_linear=0.55, leakage_mlp=0.5))
    write_frontier(frontier(trials), tmp_path)
    found = choose(tmp_path, task=frontiers.PROBE, bounds=Bounds(leakage=0.6))
    assert found.configuration == "vae, latent 8"
    assert found.excluded == ("vae, latent 4: leakage/mlp 0.700 is above 0.6",)
    message = refusal(choose, tmp_path, task=frontiers.PROBE, bounds=Bounds(leakage=0.5))
    assert message == "sweep: no configuration meets the bounds: leakage at most 0.5 (the lowest is 0.55)."


def test_a_column_stands_for_its_linear_probe_with_the_most_labels(tmp_path):
    columns = {"probe_linear_10 of age": 0.5, "probe_linear_all of age": 0.6}
    write_frontier(frontier([measured(tmp_path, 0, **columns)]), tmp_path)
    assert choose(tmp_path, task="age", bounds=Bounds()).task == "probe/linear/all of age"
    assert choose(tmp_path, task="label", bounds=Bounds()).task == frontiers.PROBE
    message = refusal(choose, tmp_path, task="lable", bounds=Bounds())
    assert message == "--task: lable is neither a metric nor a column that the trials measured. Did you mean label?"


def test_a_task_of_which_less_is_better_takes_the_least(place):
    assert choose(place, task="distortion", bounds=Bounds()).configuration == "beta_vae, beta 0.25, latent 4"
    assert choose(place, task="rate", bounds=Bounds()).configuration == "vae, latent 4"


def test_the_latest_frontier_of_a_sweep_is_read(tmp_path):
    recorder = Recorder(tmp_path / "digits")
    for run, number in (("20260701-100000", 1), ("20260702-100000", 2)):
        artifact = recorder.artifact("Frontier", f"Frontier/frontier/{number}")
        recorder.step(run, "Frontier", COMPLETE, outputs=[("frontier", artifact)])
    assert latest(tmp_path, "digits") == tmp_path / "digits/Frontier/frontier/2"
    assert refusal(latest, tmp_path, "digit") == f"digit: no such sweep below {tmp_path}. Did you mean digits?"
    Recorder(tmp_path / "other")
    assert refusal(latest, tmp_path, "zzz") == f"zzz: no such sweep below {tmp_path}. `metaprior sweep` makes one."
    assert refusal(latest, tmp_path, "other") == (
        "other: no frontier yet. `metaprior sweep` makes one, and goes on where it was stopped."
    )


@pytest.fixture
def runs(place) -> Path:
    """A folder of runs in which the sweep `digits` has that frontier."""
    recorder = Recorder(place / "runs" / "digits")
    artifact = recorder.artifact("Frontier", "../..")
    recorder.step("20260701-100000", "Frontier", COMPLETE, outputs=[("frontier", artifact)])
    return place / "runs"


def config_of(runs: Path, **choose_) -> Path:
    """A run configuration that chooses."""
    section = {"name": "digits", "output": str(runs), "data": {"source": "digits"}, "seed": 7, "choose": choose_}
    path = runs / "run.yaml"
    path.write_text(yaml.safe_dump(section | {"training": {"batch": 32}, "model": {"network": "mlp"}}))
    return path


# Catches: the frontier's own configuration in place of the run's, a part of the trial forgotten.
def test_a_run_that_chooses_has_the_trials_model_and_all_else_of_its_own(runs):
    given = loading.load(config_of(runs, task=frontiers.PROBE, max_rate=10))
    found, said = chosen(given)
    assert found.model.model_dump() == given.model.model_dump() | {"recipe": "vae", "latent": 8, "parameters": {}}
    assert (found.seed, found.training.epochs) == (1, 3)
    assert found.training.model_dump(exclude={"epochs"}) == given.training.model_dump(exclude={"epochs"})
    assert found.evaluation == given.evaluation
    assert said[1].startswith("  vae, latent 8: probe/linear/100 80.0 %")
    assert said[-1] == "  Excluded beta_vae, beta 0.25, latent 4: rate 12.00 nats is above 10"
    plain = loading.load(config_of(runs))
    assert chosen(plain) == (plain, [])


@pytest.mark.parametrize(
    ("section", "flags", "message"),
    [
        (
            {"task": frontiers.PROBE, "max_rate": 1},
            [],
            "sweep: no configuration meets the bounds: rate at most 1 nats (the lowest is 4.00).",
        ),
        (
            {"task": "lable"},
            [],
            "choose.task: lable is neither a metric nor a column that the trials measured. Did you mean label?",
        ),
        ({"task": "label"}, ["--set", "name=other"], "other: no such sweep below {runs}. `metaprior sweep` makes one."),
        (
            {"task": "label"},
            ["--model", "vae"],
            "--model: choose.task takes the model from the frontier. Leave one of them out.",
        ),
        *(
            (
                {"task": "label"},
                ["--set", f"{key}={value}"],
                f"--set {key}: choose.task takes it from the frontier. Leave one of them out.",
            )
            for key, value in (("seed", 3), ("training.epochs", 2), ("model.parameters.beta", 2))
        ),
        (
            {"task": "label"},
            ["--set", "training={batch: 32, epochs: 2}"],
            "--set training.epochs: choose.task takes it from the frontier. Leave one of them out.",
        ),
        (
            {"max_leakage": 0.6},
            [],
            "choose.task: must be given with choose.max_leakage: a metric or a column, such as probe/linear/all.",
        ),
    ],
)
def test_a_run_that_cannot_choose_says_so_in_one_line(runs, section, flags, message):
    done = CliRunner().invoke(main, ["run", "--config", str(config_of(runs, **section)), *flags])
    assert (done.exit_code, done.stderr) == (2, f"metaprior: {message.format(runs=runs)}\n")


def test_json_and_a_push_are_two_things(runs):
    asked = ["choose", "digits", "--task", "label", "--output", str(runs), "--push", "--json"]
    done = CliRunner().invoke(main, asked)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "give --push or --json, not both." in done.stderr


def test_the_command_refuses_in_one_line_with_exit_code_two(tmp_path):
    done = CliRunner().invoke(main, ["choose", "x", "--task", "rate", "--output", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"metaprior: x: no such sweep below {tmp_path}. `metaprior sweep` makes one.\n"
