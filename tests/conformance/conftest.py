"""One server for the whole suite; the numbers in the tests' names are the contract's."""

import pytest
import serving_toy
from conformance import harness


@pytest.fixture(scope="session", params=harness.kinds())
def target(request, tmp_path_factory):
    """The server under test, with versions 1 and 2 of the toy."""
    with harness.running(request.param, tmp_path_factory.mktemp("conformance")) as started:
        yield started


@pytest.fixture(scope="session")
def api(target):
    """Its gRPC API."""
    opened = harness.Grpc(target)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def rest(target):
    """Its REST API."""
    opened = harness.Rest(target)
    yield opened
    opened.close()


@pytest.fixture(scope="session", autouse=True)
def catalog(target, api):
    """What it serves: the toy with its labels, and what a test adds and takes away again."""
    served = harness.Catalog(target, api)
    served.put("toy", harness.all_versions(), stable=1, canary=2)
    return served


@pytest.fixture(scope="session")
def ready(tmp_path_factory):
    """Small versions to publish, by number."""
    base = tmp_path_factory.mktemp("ready")
    return {version: serving_toy.write_small(base, version) for version in (1, 2, 3)}
