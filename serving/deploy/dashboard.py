"""Grafana's dashboard of a server: traffic, latency, batching, versions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serving.deploy.plan import Plan

SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT, COLUMNS = 8, 8, 3
WINDOW = "[$__rate_interval]"
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Panel:
    """A graph.

    Args:
        title: what it shows.
        unit: Grafana's name of the unit.
        queries: what is drawn, by legend.
    """

    title: str
    unit: str
    queries: dict[str, str]


def panels(plan: Plan) -> Iterator[Panel]:
    """Yields the graphs of a deployment; those of batching only where it is on."""
    mine = f'model_name="{plan.model.name}"'
    count, latency = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
    yield Panel("Requests", "reqps", {"{{status}}": f"sum by (status) ({_rate(count, mine)})"})
    yield Panel("Latency over gRPC", "µs", _quantiles(latency, f'{mine},entrypoint="GRPC",API="Predict"'))
    yield Panel("Latency over REST", "µs", _quantiles(latency, f'{mine},entrypoint="REST",API="predict"'))
    # Microseconds that pass in a second are a mean number of requests (Little's law).
    running = f"sum by (instance) ({_rate(latency + '_sum', mine)}) / 1e6"
    yield Panel("Requests at work, mean", "short", {"{{instance}}": running})
    yield Panel("Time in the model", "µs", _quantiles(":tensorflow:serving:runtime_latency", mine))
    if plan.batched:
        yield from _batching()
    loads = ":tensorflow:cc:saved_model:load_attempt_count"
    yield Panel(
        "Loaded versions, attempts", "short", {"{{model_path}} {{status}}": f"sum by (model_path, status) ({loads})"}
    )
    warmup = ":tensorflow:serving:model_warmup_latency"
    mean = f"sum by (model_path, status) ({warmup}_sum) / sum by (model_path, status) ({warmup}_count)"
    yield Panel("Warm-up of versions", "µs", {"{{model_path}} {{status}}": mean})
    yield Panel("Servers that answer", "short", {"servers": 'sum(up{job="tensorflow-serving"})'})


def _batching() -> Iterator[Panel]:
    root = ":tensorflow:serving:batching_session:"
    waiting, rows, padded = root + "queuing_latency", root + "input_batch_size", root + "processed_batch_size"
    yield Panel("Wait for a batch", "µs", _quantiles(waiting, ""))
    depth = f"sum by (instance) ({_rate(waiting + '_sum', '')}) / 1e6"
    yield Panel("Waiting requests, mean", "short", {"{{instance}}": depth})
    sizes = {"rows": _mean(rows), "rows with padding": _mean(padded)}
    yield Panel("Batch size, mean", "short", sizes)


def dashboard(plan: Plan) -> str:
    """Returns the dashboard as JSON that Grafana provisions."""
    document: dict[str, Any] = {
        "uid": f"{plan.resource}-serving",
        "title": f"TensorFlow Serving: {plan.model.name}",
        "tags": ["metaprior"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_written(panel, number) for number, panel in enumerate(panels(plan))],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _written(panel: Panel, number: int) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
        for index, (legend, expression) in enumerate(panel.queries.items())
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def _rate(series: str, labels: str) -> str:
    return f"rate({series}{{{labels}}}{WINDOW})" if labels else f"rate({series}{WINDOW})"


def _quantiles(histogram: str, labels: str) -> dict[str, str]:
    buckets = f"sum by (le) ({_rate(histogram + '_bucket', labels)})"
    return {f"p{round(100 * q)}": f"histogram_quantile({q}, {buckets})" for q in QUANTILES}


def _mean(histogram: str) -> str:
    return f"sum({_rate(histogram + '_sum', '')}) / sum({_rate(histogram + '_count', '')})"
