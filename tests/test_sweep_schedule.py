"""Which trial comes next, and that nothing of it is lost with the process."""

from pathlib import Path

import pytest

from pipeline.sweep.grid import Arm, Trial
from pipeline.sweep.schedule import Schedule

USEFUL = {"vae": 0.5, "beta_vae": 0.9, "beta_tcvae": 0.4, "dip_vae_i": 0.3}
ARMS = [Arm(recipe, {}, 4) for recipe in USEFUL]


def schedule(folder: Path, **changes) -> Schedule:
    settings = {"arms": ARMS, "rungs": [1, 2, 4], "seeds": range(7, 9), "factor": 2, "key": "one"} | changes
    return Schedule(settings.pop("arms"), path=folder / "study.sqlite", **settings)


def result(folder: Path) -> dict:
    return {"evaluation": {"uri": str(folder), "id": 1}}


def train(one: Schedule, trial: Trial, folder: Path) -> str | None:
    return one.done(trial, result(folder), USEFUL[trial.arm.recipe] + trial.rung / 100)


def to_the_end(one: Schedule, folder: Path, most: int = 99) -> list[tuple[str, int, int, str | None]]:
    """Every trial from now on, one at a time, with what it decided."""
    seen = []
    while len(seen) < most and (trial := one.next()):
        seen.append((trial.arm.recipe, trial.epochs, trial.seed, train(one, trial, folder)))
    return seen


def test_the_better_configurations_train_on_and_the_others_stop(tmp_path):
    one = schedule(tmp_path)
    seen = to_the_end(one, tmp_path)
    assert seen[:6] == [
        ("vae", 1, 7, None),
        ("vae", 1, 8, "running"),
        ("vae", 2, 7, None),
        ("vae", 2, 8, "running"),
        ("vae", 4, 7, None),
        ("vae", 4, 8, "done"),
    ]
    states = {arm.recipe: state for arm, state, _ in one.standing()}
    assert states == {"vae": "done", "beta_vae": "done", "beta_tcvae": "pruned", "dip_vae_i": "pruned"}
    assert sum(recipe in ("beta_tcvae", "dip_vae_i") for recipe, *_ in seen) == 4  # one rung of two seeds each
    assert one.next() is None


def test_where_less_is_better_the_least_trains_on(tmp_path):
    one = schedule(tmp_path, lower=True)
    to_the_end(one, tmp_path)
    states = {arm.recipe: state for arm, state, _ in one.standing()}
    assert states["beta_vae"] == "pruned"
    assert "done" in (states["dip_vae_i"], states["beta_tcvae"])


@pytest.mark.parametrize("most", [1, 6, 9])
def test_a_new_process_goes_on_where_the_old_one_ended(tmp_path, most):
    (tmp_path / "alone").mkdir()
    expected = to_the_end(schedule(tmp_path / "alone"), tmp_path)
    before = to_the_end(schedule(tmp_path), tmp_path, most)
    after = to_the_end(schedule(tmp_path), tmp_path)
    assert before + after == expected
    assert len(list(schedule(tmp_path).results())) == len(expected)


def test_a_trial_that_was_at_work_or_whose_files_are_gone_is_done_again(tmp_path):
    one = schedule(tmp_path)
    first, second = one.next(), one.next()
    one.done(first, result(tmp_path / "gone"), 0.5)
    again = schedule(tmp_path)
    assert [again.next(), again.next()] == [first, second]


def test_a_seed_that_is_stopped_is_the_next_one(tmp_path):
    one = schedule(tmp_path)
    first = one.next()
    one.give_back(first)
    assert one.next() == first


def test_at_once_other_configurations_begin_while_one_waits_for_its_seeds(tmp_path):
    one = schedule(tmp_path)
    started = [one.next() for _ in range(3)]
    assert [trial.seed for trial in started] == [7, 8, 7]
    assert started[2].arm.recipe != "vae"
    assert [train(one, trial, tmp_path) for trial in started[:2]] == [None, "running"]
    assert (one.next().arm.recipe, one.next().epochs) == ("vae", 2)  # the higher rung goes before


def test_a_failed_configuration_keeps_its_reasons_and_is_tried_again_by_the_next_command(tmp_path):
    one = schedule(tmp_path, arms=ARMS[:1])
    first, second = one.next(), one.next()
    assert one.failed(first, "Trainer: no") is None
    assert train(one, second, tmp_path) == "failed"
    assert [(state, reasons) for _, state, reasons in one.standing()] == [("failed", ["seed 7: Trainer: no"])]
    assert one.next() is None
    assert schedule(tmp_path, arms=ARMS[:1]).next() == first


def test_other_settings_begin_anew(tmp_path):
    to_the_end(schedule(tmp_path), tmp_path)
    assert len(to_the_end(schedule(tmp_path, key="two"), tmp_path)) == 16
