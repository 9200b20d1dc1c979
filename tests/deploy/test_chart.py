"""The Helm chart, rendered by Helm's engine and checked against Kubernetes' own schemas.

Objects of KEDA and of the Prometheus operator have no schema here; their fields are compared with
what those projects document.
"""

import importlib.util
import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from tests.deploy import reading
from tests.deploy.reading import DEPLOY
from tests.servers import ROOT

from tocsin import __version__
from tocsin.cli.serve import ROLES
from tocsin.pipeline import STEPS
from tocsin.settings import Settings, load

CHART = DEPLOY / "helm" / "tocsin"
OTHERS = ("keda.sh/", "monitoring.coreos.com/")
CHAINED: dict[str, Any] = yaml.safe_load((CHART / "values-chained.yaml").read_text())
EVERYTHING: dict[str, Any] = {
    "image": {"digest": f"sha256:{'0' * 64}"},
    "pullSecrets": [{"name": "my-registry"}],
    "autoscaling": {"enabled": True, "keda": {"enabled": True}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}],
    },
    "service": {"annotations": {"example.com/owner": "soc"}},
    "podAnnotations": {"example.com/owner": "soc"},
    "podLabels": {"team": "soc"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "soc", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "important",
}
SETS = {
    "as it comes": {},
    "chained": CHAINED,
    "everything": EVERYTHING,
    "scaled by CPU": {"autoscaling": {"enabled": True}},
    "as little as can be": {
        "podDisruptionBudget": {"enabled": False},
        "databaseUpgrade": {"enabled": False},
    },
}

Object = dict[str, Any]


def rendered(values: Object, name: str = "soc") -> dict[str, Any]:
    """Helm's answer for these values."""
    if importlib.util.find_spec("helm_python") is None:
        pytest.skip("Helm's engine (helm-python-sdk) is not installed")
    asked = {"chart": str(CHART), "values": values, "name": name, "namespace": "security"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.render"],
        cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def objects(values: Object, name: str = "soc") -> list[Object]:
    """The objects that these values make."""
    answer = rendered(values, name)
    assert not answer["errors"], answer["errors"]
    assert all(message["severity"] < 2 for message in answer["messages"]), answer["messages"]
    texts = [text for path, text in answer["manifests"].items() if path.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def of_kind(made: list[Object], kind: str) -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in made if found["kind"] == kind}


@pytest.fixture(scope="module")
def plain() -> list[Object]:
    return objects({})


@pytest.fixture(scope="module")
def full() -> list[Object]:
    return objects(EVERYTHING)


@pytest.fixture(scope="module")
def values() -> Object:
    found: Object = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


@pytest.mark.parametrize("name", SETS)
def test_what_the_chart_makes_is_valid_kubernetes(name: str) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    made = objects(SETS[name])
    keys = [(found["kind"], found["metadata"]["name"]) for found in made]
    assert len(keys) == len(set(keys)), "two objects of the same name"
    for found in made:
        assert found["metadata"]["namespace"] == "security"
        if not found["apiVersion"].startswith(OTHERS):
            kubernetes_validate.validate(found, "1.36", strict=True)


def test_the_roles_of_the_chart_are_the_roles_of_the_command_line(values: Object) -> None:
    roles = values["roles"]
    assert set(roles) == {*ROLES, "worker"}
    takes = {step.name: step.takes for step in STEPS}
    for name, role in ROLES.items():
        assert roles[name]["run"] == [name]
        assert roles[name]["port"] == role.port
        assert roles[name]["queue"] == takes.get(role.step or "", "")
        assert roles[name]["enabled"] is True
    assert [ROLES[name].step for name in roles["worker"]["run"]] == [step.name for step in STEPS]
    assert roles["worker"]["queue"] == STEPS[0].takes


def test_the_schema_of_the_values_names_the_same_roles_queues_and_secrets() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    role = schema["roles"]["additionalProperties"]["properties"]
    assert role["run"]["items"]["enum"] == list(ROLES)
    assert role["queue"]["enum"] == ["", *(step.takes for step in STEPS)]
    secret = {n for n, f in Settings.model_fields.items() if "Secret" in str(f.annotation)}
    refused = schema["settings"]["propertyNames"]["not"]["enum"]
    kept = secret | {"database", "broker", "port", "secrets"}
    assert set(refused) == {f"TOCSIN_{name.upper()}" for name in kept}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"roles": {"triage": {"port": "many"}}}, "port"),
        ({"roles": {"triage": {"run": ["triaje"]}}}, "run"),
        ({"settings": {"TOCSIN_DATABASE": "postgresql://a:b@c/d"}}, "TOCSIN_DATABASE"),
        ({"existingSecret": ""}, "existingSecret"),
        ({"replicas": 3}, "replicas"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(wrong: Object, word: str) -> None:
    errors = rendered(wrong)["errors"]
    assert errors
    assert word in errors[0]


def test_each_process_is_given_real_settings_and_a_real_command(
    plain: list[Object], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    made = [*of_kind(plain, "Deployment").values(), *of_kind(plain, "Job").values()]
    assert len(made) == len(ROLES) + 1
    for found in made:
        (container,) = found["spec"]["template"]["spec"]["containers"]
        reading.assert_command(container["args"])
        given = {variable["name"]: variable["value"] for variable in container["env"]}
        assert set(given) <= reading.settings_names()
        with monkeypatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            patch.setenv("TOCSIN_SECRETS", str(tmp_path))
            settings = load()
        if found["kind"] == "Deployment":
            assert container["ports"][0]["containerPort"] == settings.port
            assert settings.port == ROLES[container["args"][1]].port
            grace = found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            assert grace > 3 * settings.drain_timeout


@pytest.mark.parametrize("which", ["plain", "full"])
def test_every_pod_runs_without_privileges_on_a_file_system_that_it_cannot_write(
    which: str, request: pytest.FixtureRequest
) -> None:
    made = request.getfixturevalue(which)
    for found in [*of_kind(made, "Deployment").values(), *of_kind(made, "Job").values()]:
        pod = found["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
            "/run/secrets/tocsin", "/data", "/tmp"
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"]
        assert "secretKeyRef" not in json.dumps(container), "secrets come as files"


def test_services_budgets_and_probes_reach_the_pods_of_their_role(plain: list[Object]) -> None:
    deployments = of_kind(plain, "Deployment")
    for kind in ("Service", "PodDisruptionBudget"):
        assert set(of_kind(plain, kind)) == set(deployments)
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        service = of_kind(plain, "Service")[name]["spec"]
        budget = of_kind(plain, "PodDisruptionBudget")[name]["spec"]
        for selector in (
            service["selector"],
            budget["selector"]["matchLabels"],
            deployment["spec"]["selector"]["matchLabels"],
        ):
            assert selector.items() <= labels.items()
        assert service["ports"][0]["targetPort"] == container["ports"][0]["name"] == "http"
        paths = {
            probe: container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        }
        assert paths == {
            "startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/live"
        }  # fmt: skip
        patience = container["livenessProbe"]
        assert patience["periodSeconds"] * patience["failureThreshold"] >= 120


def test_the_tables_are_upgraded_before_anything_is_replaced(plain: list[Object]) -> None:
    (job,) = of_kind(plain, "Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["db", "upgrade"]


def test_each_role_is_scaled_by_one_thing_only(full: list[Object]) -> None:
    by_queue = of_kind(full, "ScaledObject")
    by_cpu = of_kind(full, "HorizontalPodAutoscaler")
    assert set(by_queue) == {
        f"soc-tocsin-{n}" for n in ("normalizer", "context", "intel", "triage", "after")
    }
    assert set(by_cpu) == {"soc-tocsin-ingestor"}
    for name, deployment in of_kind(full, "Deployment").items():
        scaled = name in by_queue or name in by_cpu
        assert ("replicas" not in deployment["spec"]) == scaled
    assert set(of_kind(objects({"autoscaling": {"enabled": True}}), "HorizontalPodAutoscaler")) == {
        *by_queue, *by_cpu
    }  # fmt: skip


def test_the_queue_scaler_asks_the_broker_for_the_queue_of_the_role(full: list[Object]) -> None:
    (access,) = of_kind(full, "TriggerAuthentication").values()
    assert access["spec"]["secretTargetRef"] == [
        {"parameter": "host", "name": "tocsin", "key": "tocsin_broker"}
    ]
    takes = {step.name: step.takes for step in STEPS}
    for name, found in of_kind(full, "ScaledObject").items():
        spec = found["spec"]
        assert spec["scaleTargetRef"]["name"] == name
        assert spec["minReplicaCount"] <= spec["maxReplicaCount"]
        (trigger,) = spec["triggers"]
        assert trigger["type"] == "rabbitmq"
        assert trigger["authenticationRef"]["name"] == access["metadata"]["name"]
        step = ROLES[name.rpartition("-")[2]].step
        assert trigger["metadata"] == {
            "protocol": "amqp", "queueName": takes[step or ""], "mode": "QueueLength", "value": "20"
        }  # fmt: skip


def test_the_chained_values_run_all_steps_in_each_worker() -> None:
    made = of_kind(objects(CHAINED), "Deployment")
    names = ("console", "ingestor", "llm", "worker")
    assert set(made) == {f"soc-tocsin-{name}" for name in names}
    (container,) = made["soc-tocsin-worker"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["serve", "normalizer", "context", "intel", "triage", "after"]


@pytest.mark.parametrize("name", ["tocsin", "x" * 53])
def test_every_name_fits_whatever_the_release_is_called(name: str) -> None:
    made = objects(EVERYTHING, name)
    assert max(len(found["metadata"]["name"]) for found in made) <= 63


def test_the_notes_say_what_was_installed_and_the_command_in_them_is_real() -> None:
    notes = rendered({})["manifests"]["tocsin/templates/NOTES.txt"]
    for role in ROLES.values():
        assert f":{role.port} " in notes
    command = next(line for line in notes.splitlines() if " -- tocsin " in line)
    reading.assert_command(command.partition(" -- tocsin ")[2].split())


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    image = reading.compose()["services"]["console"]["image"]
    assert image == f"tocsin:{__version__}"
