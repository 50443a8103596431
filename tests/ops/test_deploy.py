"""docs/deploy: what it says is what Kubernetes takes, and what the code is."""

import copy
import http.server
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from functools import cache
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

import jobs
from api import metering, operation
from domain.journal.model import Lane
from infra import postgres
from infra.metrics import METRICS
from infra.settings import Settings
from tests.docs.source import PACKAGES, ROOT, table_rows, text_of
from workers import entry, scheduler

DEPLOY = ROOT / "docs" / "deploy"
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
README = (DEPLOY / "README.md").read_text()
# The oldest that the page names and the newest that there are schemas of.
VERSIONS = (README.partition("Kubernetes ")[2].split()[0], kubernetes_validate.latest_version())
ROLES = {"migrate": "release", "api": "web"} | {name: name for name in ("worker-core", "worker-io", "scheduler")}
# How docs/settings.md calls who reads a setting.
READERS = {"api": "api", "worker-core": "workers", "worker-io": "workers", "scheduler": "scheduler"}
NAME = "app.kubernetes.io/component"
OLDEST = "ordermill_queue_oldest_seconds"
FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
POOL_CLOSING_SECONDS = 15


@cache
def documents() -> list[dict[str, Any]]:
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    """Documents of these kinds by the process they are about."""
    return {d["metadata"]["labels"][NAME]: d for d in documents() if d["kind"] in kinds}


def pods() -> dict[str, dict[str, Any]]:
    return {role: d["spec"]["template"]["spec"] for role, d in of_kind("Deployment", "Job").items()}


def containers() -> dict[str, dict[str, Any]]:
    found = {}
    for role, pod in pods().items():
        (found[role],) = pod["containers"]
    return found


def lanes_of(role: str) -> set[str]:
    """The lanes a role's command names."""
    named = [word.removeprefix("LANES=") for word in containers()[role]["command"] if word.startswith("LANES=")]
    return set(",".join(named).split(",")) - {""}


def image_settings() -> dict[str, str]:
    words = " ".join(re.findall("^ENV (.*)$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)).split()
    pairs = dict(word.split("=", 1) for word in words)
    return {name: value for name, value in pairs.items() if name not in {"PATH", "HOME"}}


def procfile() -> dict[str, list[str]]:
    lines = (line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines())
    return {name: shlex.split(line) for name, _, line in lines}


def test_kubernetes_takes_every_manifest():
    for version in VERSIONS:
        for document in documents():
            assert kubernetes_validate.validate(document, version, strict=True)


def test_a_manifest_with_a_field_that_there_is_not_is_seen():
    broken = copy.deepcopy(of_kind("Deployment")["api"])
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_kustomize_has_every_manifest_and_the_image_they_name():
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [path.name for path in MANIFESTS]
    assert {container["image"] for container in containers().values()} == {
        image["name"] for image in kustomization["images"]
    }
    assert not any("namespace" in document["metadata"] for document in documents())


def test_every_line_of_the_procfile_runs_as_it_is_written():
    assert {ROLES[role]: container["command"] for role, container in containers().items()} == procfile()
    started = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    assert [msgspec.json.decode(command) for command in started] == [procfile()["web"]]


def test_every_lane_is_served_by_one_kind_of_worker_and_scaled_with_it():
    served = [lane for role in containers() for lane in lanes_of(role)]
    assert sorted(served) == sorted(lane.value for lane in Lane)
    for role, scaler in of_kind("HorizontalPodAutoscaler").items():
        (metric,) = scaler["spec"]["metrics"]
        (expression,) = metric["external"]["metric"]["selector"]["matchExpressions"]
        assert (expression["key"], expression["operator"]) == ("lane", "In")
        assert set(expression["values"]) == lanes_of(role)


def test_what_is_scaled_by_age_has_no_number_of_its_own():
    deployments, scalers = of_kind("Deployment"), of_kind("HorizontalPodAutoscaler")
    assert {role for role in deployments if lanes_of(role)} == set(scalers)
    assert {role for role, each in deployments.items() if "replicas" not in each["spec"]} == set(scalers)
    for role, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployments[role]["metadata"]["name"]


def test_the_age_that_scales_is_a_metric_of_ours_and_the_adapter_serves_it():
    (rule,) = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text())["externalRules"]
    assert f'__name__="{OLDEST}"' in rule["seriesQuery"]
    asked = set(re.findall(r"ordermill_\w+", rule["metricsQuery"]))
    assert asked == {OLDEST, "ordermill_lane_paused"} <= set(METRICS)
    assert all("lane" in METRICS[name].labels for name in asked)
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        assert scaler["spec"]["metrics"][0]["external"]["metric"]["name"] == OLDEST


def test_each_process_gets_the_secrets_it_uses_by_the_names_of_settings():
    readers = {row[0].strip("`"): row[4].rpartition("used by ")[2] for row in table_rows(text_of("docs/settings.md"))}
    given = {role: {entry["name"] for entry in container["env"]} for role, container in containers().items()}
    secrets = set().union(*given.values())
    assert secrets <= set(FIELDS)
    must = {name for name, field in FIELDS.items() if field.required}
    for role, reader in READERS.items():
        uses = {name for name in secrets if {"all", reader} & set(re.split(r",? ", readers[name]))}
        assert given[role] == uses | must, role
    assert given["migrate"] == {"DATABASE_URL"}
    for container in containers().values():
        for entry_ in container["env"]:
            name, reference = entry_["name"], entry_["valueFrom"]["secretKeyRef"]
            optional = {} if name in must else {"optional": True}
            assert reference == {"name": "ordermill", "key": name, **optional}
    assert secrets | {"MAIL_FROM", "PUBLIC_URL", "TRUSTED_PROXIES"} == {
        name for row in table_rows(README)[:2] for name in re.findall("`([A-Z_]+)`", row[1])
    }


def test_probes_ask_for_what_the_api_answers_on_the_port_where_it_listens():
    answered = {route.path for route in operation.router.routes} | set(metering.tell.paths)
    ports = {"http": int(image_settings()["HTTP_PORT"]), "metrics": int(image_settings()["METRICS_PORT"])}
    assert set(image_settings()) <= set(FIELDS)
    for role, deployment in of_kind("Deployment").items():
        container = containers()[role]
        (port,) = container["ports"]
        assert port["containerPort"] == ports[port["name"]]
        assert port["name"] == ("http" if role == "api" else "metrics")
        probes = [probe for key, probe in container.items() if key.endswith("Probe")]
        assert {probe.get("httpGet", probe.get("tcpSocket"))["port"] for probe in probes} == {port["name"]}
        assert {probe["httpGet"]["path"] for probe in probes if "httpGet" in probe} <= answered
        told = deployment["spec"]["template"]["metadata"]["annotations"]
        assert told["prometheus.io/port"] == str(port["containerPort"])
        assert told["prometheus.io/path"] in answered
    api = containers()["api"]
    assert api["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert api["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert of_kind("Service")["api"]["spec"]["ports"][0]["targetPort"] == "http"


def test_whatever_selects_pods_selects_those_of_its_process():
    deployments = of_kind("Deployment")
    assert set(of_kind("PodDisruptionBudget")) == set(deployments)
    for role, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        spread = pods()[role]["topologySpreadConstraints"][0]
        chosen = [deployment["spec"]["selector"], of_kind("PodDisruptionBudget")[role]["spec"]["selector"]]
        assert [each["matchLabels"] for each in [*chosen, spread["labelSelector"]]] == [labels] * 3
    assert of_kind("Service")["api"]["spec"]["selector"] == deployments["api"]["spec"]["template"]["metadata"]["labels"]


def test_nothing_runs_as_root_or_writes_but_an_api_in_its_temporary_folder():
    for role, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert not pod["enableServiceLinks"]
        rights = containers()[role]["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        mounts = [mount["mountPath"] for mount in containers()[role].get("volumeMounts", [])]
        assert mounts == (["/tmp"] if role == "api" else [])
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)


def test_a_worker_has_the_time_to_end_what_it_has_in_hand():
    for role in ("worker-core", "worker-io"):
        deadlines = [getattr(job, "deadline_seconds", 0) for job in jobs.load().values() if job.lane in lanes_of(role)]
        wanted = max(*deadlines, entry.STOP_MS / 1000) + POOL_CLOSING_SECONDS
        assert pods()[role]["terminationGracePeriodSeconds"] >= wanted


def test_the_page_counts_the_connections_of_all_pools():
    config = Settings(database_url="postgresql://", redis_url="redis://", secret_key="")
    pool = {"api": config.api_connections_max * config.http_processes, "scheduler": scheduler.CONNECTIONS_MAX}
    pool |= {"worker-core": config.worker_connections_max}
    pool["worker-io"] = config.worker_connections_max + postgres.SUBSCRIPTION_CONNECTIONS
    most = {role: each["spec"].get("replicas") for role, each in of_kind("Deployment").items()}
    most |= {role: each["spec"]["maxReplicas"] for role, each in of_kind("HorizontalPodAutoscaler").items()}
    in_all = sum(pool[role] * number for role, number in most.items())
    assert f"that is {in_all} connections, and {sum(pool.values())} more in a rollout" in README


def test_the_image_is_built_by_the_uv_of_set_up_from_what_the_wheel_is_made_of():
    makefile = (ROOT / "Makefile").read_text()
    versions = re.findall(r"UV_VERSION ?:?= ?([\d.]+)", makefile + DOCKERFILE)
    assert len(versions) == 2
    assert len(set(versions)) == 1
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    lets_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert set(wheel["packages"]) == set(PACKAGES)
    assert lets_in == {*PACKAGES, "LICENSE", "README.md", "pyproject.toml", "requirements.lock"}
    assert len(set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))) == 1


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == self.server.answers else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("setting", "path", "healthy"),
    [("HTTP_PORT", "/health/live", True), ("METRICS_PORT", "/metrics", True), ("HTTP_PORT", "/elsewhere", False)],
)
def test_the_image_is_healthy_when_an_api_lives_or_a_worker_tells_its_metrics(setting, path, healthy):
    (check,) = re.findall(r"^HEALTHCHECK .*\\\n +(\[.*\])$", DOCKERFILE, re.MULTILINE)
    program, *arguments = msgspec.json.decode(check)
    assert program == "python"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.answers = path
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # Nobody listens on port 1.
        env = {"HTTP_PORT": "1", "METRICS_PORT": "1", setting: str(server.server_port)}
        done = subprocess.run([sys.executable, *arguments], check=False, env=env, capture_output=True, timeout=30)
        server.shutdown()
    assert (done.returncode == 0) == healthy, done.stderr
