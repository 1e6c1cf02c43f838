"""The metrics that TensorFlow Serving exports, as far as dashboards, alerts and autoscaling here use them.

Its exporter writes TensorFlow's names with colons for slashes, and counters without `_total`. Latencies are in
microseconds. `request_latency` counts requests that succeeded.
"""

PATH = "/monitoring/prometheus/metrics"

COUNTERS = {
    ":tensorflow:serving:request_count": ("model_name", "status"),
    ":tensorflow:cc:saved_model:load_attempt_count": ("model_path", "status"),
}
HISTOGRAMS = {
    ":tensorflow:serving:request_latency": ("model_name", "API", "entrypoint"),
    ":tensorflow:serving:runtime_latency": ("model_name", "API", "runtime"),
    ":tensorflow:serving:model_warmup_latency": ("model_path", "status"),
    ":tensorflow:serving:batching_session:queuing_latency": ("thread_pool_name",),
    ":tensorflow:serving:batching_session:input_batch_size": (),
    ":tensorflow:serving:batching_session:processed_batch_size": (),
}
BUCKET, SUM, COUNT = "_bucket", "_sum", "_count"


def series() -> dict[str, tuple[str, ...]]:
    """Returns the labels of every time series a server exports, by its name in a query."""
    suffixed = {
        name + suffix: (*labels, "le") if suffix == BUCKET else labels
        for name, labels in HISTOGRAMS.items()
        for suffix in (BUCKET, SUM, COUNT)
    }
    return COUNTERS | suffixed
