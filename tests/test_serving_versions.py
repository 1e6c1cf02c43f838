"""Versions appear, fail, swap and vanish under load, without a failed request."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import serving_toy
import tensorflow as tf

from serving.client import Client
from serving.configs import Policy
from serving.servable import Servable
from serving.server import Options, Server
from serving.states import Rhythm, State
from serving.status import Code, ServingError
from serving.versions import Versions

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Three ready versions, to be copied or moved into place."""
    base = tmp_path_factory.mktemp("published")
    return {version: serving_toy.write_small(base, version) for version in (1, 2, 3)}


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "toy"
    path.mkdir()
    return path


def publish(published, base, version, name=None):
    ready = shutil.copytree(published[version], base / f"tmp-{version}")
    return ready.rename(base / (name or str(version)))


def states(versions):
    return [(v.number, v.state.name, v.error.code.name if v.error else "OK") for v in versions.status()]


def serving(versions, number=None):
    with versions.lease(number) as (found, _):
        return found


def test_the_newest_version_is_served_and_the_old_one_retired(published, base):
    versions = Versions("toy", base)
    publish(published, base, 1)
    versions.poll()
    assert serving(versions) == 1
    publish(published, base, 2)
    versions.poll()
    assert serving(versions) == 2
    assert states(versions) == [(2, "AVAILABLE", "OK"), (1, "END", "OK")]
    versions.stop(5)
    assert states(versions) == [(2, "END", "OK"), (1, "END", "OK")]


def test_a_keras_export_is_served_with_its_variables(base):
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", lambda x: {"code": model(x)}, [tf.TensorSpec([None, 2], name="x")])
    archive.write_out(str(base / "1"), verbose=False)
    versions = Versions("toy", base)
    versions.poll()
    with versions.lease(None) as (_, servable):
        outputs = servable.run(servable.signatures["serving_default"], {"x": ROWS})
        assert servable.signatures["serving_default"].batch_major
    np.testing.assert_allclose(outputs["code"], model(ROWS), rtol=1e-6)
    versions.stop(5)


def test_several_versions_are_kept_when_asked(published, base):
    versions = Versions("toy", base, policy=Policy(2))
    for version in (1, 2, 3):
        publish(published, base, version)
    versions.poll()
    assert states(versions) == [(3, "AVAILABLE", "OK"), (2, "AVAILABLE", "OK")]
    assert serving(versions, 2) == 2
    versions.stop(5)


def test_only_folders_with_numbers_for_names_are_versions(published, base):
    versions = Versions("toy", base)
    publish(published, base, 1, name="00000006")
    for name in ("tmp-5", ".7", "8a", str(2**63), "\u0669"):
        (base / name).mkdir()
    (base / "9").write_text("a file")
    versions.poll()
    assert states(versions) == [(6, "AVAILABLE", "OK")]
    versions.stop(5)


def test_a_broken_version_ends_with_its_error_and_the_old_one_goes_on(published, base):
    versions = Versions("toy", base)
    publish(published, base, 1)
    versions.poll()
    serving_toy.write_garbage(base, 2)
    (base / "3").mkdir()
    serving_toy.write_without_variable(base, 4)
    versions.poll()
    assert serving(versions) == 1
    found = {number: (state, code) for number, state, code in states(versions)}
    assert found[1] == ("AVAILABLE", "OK")
    assert found[2] == ("END", "DATA_LOSS")
    assert found[3] == ("END", "NOT_FOUND")
    assert found[4] == ("END", "FAILED_PRECONDITION")
    assert versions.status()[1].error.message == (
        f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {base / '3'}."
    )
    versions.stop(5)


def test_a_version_that_failed_while_it_was_copied_is_tried_again(published, base):
    versions = Versions("toy", base)
    (base / "1").mkdir()
    versions.poll()
    assert states(versions) == [(1, "END", "NOT_FOUND")]
    shutil.copytree(published[1], base / "1", dirs_exist_ok=True)
    versions.poll()
    assert states(versions) == [(1, "AVAILABLE", "OK")]
    versions.stop(5)


def test_deleting_the_newest_version_brings_the_one_before_it_back(published, base):
    versions = Versions("toy", base)
    for version in (1, 2):
        publish(published, base, version)
    versions.poll()
    assert serving(versions) == 2
    shutil.rmtree(base / "2")
    versions.poll()
    assert serving(versions) == 1
    assert states(versions) == [(2, "END", "OK"), (1, "AVAILABLE", "OK")]
    versions.stop(5)


def test_a_folder_that_vanishes_unloads_nothing_and_an_empty_one_everything(published, base):
    versions = Versions("toy", base)
    publish(published, base, 1)
    versions.poll()
    base.rename(base.with_name("away"))
    versions.poll()
    assert serving(versions) == 1
    base.mkdir()
    versions.poll()
    with pytest.raises(ServingError) as caught:
        serving(versions)
    assert str(caught.value) == "NOT_FOUND: Servable not found for request: Latest(toy)"
    assert states(versions) == [(1, "END", "OK")]


def test_a_version_in_use_is_closed_only_when_it_is_idle(published, base):
    versions = Versions("toy", base)
    publish(published, base, 1)
    versions.poll()
    with versions.lease(None) as (_, servable):
        publish(published, base, 2)
        versions.poll()
        assert states(versions) == [(2, "AVAILABLE", "OK"), (1, "UNLOADING", "OK")]
        outputs = servable.run(servable.signatures["embed"], {"x": ROWS})
        np.testing.assert_array_equal(outputs["y"], ROWS / 2 + 1)
    versions.poll()
    assert states(versions) == [(2, "AVAILABLE", "OK"), (1, "END", "OK")]
    versions.stop(5)


def test_waiting_tells_what_failed_when_nothing_can_be_loaded(base):
    versions = Versions("toy", base, rhythm=Rhythm(poll_seconds=0.01))
    (base / "1").mkdir()
    versions.start()
    (failed,) = versions.wait(60)
    assert (failed.number, failed.error.code) == (1, Code.NOT_FOUND)
    versions.stop(5)


def test_waiting_has_an_end(base):
    versions = Versions("toy", base, rhythm=Rhythm(poll_seconds=0.01))
    versions.start()
    with pytest.raises(ServingError) as caught:
        versions.wait(0.05)
    assert str(caught.value) == f"DEADLINE_EXCEEDED: Model toy has no version to serve in {base}."
    stopped = threading.Thread(target=versions.stop, args=(5,))
    stopped.start()
    with pytest.raises(ServingError, match="^UNAVAILABLE: The server is shutting down.$"):
        versions.wait()
    stopped.join()


def test_a_load_is_tried_again_after_a_pause_and_the_old_version_serves_meanwhile(published, base):
    attempts = []

    def load(path):
        attempts.append(path.name)
        if path.name == "2" and attempts.count("2") < 3:
            raise ServingError(Code.UNAVAILABLE, "not yet")
        return Servable(path)

    publish(published, base, 1)
    publish(published, base, 2)
    versions = Versions("toy", base, load=load, rhythm=Rhythm(poll_seconds=0, retries=2, retry_seconds=0.01))
    versions.start()
    assert versions.wait(60) == []
    while serving(versions) != 2:
        os.sched_yield()
    assert attempts.count("2") == 3
    assert attempts.count("1") == 1
    versions.stop(5)


def test_after_its_last_attempt_a_version_waits_for_its_folder_to_come_back(published, base):
    attempts = []

    def load(path):
        attempts.append(path.name)
        raise ServingError(Code.UNAVAILABLE, "never")

    versions = Versions("toy", base, load=load, rhythm=Rhythm(retries=1, retry_seconds=0))
    folder = publish(published, base, 1)
    for _ in range(4):
        versions.poll()
    assert (len(attempts), states(versions)) == (2, [(1, "END", "UNAVAILABLE")])
    folder.rename(base / "away")
    versions.poll()
    (base / "away").rename(folder)
    versions.poll()
    assert (len(attempts), states(versions)) == (3, [(1, "LOADING", "OK")])
    versions.stop(5)


def test_a_folder_may_be_looked_at_once(published, base):
    versions = Versions("toy", base, rhythm=Rhythm(poll_seconds=0))
    publish(published, base, 1)
    versions.poll()
    publish(published, base, 2)
    versions.poll()
    assert states(versions) == [(1, "AVAILABLE", "OK")]
    versions.configure(base, Policy(most=None))
    versions.poll()
    assert states(versions) == [(2, "AVAILABLE", "OK"), (1, "AVAILABLE", "OK")]
    versions.configure(base, Policy(most=None, only=frozenset({1})))
    versions.poll()
    assert states(versions) == [(2, "END", "OK"), (1, "AVAILABLE", "OK")]
    versions.configure(base, Policy(most=None, only=frozenset({3})))
    versions.poll()
    assert states(versions) == [(2, "END", "OK"), (1, "END", "OK")]


def test_a_swap_under_load_fails_no_request(published, base):
    publish(published, base, 1)
    options = Options(
        model_name="toy", model_base_path=base, port="any", rest_api_port="any", file_system_poll_wait_seconds=0.02
    )
    swapped = threading.Event()
    ready = threading.Barrier(9)

    def hammer(port):
        """Calls until version 2 has answered many times; returns what was seen, in order."""
        seen, after = [], 0
        with Client(**port, model="toy", attempts=1) as client:
            client.predict(ROWS, signature="embed")
            ready.wait(60)
            while after < 30:
                version = client.predict(ROWS, signature="embed")["y"] - ROWS / 2
                assert np.ptp(version) == 0
                seen.append(int(version[0, 0]))
                after += swapped.is_set() and seen[-1] == 2
        return seen

    with Server(options) as server, ThreadPoolExecutor(8) as pool:
        ports = [{"rest_port": server.rest_port}, {"grpc_port": server.grpc_port}] * 4
        callers = [pool.submit(hammer, port) for port in ports]
        ready.wait(60)
        publish(published, base, 2)
        shutil.rmtree(base / "1")
        swapped.set()
        for caller in callers:
            seen = caller.result(120)
            assert set(seen) <= {1, 2}
            assert seen == sorted(seen)
        assert 1 in {version for caller in callers for version in caller.result()}


def test_every_state_has_tf_servings_number():
    assert [state.value for state in State] == [10, 20, 30, 40, 50]
