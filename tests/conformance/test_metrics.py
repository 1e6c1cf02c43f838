"""Case 71: what Prometheus reads on the REST port."""

import math

import grpc
import pytest
from conformance.harness import METRICS, SECONDS, make_request
from prometheus_client.parser import text_string_to_metric_families

SERVING = ":tensorflow:serving:"


class Page:
    """The metrics as of now, by the parser of Prometheus' own client."""

    def __init__(self, rest):
        self.text = rest.get(METRICS).text
        self.families = {family.name: family for family in text_string_to_metric_families(self.text)}

    def value(self, family, sample, **labels):
        # The parser gives every counter the suffix that TF Serving leaves out.
        samples = self.families[SERVING + family].samples if SERVING + family in self.families else []
        return sum(s.value for s in samples if s.name == SERVING + sample and s.labels == labels)


def test_71_requests_are_counted_by_model_and_status(rest, api):
    def counts():
        page = Page(rest)
        count = "request_count"
        latency = [
            page.value("request_latency", "request_latency_count", model_name="toy", API=a, entrypoint=e)
            for a, e in (("Predict", "GRPC"), ("predict", "REST"))
        ]
        return [
            page.value(count, f"{count}_total", model_name="toy", status="OK"),
            page.value(count, f"{count}_total", model_name="nomodel", status="NOT_FOUND"),
            *latency,
            page.value("runtime_latency", "runtime_latency_count", model_name="toy", API="Predict", runtime="TF1"),
        ]

    before = counts()
    api.prediction.Predict(make_request(), timeout=SECONDS)
    with pytest.raises(grpc.RpcError):
        api.prediction.Predict(make_request(name="nomodel"), timeout=SECONDS)
    rest.post("/v1/models/toy:predict", {"instances": [[1.0, 2.0]]})
    assert [after - b for after, b in zip(counts(), before, strict=True)] == [2, 1, 1, 1, 2]


def test_71_every_request_over_rest_is_counted(rest):
    def count(**labels):
        return Page(rest).value("request_count", "request_count_total", **labels)

    asked = [{"model_name": "toy", "status": "OK"}, {"model_name": "", "status": "INVALID_ARGUMENT"}]
    before = [count(**labels) for labels in asked]
    rest.get("/v1/models/toy")
    rest.request("PUT", "/v1/models/toy")
    assert [count(**labels) - b for labels, b in zip(asked, before, strict=True)] == [1, 1]


def test_71_histograms_end_with_all_and_have_the_buckets_of_tf_serving(rest, api):
    api.prediction.Predict(make_request(), timeout=SECONDS)
    page = Page(rest)
    assert f"# TYPE {SERVING}request_latency histogram" in page.text.splitlines()
    assert f"# TYPE {SERVING}request_count counter" in page.text.splitlines()
    labels = {"model_name": "toy", "API": "Predict", "entrypoint": "GRPC"}
    samples = [s for s in page.families[SERVING + "request_latency"].samples if labels.items() <= s.labels.items()]
    buckets = [(s.labels["le"], s.value) for s in samples if s.name.endswith("_bucket")]
    assert [le for le, _ in buckets[:6]] == ["10", "18", "32.4", "58.32", "104.976", "188.957"]
    assert len(buckets) == 34
    assert buckets[-1] == ("+Inf", page.value("request_latency", "request_latency_count", **labels))
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert math.isfinite(page.value("request_latency", "request_latency_sum", **labels))


def test_71_the_path_takes_no_query(rest):
    response = rest.get(f"{METRICS}?x=1")
    assert response.status_code == 400
    assert response.text == f"Unexpected path: {METRICS}?x=1. Should be {METRICS}"
    assert rest.get(METRICS).headers["Content-Type"].startswith("text/plain")
