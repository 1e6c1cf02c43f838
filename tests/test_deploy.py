"""`metaprior deploy`: files that the tools they are for would take."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_pb2, status_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.deploy import metrics
from serving.deploy.model import Model
from serving.deploy.plan import Plan
from serving.deploy.render import DASHBOARD, IMAGES, TEMPLATES, render
from serving.textproto import read_batching, read_monitoring

ENCODER = Model("encoder", (1, 2, 5), 3 << 20, 784, ("embed",), ())
ODD = Model("2_Odd.Name", (7,), 9 << 30, 12 << 20, ("total",), ("total: output sum []",))
PLANS = {
    "newest": Plan(model=ENCODER),
    "labels": Plan(model=ENCODER, labels={"stable": 2, "canary": 5}, replicas=3, cpus=8, host="0.0.0.0"),
    "unbatched": Plan(model=ODD, latest=2, cpus=1),
}
SELECTOR = re.compile(r"(:tensorflow:[a-z_:]+)(?:\{([^}]*)\})?")
# As much of the Compose specification as a wrong file here would break.
COMPOSE = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "properties": {
        "name": {"pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "volumes": {"type": "object"},
        "services": {
            "additionalProperties": {
                "type": "object",
                "required": ["image", "ports", "volumes", "restart", "cap_drop", "security_opt"],
                "additionalProperties": False,
                "properties": {
                    "image": {"enum": list(IMAGES.values())},
                    "ports": {"items": {"pattern": r"^\d+\.\d+\.\d+\.\d+:\d+:\d+$"}},
                    "volumes": {"items": {"pattern": r"^(\./[\w/]+|\$\{[^}]+\}|\w+):/[\w/]+(:ro)?$"}},
                    "cap_drop": {"const": ["ALL"]},
                    "security_opt": {"const": ["no-new-privileges:true"]},
                    "environment": {"additionalProperties": {"type": "string"}},
                    "command": {"items": {"type": "string"}},
                    "entrypoint": {"items": {"type": "string"}},
                    "tmpfs": {"items": {"type": "string"}},
                    "profiles": {"items": {"type": "string"}},
                    "user": {"pattern": r"^[1-9]\d*:[1-9]\d*$"},
                    "mem_limit": {"pattern": r"^\d+m$"},
                    "mem_reservation": {"pattern": r"^\d+m$"},
                    "cpus": {"type": "integer"},
                    "init": {"const": True},
                    "read_only": {"const": True},
                    "restart": {"const": "unless-stopped"},
                    "healthcheck": {"required": ["test", "interval", "timeout", "retries", "start_period"]},
                },
            }
        },
    },
}


@dataclass(frozen=True)
class Written:
    plan: Plan
    folder: Path

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def yaml(self, path: str) -> list:
        return list(yaml.safe_load_all(self.text(path)))

    def kind(self, kind: str) -> dict:
        found = [d for path in self.folder.glob("kubernetes/*.yaml") for d in self.yaml(path) if d["kind"] == kind]
        return found[0]

    @property
    def pod(self) -> dict:
        return self.kind("Deployment")["spec"]["template"]


@pytest.fixture(scope="module", params=PLANS)
def written(request, tmp_path_factory) -> Written:
    folder = tmp_path_factory.mktemp(request.param)
    for path, text in render(PLANS[request.param]).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Written(PLANS[request.param], folder)


def test_every_template_is_rendered():
    folder = Path(metrics.__file__).parent / "templates"
    assert sorted(TEMPLATES) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_kubernetes_takes_the_manifests(written):
    manifests = [d for path in sorted(written.folder.glob("kubernetes/*.yaml")) for d in written.yaml(path)]
    assert len(manifests) == 7
    for version in ("1.30.0", kubernetes_validate.latest_version()):
        for manifest in manifests:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_kustomize_finds_what_it_names(written):
    [document] = written.yaml("kustomization.yaml")
    generated = {group["name"]: group for group in document["configMapGenerator"]}
    assert {str(path.relative_to(written.folder)) for path in written.folder.glob("kubernetes/*")} == set(
        document["resources"]
    )
    assert all((written.folder / path).is_file() for group in generated.values() for path in group["files"])
    mounted = {v["configMap"]["name"] for v in written.pod["spec"]["volumes"] if "configMap" in v}
    assert mounted == set(generated)
    # The polled file keeps its name; what is read at the start does not, so that pods start anew.
    fixed = {name for name, group in generated.items() if group.get("options") == {"disableNameSuffixHash": True}}
    assert fixed == {f"{written.plan.resource}-models"}


def test_pods_are_found_by_what_selects_them(written):
    labels = written.pod["metadata"]["labels"].items()
    name = written.plan.resource
    selectors = [written.kind(kind)["spec"]["selector"] for kind in ("Service", "Deployment", "PodDisruptionBudget")]
    selectors += [written.kind("NetworkPolicy")["spec"]["podSelector"]]
    assert all((selector.get("matchLabels") or selector).items() <= labels for selector in selectors)
    claims = [v["persistentVolumeClaim"]["claimName"] for v in written.pod["spec"]["volumes"] if v["name"] == "models"]
    assert claims == [written.kind("PersistentVolumeClaim")["metadata"]["name"]] == [f"{name}-versions"]
    scaler = written.kind("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == written.kind("Deployment")["metadata"]["name"] == name
    [rule] = written.yaml("prometheus/adapter.yml")[0]["rules"]["custom"]
    assert scaler["metrics"][1]["pods"]["metric"]["name"] == rule["name"]["as"]


def test_a_pod_drains_and_may_do_nothing_else(written):
    pod = written.pod["spec"]
    [container] = pod["containers"]
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > sleep > 0
    assert pod["shareProcessNamespace"]  # else the server is process 1 and ignores SIGTERM
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # The plain status answers 200 without a loaded version; the metadata does not.
    assert container["readinessProbe"]["httpGet"]["path"] == f"/v1/models/{written.plan.model.name}/metadata"
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300
    assert written.kind("NetworkPolicy")["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in written.kind("NetworkPolicy")["spec"]


def test_compose_takes_its_file(written):
    [document] = written.yaml("compose.yaml")
    jsonschema.validate(document, COMPOSE)
    services = document["services"]
    published = [port for service in services.values() for port in service["ports"]]
    assert all(port.startswith(f"{written.plan.host}:") for port in published)
    sources = [v.split(":")[0] for s in services.values() for v in s["volumes"]]
    assert all((written.folder / path).is_dir() for path in sources if path.startswith("./"))
    assert {path for path in sources if path[0].isalpha()} == set(document["volumes"])
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_PASSWORD:?must be set}"
    [container] = written.pod["spec"]["containers"]
    assert services["serving"]["command"] == container["args"]
    amounts = {"requests": services["serving"]["mem_reservation"], "limits": services["serving"]["mem_limit"]}
    resources = container["resources"]
    assert {name: f"{amount[:-1]}Mi" for name, amount in amounts.items()} == {
        n: resources[n]["memory"] for n in amounts
    }
    assert int(amounts["limits"][:-1]) == 2 * written.plan.memory


def test_tensorflow_serving_takes_its_configuration(written):
    plan = written.plan
    message = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(written.text("config/models/models.config"), message)
    [model] = message.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (plan.model.name, plan.base_path, "tensorflow")
    assert dict(model.version_labels) == plan.labels
    policy = model.model_version_policy
    if plan.labels:
        assert set(policy.specific.versions) == set(plan.labels.values())
    else:
        assert policy.latest.num_versions == plan.latest
    batching = read_batching(written.folder / "config/server/batching.config")
    assert batching.max_batch_size == batching.allowed_batch_sizes[-1] == plan.batch_sizes[-1]
    assert (batching.num_batch_threads, batching.batch_timeout_micros) == (plan.cpus, 0)
    monitoring = read_monitoring(written.folder / "config/server/monitoring.config")
    assert (monitoring.enable, monitoring.path) == (True, metrics.PATH)
    flags = written.pod["spec"]["containers"][0]["args"]
    assert ("--enable_batching=true" in flags) == plan.batched
    assert ("--allow_version_labels_for_unavailable_models=true" in flags) == bool(plan.labels)


def expressions(written: Written) -> list[str]:
    rules = [rule["expr"] for group in written.yaml("prometheus/alerts.yml")[0]["groups"] for rule in group["rules"]]
    panels = [t["expr"] for panel in json.loads(written.text(DASHBOARD))["panels"] for t in panel["targets"]]
    adapter = written.yaml("prometheus/adapter.yml")[0]["rules"]["custom"][0]
    [series] = re.findall(r'__name__="([^"]+)"', adapter["seriesQuery"])
    return [*rules, *panels, series]


def test_dashboard_alerts_and_autoscaler_ask_for_what_a_server_exports(written):
    known = metrics.series()
    asked = [found for text in expressions(written) for found in SELECTOR.findall(text)]
    assert len(asked) > 15
    for name, selector in asked:
        assert name in known
        assert {part.partition("=")[0].rstrip("!") for part in selector.split(",") if part} <= set(known[name])
    batched = [name for name, _ in asked if "batching_session" in name]
    assert bool(batched) == written.plan.batched


def test_grpcurl_gets_the_servers_own_protocol():
    text = render(PLANS["newest"])["grpc/serving.proto"]
    messages = (get_model_status_pb2.DESCRIPTOR, model_pb2.DESCRIPTOR, status_pb2.DESCRIPTOR)
    real = {name: message for file in messages for name, message in file.message_types_by_name.items()}
    written = re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE)
    assert {name for name, _ in written} <= set(real)
    for name, body in written:
        states = dict(re.findall(r"^    (\w+) = (\d+);", body, re.MULTILINE))
        if states:
            assert {v.name: str(v.number) for v in real[name].enum_types[0].values} == states
        fields = re.findall(r"^  (?:repeated )?[\w.]+ (\w+) = (\d+);", body, re.MULTILINE)
        assert fields
        assert all(real[name].fields_by_name[field].number == int(number) for field, number in fields)


def test_alerts_are_whole(written):
    [group] = written.yaml("prometheus/alerts.yml")[0]["groups"]
    runbook = Path(__file__).parent.parent.joinpath("docs", "runbook.md").read_text()
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert f"### {rule['alert']}\n" in runbook
    [job] = written.yaml("prometheus/prometheus.yml")[0]["scrape_configs"]
    assert f'job="{job["job_name"]}"' in group["rules"][0]["expr"]
    assert job["metrics_path"] == metrics.PATH


def test_the_dashboard_has_a_place_and_a_source_for_every_graph(written):
    dashboard = json.loads(written.text(DASHBOARD))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 8
    cells = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}
    assert len(cells) == len(panels)
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels)
    [source] = written.yaml("grafana/provisioning/datasources/prometheus.yml")[0]["datasources"]
    targets = [target for panel in panels for target in panel["targets"]]
    assert {target["datasource"]["uid"] for target in targets} == {source["uid"]}
    assert all(len({t["refId"] for t in p["targets"]}) == len(p["targets"]) for p in panels)


def test_numbers_follow_from_the_model():
    plan, odd = PLANS["newest"], PLANS["unbatched"]
    assert plan.batch_sizes == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert odd.batch_sizes == (1, 2)  # of 12 MiB an example
    assert (plan.memory, odd.memory) == (768, 512 + 3 * 3 * (9 << 10))
    assert (plan.resource, odd.resource) == ("encoder", "model-2-odd-name")
