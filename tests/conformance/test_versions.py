"""Versions that come and go, and other configurations: cases 72 to 80."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import serving_toy
from conformance import harness
from conformance.harness import CODE, latest, refusal, specific, wait_for


@pytest.fixture
def moving(target, api, catalog, ready, request):
    """A model of its own with version 1, served beside the toy until the test ends."""
    name = request.node.originalname
    harness.publish(ready[1], target.models / name, 1)
    catalog.put(name, latest())
    yield name
    catalog.drop(name)


def answer(api, name, **spec):
    """Which version answers a request."""
    return float(api.predict(name=name, signature="embed", **spec)["y"][0, 0]) - 0.5


def test_case_72_a_new_version_takes_over_without_a_failed_request(target, api, ready, moving):
    seen, done = [], threading.Event()

    def probe():
        while not done.wait(0.05):
            seen.append(answer(api, moving))

    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(probe)
        harness.publish(ready[3], target.models / moving, 3)
        wait_for(
            lambda: api.states(moving) == {3: ("AVAILABLE", 0), 1: ("END", 0)}, "version 3 serves, version 1 ended"
        )
        done.set()
        probing.result(60)
    assert seen == sorted(seen)
    assert set(seen) <= {1.0, 3.0}
    assert answer(api, moving) == 3.0


def test_case_73_a_broken_version_leaves_the_old_one_alone(target, api, moving):
    serving_toy.write_garbage(target.models / moving, 4)
    wait_for(lambda: api.states(moving).get(4, ("", 0))[0] == "END", "version 4 ended")
    states = api.states(moving)
    assert states[4][1] != 0
    assert states[1] == ("AVAILABLE", 0)
    assert answer(api, moving) == 1.0


def test_cases_74_to_76_numbers_are_versions_and_the_one_before_comes_back(target, api, ready, moving):
    base = target.models / moving
    for name in ("tmp-5", ".5"):
        shutil.copytree(ready[2], base / name)
    sixth = harness.publish(ready[3], base, "00000006")
    wait_for(lambda: api.states(moving) == {6: ("AVAILABLE", 0), 1: ("END", 0)}, "version 6 serves, and no other")
    assert answer(api, moving, version=6) == 3.0
    shutil.rmtree(sixth)
    wait_for(lambda: api.states(moving)[1] == ("AVAILABLE", 0), "version 1 is back")
    wait_for(lambda: api.states(moving)[6] == ("END", 0), "version 6 ended")
    assert answer(api, moving) == 1.0


def test_cases_77_and_78_a_label_moves_to_what_is_loaded_only(target, api, catalog, ready, moving):
    harness.publish(ready[2], target.models / moving, 2)
    catalog.put(moving, specific(1, 2))
    wait_for(lambda: api.states(moving) == dict.fromkeys((2, 1), ("AVAILABLE", 0)), "both versions serve")
    catalog.put(moving, specific(1, 2), stable=1)
    assert answer(api, moving, label="stable") == 1.0
    catalog.put(moving, specific(1, 2), stable=2)
    assert answer(api, moving, label="stable") == 2.0
    bad = catalog.named(moving, specific(1, 2, 9), stable=9)
    code, text = refusal(api.model.HandleReloadConfigRequest, harness.reload_request([*catalog.others(moving), bad]))
    assert code == CODE.FAILED_PRECONDITION
    assert "which is not currently available for inference" in text
    assert answer(api, moving, label="stable") == 2.0


def duplicate(config):
    return [config, config]


def relative(config):
    config.base_path = "toy"
    return [config]


def logged(config):
    config.logging_config.sampling_config.sampling_rate = 0.1
    return [config]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(duplicate, "multiple times", id="case_79_duplicate"),
        pytest.param(relative, "absolute path", id="case_79_relative"),
        pytest.param(logged, "No request-logger-creator provided.", id="case_79_logged"),
    ],
)
def test_bad_configurations_are_refused(api, catalog, change, text):
    config = catalog.named("toy", harness.all_versions(), stable=1, canary=2)
    code, found = refusal(api.model.HandleReloadConfigRequest, harness.reload_request(change(config)))
    assert code == CODE.INVALID_ARGUMENT
    assert text in found
    assert api.states("toy") == dict.fromkeys((2, 1), ("AVAILABLE", 0))


def test_case_79_an_empty_configuration_is_refused(api):
    request = harness.reload_request([])
    request.config.ClearField("model_config_list")
    code, text = refusal(api.model.HandleReloadConfigRequest, request)
    assert code == CODE.INVALID_ARGUMENT
    assert "Only ModelConfigList" in text


def test_case_80_a_model_that_is_dropped_is_gone_and_remembered(api, catalog, moving):
    assert answer(api, moving) == 1.0
    catalog.drop(moving)
    wait_for(lambda: api.states(moving) == {1: ("END", 0)}, "its version ended")
    found = refusal(api.prediction.Predict, harness.make_request(name=moving, signature="embed"))
    assert found == (CODE.NOT_FOUND, f"Servable not found for request: Latest({moving})")
