"""Metadata, status, health and the routes of REST: cases 36 to 41, 56, 57 and 65 to 70."""

import json

import pytest
from conformance.harness import CODE, make_spec, refusal
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

ROWS = {"instances": [[1.0, 2.0]]}
OK = {"error_code": "OK", "error_message": ""}
SERVING = health_pb2.HealthCheckResponse.SERVING


def metadata_request(*fields):
    return get_model_metadata_pb2.GetModelMetadataRequest(model_spec=make_spec(), metadata_field=fields)


def status_request(name="toy", version=None):
    return get_model_status_pb2.GetModelStatusRequest(model_spec=make_spec(name, version))


def test_case_36_metadata_holds_every_signature(api):
    response = api.prediction.GetModelMetadata(metadata_request("signature_def"), timeout=30)
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 2)
    assert response.model_spec.signature_name == ""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(definitions)
    found = definitions.signature_def
    assert {"serving_default", "two_out", "two_in", "text", "scalar", "half16", "__saved_model_init_op"} <= set(found)
    shapes = {a: (i.dtype, [d.size for d in i.tensor_shape.dim]) for a, i in found["two_in"].inputs.items()}
    assert shapes == {"a": (1, [-1, 2]), "b": (3, [-1])}
    assert found["two_in"].method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param([], "at least one metadata_field", id="case_37_none"),
        pytest.param(["foo"], "Metadata field foo is not supported", id="case_37_foo"),
    ],
)
def test_metadata_has_one_field(api, fields, text):
    code, found = refusal(api.prediction.GetModelMetadata, metadata_request(*fields))
    assert code == CODE.INVALID_ARGUMENT
    assert text in found


def test_case_38_status_lists_versions_newest_first(api):
    found = list(api.states("toy").items())
    assert found == [(2, ("AVAILABLE", 0)), (1, ("AVAILABLE", 0))]


@pytest.mark.parametrize(
    ("request_parts", "text"),
    [
        pytest.param({"version": 99}, "Could not find version 99 of model toy", id="case_39_version"),
        pytest.param({"name": "nomodel"}, "Could not find any versions of model nomodel", id="case_39_model"),
    ],
)
def test_status_knows_what_it_never_saw(api, request_parts, text):
    assert refusal(api.model.GetModelStatus, status_request(**request_parts)) == (CODE.NOT_FOUND, text)


def test_case_40_sessions_are_not_served(api):
    call = api.channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert refusal(call, b"")[0] == CODE.UNIMPLEMENTED


def test_case_41_the_health_service_answers(api):
    for name in ("", "PredictionService", "ModelService"):
        assert api.health.Check(health_pb2.HealthCheckRequest(service=name), timeout=30).status == SERVING
    assert refusal(api.health.Check, health_pb2.HealthCheckRequest(service="nope"))[0] == CODE.NOT_FOUND


def test_case_56_bad_json_is_told_before_an_unknown_model(rest):
    bad, good = (rest.post("/v1/models/nomodel:predict", body) for body in (b"{", ROWS))
    assert bad.status_code == 400
    assert (good.status_code, good.json()) == (404, {"error": "Servable not found for request: Latest(nomodel)"})


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        pytest.param("/versions/1", 200, {"predictions": [[1.5, 2.0]]}, id="case_57_version"),
        pytest.param("/labels/stable", 200, {"predictions": [[1.5, 2.0]]}, id="case_57_label"),
        pytest.param("/labels/canary", 200, {"predictions": [[2.5, 3.0]]}, id="case_57_other_label"),
        pytest.param(
            "/labels/nope", 400, {"error": "Unrecognized servable version label: nope"}, id="case_57_unknown_label"
        ),
        pytest.param(
            "/versions/99",
            404,
            {"error": "Servable not found for request: Specific(toy, 99)"},
            id="case_57_unknown_version",
        ),
    ],
)
def test_rest_chooses_versions_by_number_and_label(rest, path, status, answer):
    response = rest.post(f"/v1/models/toy{path}:predict", ROWS)
    assert (response.status_code, response.json()) == (status, answer)


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        pytest.param("", ["2", "1"], id="case_65_all"),
        pytest.param("/versions/1", ["1"], id="case_65_version"),
        pytest.param("/labels/stable", ["2", "1"], id="case_65_label"),
    ],
)
def test_rest_tells_the_status(rest, path, versions):
    response = rest.get(f"/v1/models/toy{path}")
    expected = [{"version": version, "state": "AVAILABLE", "status": OK} for version in versions]
    assert (response.status_code, response.json()) == (200, {"model_version_status": expected})
    assert response.headers["Content-Type"] == "application/json"


def test_case_66_rest_tells_the_metadata(rest):
    answer = rest.get("/v1/models/toy/metadata").json()
    assert answer["model_spec"] == {"name": "toy", "signature_name": "", "version": "2"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    refused = [rest.get(path) for path in ("/v1/models/toy/versions/99/metadata", "/v1/models/nomodel")]
    assert [response.status_code for response in refused] == [404, 404]
    assert "Specific(toy, 99)" in refused[0].json()["error"]
    assert "Could not find any versions of model nomodel" in refused[1].json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        pytest.param("GET", "/v1/models", "Missing model name in request.", id="case_67_no_name"),
        pytest.param("GET", "/v1/foo", "Malformed request", id="case_67_path"),
        pytest.param("GET", "/v1/models/toy:predict", "Malformed request", id="case_67_get"),
        pytest.param("POST", "/v1/models/toy:predict?x=1", "Malformed request", id="case_67_query"),
        pytest.param("PUT", "/v1/models/toy", "Malformed request", id="case_67_put"),
        pytest.param(
            "POST",
            "/v1/models/toy/versions/18446744073709551615:predict",
            "Failed to convert version",
            id="case_69",
        ),
    ],
)
def test_rest_refuses_what_it_does_not_route(rest, method, path, text):
    response = rest.request(method, path, data=json.dumps(ROWS))
    assert response.status_code == 400
    assert text in response.json()["error"]


def test_case_68_other_paths_are_not_found(rest):
    assert rest.get("/index").status_code == 404


def test_case_70_other_origins_may_call(rest):
    path = "/v1/models/toy:predict"
    allowed = rest.request("OPTIONS", path, headers={"Origin": "http://example.com"})
    assert allowed.status_code == 200
    for header in ("Origin", "Methods", "Headers"):
        assert f"Access-Control-Allow-{header}" in allowed.headers
    assert rest.request("OPTIONS", path).status_code == 400
