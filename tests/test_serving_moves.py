"""A model moves to another folder, and loads, stops and configurations meet each other."""

import os
import shutil
import threading

import numpy as np
import pytest
import serving_toy

from serving.configs import NOTHING, Policy
from serving.servable import Servable
from serving.states import Rhythm
from serving.status import ServingError
from serving.versions import TICK, Versions

ROWS = np.array([[1.0, 2.0]], np.float32)
BOTH = Policy(most=None)


class Closable(Servable):
    """Tells whether it was closed."""

    closed = False

    def close_when_idle(self, timeout):
        self.closed = super().close_when_idle(timeout) or self.closed
        return self.closed


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Two folders with the versions 1 and 2, which tell where they are from, and one with a broken version 1."""
    folder = tmp_path_factory.mktemp("bases")
    for base, value in (("old", 1), ("new", 2)):
        made = serving_toy.write_small(folder / "made", value)
        for number in ("1", "2"):
            shutil.copytree(made, folder / base / number)
    serving_toy.write_garbage(folder / "broken", 1)
    return folder


ONE = Policy(most=None, only=frozenset({1}))


@pytest.fixture
def versions(bases):
    made = Versions("toy", bases / "old", policy=ONE, load=Closable)
    made.poll()
    yield made
    made.stop(5)


def answer(servable):
    return float((servable.run(servable.signatures["embed"], {"x": ROWS})["y"] - ROWS / 2)[0, 0])


def served(versions, number=1):
    with versions.lease(number) as (_, servable):
        return answer(servable)


def states(versions):
    return [(v.number, v.state.name, v.error.code.name if v.error else "OK") for v in versions.status()]


def move(versions, base, policy=ONE):
    versions.configure(base, policy)
    versions.poll()


def test_a_version_of_a_model_that_moved_is_loaded_from_there_and_the_old_one_closes_when_idle(versions, bases):
    assert served(versions) == 1.0
    with versions.lease(1) as (_, old):
        move(versions, bases / "new")
        assert (served(versions), answer(old), old.closed) == (2.0, 1.0, False)
        assert states(versions) == [(1, "AVAILABLE", "OK")]
    versions.poll()
    assert old.closed
    assert served(versions) == 2.0


def test_the_old_version_answers_while_the_new_one_loads(bases):
    answered = []

    def load(path):
        if path.parent.name == "new":
            answered.append((served(versions), states(versions)))
        return Servable(path)

    versions = Versions("toy", bases / "old", policy=ONE, load=load)
    versions.poll()
    move(versions, bases / "new")
    assert answered == [(1.0, [(1, "AVAILABLE", "OK")])]
    versions.stop(5)


def test_a_new_folder_that_does_not_load_leaves_the_old_version_and_its_status_says_why(versions, bases, tmp_path):
    base = shutil.copytree(bases / "broken", tmp_path / "base")
    move(versions, base)
    assert (served(versions), states(versions)) == (1.0, [(1, "AVAILABLE", "DATA_LOSS")])
    assert str(base / "1") in versions.status()[0].error.message
    move(versions, bases / "old")
    assert (served(versions), states(versions)) == (1.0, [(1, "AVAILABLE", "OK")])
    move(versions, base)
    shutil.rmtree(base / "1")
    versions.poll()  # nothing is wanted any more
    assert states(versions) == [(1, "END", "OK")]
    shutil.copytree(bases / "new" / "1", base / "1")
    versions.poll()
    assert (served(versions), states(versions)) == (2.0, [(1, "AVAILABLE", "OK")])


def test_a_new_folder_is_tried_again_and_then_takes_over(bases):
    attempts = []

    def load(path):
        attempts.append(path.parent.name)
        return Servable(bases / "broken" / "1" if attempts == ["old", "new"] else path)

    rhythm = Rhythm(poll_seconds=0, retries=1, retry_seconds=0.01)
    versions = Versions("toy", bases / "old", policy=ONE, load=load, rhythm=rhythm)
    versions.start()
    assert versions.wait(60) == []
    versions.configure(bases / "new", ONE)
    while served(versions) != 2.0:
        os.sched_yield()
    assert (attempts, states(versions)) == (["old", "new", "new"], [(1, "AVAILABLE", "OK")])
    versions.stop(5)


def test_a_retired_version_in_use_comes_back_from_its_own_folder_only(versions, bases):
    with versions.lease(1) as (_, old):
        move(versions, bases / "old", NOTHING)
        assert states(versions) == [(1, "UNLOADING", "OK")]
        move(versions, bases / "old")
        with versions.lease(1) as (_, same):
            assert same is old
        move(versions, bases / "old", NOTHING)
        move(versions, bases / "new")
        assert (served(versions), answer(old)) == (2.0, 1.0)
    versions.poll()
    assert old.closed


def test_everything_is_closed_at_the_end(versions, bases):
    with versions.lease(1) as (_, old):
        move(versions, bases / "new")
    with versions.lease(1) as (_, new):
        pass
    versions.stop(5)
    assert (old.closed, new.closed, states(versions)) == (True, True, [(1, "END", "OK")])


def test_what_is_loaded_when_the_end_has_come_is_closed_and_never_served(bases):
    begun, go_on, loaded = threading.Event(), threading.Event(), []

    def load(path):
        begun.set()
        go_on.wait(60)
        loaded.append(Closable(path))
        return loaded[0]

    versions = Versions("toy", bases / "old", policy=ONE, load=load)
    looking = threading.Thread(target=versions.poll)
    looking.start()
    begun.wait(60)
    versions.stop(0)
    go_on.set()
    looking.join(60)
    assert (states(versions), loaded[0].closed) == ([(1, "END", "OK")], True)
    with pytest.raises(ServingError, match="^NOT_FOUND: "):
        served(versions)


def test_a_halt_during_a_load_retires_nothing(bases, tmp_path):
    base = shutil.copytree(bases / "old", tmp_path / "base")

    def load(path):
        if path.name == "3":
            versions.halt()
        return Closable(path)

    versions = Versions("toy", base, policy=Policy(3), load=load)
    versions.poll()
    shutil.copytree(bases / "new" / "1", base / "3")
    versions.poll()
    assert (served(versions, 1), served(versions, 2)) == (1.0, 1.0)
    versions.stop(5)
    assert states(versions) == [(3, "END", "OK"), (2, "END", "OK"), (1, "END", "OK")]


def test_a_configuration_that_comes_during_a_load_is_followed_before_the_next(bases):
    loads = []

    def load(path):
        loads.append(path)
        if len(loads) == 1:
            versions.configure(bases / "new", BOTH)
        return Servable(path)

    versions = Versions("toy", bases / "old", policy=BOTH, load=load)
    versions.poll()
    versions.poll()
    assert loads == [bases / "old" / "2", bases / "new" / "2", bases / "new" / "1"]
    assert (served(versions, 1), served(versions, 2)) == (2.0, 2.0)
    versions.stop(5)


def test_a_load_that_fails_in_an_unforeseen_way_ends_its_version(bases, caplog):
    attempts = []

    def load(path):
        attempts.append(path)
        raise RuntimeError("unforeseen")

    versions = Versions("toy", bases / "old", policy=ONE, load=load)
    versions.poll()
    versions.poll()
    assert (len(attempts), states(versions)) == (1, [(1, "END", "INTERNAL")])
    assert "unforeseen" in caplog.text


def test_a_retry_that_nobody_needs_any_more_is_given_up(bases, tmp_path):
    base = shutil.copytree(bases / "broken", tmp_path / "base")
    versions = Versions("toy", base, rhythm=Rhythm(retries=5, retry_seconds=0))
    versions.poll()
    assert states(versions) == [(1, "LOADING", "OK")]
    shutil.copytree(bases / "new" / "2", base / "2")
    versions.poll()
    assert states(versions) == [(2, "AVAILABLE", "OK"), (1, "END", "OK")]
    versions.stop(5)


def test_a_retry_that_is_due_does_not_keep_the_processor_busy_while_the_folder_is_gone(bases, tmp_path):
    base = shutil.copytree(bases / "broken", tmp_path / "base")
    versions = Versions("toy", base, rhythm=Rhythm(retries=5, retry_seconds=0))
    versions.poll()
    base.rename(base.with_name("away"))
    versions.poll()
    assert versions._pause() >= TICK
