"""Whatever configuration is sent, it is taken or refused with a code that blames the sender, and the server goes on."""

import grpc
import pytest
import serving_toy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_raw import code_of
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from serving.client import Client
from serving.server import Options, Server

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
BLAMELESS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"}
WAITING = "DEADLINE_EXCEEDED"  # for a version of a folder that is there: a part of the right path, or the root
METHOD = "ModelService/HandleReloadConfigRequest"
TEXT = st.text(max_size=4)
NUMBERS = st.sampled_from([0, 1, 2, -1]) | st.integers(-(2**63), 2**63 - 1)
PATHS = (
    st.sampled_from(["", "relative", "/nowhere", "gs://bucket/x", "file:///nowhere", "/\x00", "/" + "n" * 5000]) | TEXT
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reload") / "toy"
    serving_toy.write_small(folder, 1)
    return folder


@pytest.fixture(scope="module")
def server(base):
    ports = {"port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate({"model_name": "toy", "model_base_path": base} | ports)) as running:
        yield running


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel, model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture(scope="module", autouse=True)
def unharmed(server, stub, base):
    """After everything, what is wanted is served."""
    yield
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="toy", base_path=str(base), model_platform="tensorflow")
    stub[1].HandleReloadConfigRequest(request, timeout=30)
    with Client(grpc_port=server.grpc_port, model="toy") as client:
        assert client.predict([[1.0, 2.0]], signature="embed")["y"].tolist() == [[1.5, 2.0]]


@st.composite
def configurations(draw, base):
    request = model_management_pb2.ReloadConfigRequest(metric_names=draw(st.lists(TEXT, max_size=1)))
    if draw(st.integers(0, 9)) == 0:
        request.config.custom_model_config.SetInParent()
        return request
    listed = request.config.model_config_list
    listed.SetInParent()
    # One that goes on being served stands first, most of the time: a load for each example would take minutes.
    if draw(st.integers(0, 19)):
        listed.config.append(
            model_server_config_pb2.ModelConfig(name="toy", base_path=base, model_platform="tensorflow")
        )
    for _ in range(draw(st.integers(0, 2))):
        config = listed.config.add(
            name=draw(st.sampled_from(["toy", "other", ""]) | TEXT),
            base_path=draw(PATHS),
            model_platform=draw(st.sampled_from(["tensorflow", "tensorflow", "other", ""])),
            model_type=draw(st.sampled_from([0, 0, 1, 2])),
        )
        policy = draw(st.sampled_from(["", "all", "latest", "specific", "labels", "logging"]))
        if policy == "all":
            config.model_version_policy.all.SetInParent()
        elif policy == "latest":
            config.model_version_policy.latest.num_versions = draw(st.integers(0, 2**32 - 1))
        elif policy == "specific":
            config.model_version_policy.specific.versions.extend(draw(st.lists(NUMBERS, max_size=3)))
        elif policy == "labels":
            config.version_labels[draw(TEXT)] = draw(NUMBERS)
        elif policy == "logging":
            config.logging_config.log_collector_config.type = draw(TEXT)
    if listed.config and draw(st.booleans()):
        listed.config[0].version_labels[draw(TEXT)] = draw(NUMBERS)
    return request


@many
@given(data=st.data())
def test_configurations(stub, base, data):
    request = data.draw(configurations(str(base)))
    assert code_of(stub[0], METHOD, request.SerializeToString(), 1) in {*BLAMELESS, WAITING}


@many
@given(data=st.data(), request=st.binary(max_size=100))
def test_damaged_configurations_and_bytes(stub, base, data, request):
    if data.draw(st.booleans()):
        damaged = bytearray(data.draw(configurations(str(base))).SerializeToString())
        for _ in range(data.draw(st.integers(1, 4))):
            position = data.draw(st.integers(0, len(damaged)))
            damaged[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        request = bytes(damaged)
    assert code_of(stub[0], METHOD, request, 1) in {*BLAMELESS, WAITING}
