"""A plan as files, by their paths in a folder of their own."""

import shlex
from importlib import resources

import jinja2

from serving.deploy import metrics
from serving.deploy.dashboard import dashboard
from serving.deploy.plan import Plan

TEMPLATES = (
    "README.md",
    "compose.yaml",
    "config/models/models.config",
    "config/server/batching.config",
    "config/server/monitoring.config",
    "grafana/provisioning/dashboards/dashboards.yml",
    "grafana/provisioning/datasources/prometheus.yml",
    "grpc/health.proto",
    "grpc/serving.proto",
    "kubernetes/autoscaler.yaml",
    "kubernetes/deployment.yaml",
    "kubernetes/disruption.yaml",
    "kubernetes/network.yaml",
    "kubernetes/service.yaml",
    "kubernetes/storage.yaml",
    "kustomization.yaml",
    "prometheus/adapter.yml",
    "prometheus/alerts.yml",
    "prometheus/prometheus.yml",
)
DASHBOARD = "grafana/dashboards/serving.json"
IMAGES = {
    "serving": "tensorflow/serving:2.20.0",
    "prometheus": "prom/prometheus:v3.5.0",
    "grafana": "grafana/grafana:12.0.2",
    "tensorboard": "tensorflow/tensorflow:2.19.0",
}
SERVER_ERRORS = "UNKNOWN|INTERNAL|UNAVAILABLE|DATA_LOSS|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED"
CLIENT_ERRORS = "INVALID_ARGUMENT|NOT_FOUND|FAILED_PRECONDITION|OUT_OF_RANGE|UNIMPLEMENTED"


def render(plan: Plan) -> dict[str, str]:
    """Returns the files' contents by their paths."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # no HTML; what is put in is checked before
        trim_blocks=True,
        keep_trailing_newline=True,
        # Prometheus, Grafana and its adapter have braces and angle brackets of their own.
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    waiting = ":tensorflow:serving:batching_session:queuing_latency_sum"
    values = {
        "plan": plan,
        "model": plan.model.name,
        "above": shlex.quote(plan.above),
        "images": IMAGES,
        "metrics_path": metrics.PATH,
        "server_errors": SERVER_ERRORS,
        "client_errors": CLIENT_ERRORS,
        "load_series": waiting if plan.batched else ":tensorflow:serving:request_latency_sum",
        "load_metric": f"tensorflow_serving_{'waiting' if plan.batched else 'running'}_requests",
    }
    files = {path: environment.get_template(path).render(values) for path in TEMPLATES}
    return files | {DASHBOARD: dashboard(plan)}


def _template(path: str) -> str:
    return resources.files("serving.deploy").joinpath("templates", *path.split("/")).read_text("utf-8")
