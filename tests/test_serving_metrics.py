"""The exposition: names, labels, buckets, escapes and bounds; counting from many threads loses nothing."""

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving import settings
from serving.metrics import COUNTS, MOST_CELLS, Counter, Histogram, Metrics
from serving.options import Options
from serving.status import Code, ServingError


def shown(metrics):
    text = metrics.exposition().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return text.splitlines(), families


def test_a_histogram_counts_up_to_each_limit():
    histogram = Histogram("/a/b", "kind", limits=(1.0, 2.0, 4.0))
    for value in (0.5, 1.0, 1.5, 4.0, 5.0):
        histogram.add(value, "x")
    assert list(histogram.lines()) == [
        "# TYPE :a:b histogram",
        ':a:b_bucket{kind="x",le="1"} 2',
        ':a:b_bucket{kind="x",le="2"} 3',
        ':a:b_bucket{kind="x",le="4"} 4',
        ':a:b_bucket{kind="x",le="+Inf"} 5',
        ':a:b_sum{kind="x"} 12',
        ':a:b_count{kind="x"} 5',
    ]


def test_values_of_labels_are_escaped_and_read_back():
    metrics = Metrics()
    name = 'back\\slash "quoted"\nline'
    metrics.answered(name, "Predict", "GRPC", Code.OK, 0.001)
    _, families = shown(metrics)
    (count,) = families[":tensorflow:serving:request_count"].samples
    assert (count.labels, count.value) == ({"model_name": name, "status": "OK"}, 1)


def test_names_that_clients_make_up_do_not_fill_the_memory():
    counter = Counter("/c", "model_name", "status")
    for number in range(MOST_CELLS + 50):
        counter.add(f"model {number}", "NOT_FOUND")
    lines = list(counter.lines())
    assert len(lines) == MOST_CELLS + 2
    assert ':c{model_name="",status=""} 50' in lines
    counter.add("model 0", "NOT_FOUND")
    assert ':c{model_name="model 0",status="NOT_FOUND"} 2' in counter.lines()


def test_counting_from_many_threads_loses_nothing():
    metrics = Metrics()

    def count():
        for _ in range(2000):
            metrics.answered("m", "Predict", "GRPC", Code.OK, 1e-6)
            metrics.answered("m", "Predict", "GRPC", Code.UNAVAILABLE, 1e-6)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines, _ = shown(metrics)
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 8000' in lines
    assert ':tensorflow:serving:request_count{model_name="m",status="UNAVAILABLE"} 8000' in lines
    assert ':tensorflow:serving:request_latency_sum{model_name="m",API="Predict",entrypoint="GRPC"} 8000' in lines
    assert 'metaprior_rejected_requests_total{reason="unavailable"} 8000.0' in lines


def test_batches_are_counted_as_a_batcher_tells_of_them():
    metrics = Metrics()
    metrics.batching.observe(3, 4, 0.0002)
    lines, families = shown(metrics)
    session = ":tensorflow:serving:batching_session:"
    assert f"{session}wrapped_run_count{{}} 1" in lines
    assert f'{session}queuing_latency_sum{{thread_pool_name="batching"}} 200' in lines
    assert f"{session}input_batch_size_sum{{}} 3" in lines
    assert f"{session}processed_batch_size_sum{{}} 4" in lines
    assert f'{session}padding_size_sum{{execution_batch_size="4"}} 1' in lines
    assert len(families[session + "input_batch_size"].samples) == len(COUNTS) + 3


def test_loads_are_counted_by_how_they_end(tmp_path):
    metrics = Metrics()
    with metrics.loading(tmp_path):
        pass
    with pytest.raises(ServingError), metrics.loading(tmp_path):
        raise ServingError(Code.NOT_FOUND, "no model")
    lines, families = shown(metrics)
    attempts = ":tensorflow:cc:saved_model:load_attempt_count"
    assert {f'{attempts}{{model_path="{tmp_path}",status="{s}"}} 1' for s in ("success", "fail")} <= set(lines)
    assert families[":tensorflow:cc:saved_model:load_latency"].samples[0].value > 0


def test_the_servers_own_facts_stand_beside():
    metrics = Metrics()
    metrics.watch("queue_depth", "Requests waiting.", lambda: 7)
    metrics.describe(lambda: [("encoder", 3, "beta_vae-8-0123456789ab")])
    metrics.in_flight.add("a request")
    lines, families = shown(metrics)
    assert "metaprior_queue_depth 7.0" in lines
    assert "metaprior_requests_in_flight 1.0" in lines
    labels = 'model_name="encoder",space="beta_vae-8-0123456789ab",version="3"'
    assert f"metaprior_model_version_info{{{labels}}} 1.0" in lines
    assert families["metaprior_process_resident_memory_bytes"].samples[0].value > 1 << 20


@pytest.mark.parametrize(
    ("file", "wanted", "path"),
    [
        (None, False, None),
        (None, True, "/monitoring/prometheus/metrics"),
        ("enable: true", False, "/monitoring/prometheus/metrics"),
        ('enable: true path: "/metrics"', True, "/metrics"),
        ("enable: false", True, None),
    ],
)
def test_a_monitoring_file_says_where_the_metrics_are_and_without_one_a_flag(tmp_path, file, wanted, path):
    written = tmp_path / "monitoring.config"
    if file:
        written.write_text(f"prometheus_config {{ {file} }}")
    options = Options(model_base_path=tmp_path, monitoring_config_file=written if file else None, enable_metrics=wanted)
    assert settings.metrics_path(options) == path
