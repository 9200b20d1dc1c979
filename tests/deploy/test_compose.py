"""The services of Compose and their secret files: valid, real, hardened, and started for once."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.deploy import reading
from tests.deploy.reading import DEPLOY
from tests.postgres import Postgres, free_port
from tests.rabbitmq import RabbitMQ
from tests.servers import ROOT, tocsin

from tocsin.cli.serve import ROLES
from tocsin.settings import load

SERVICES = {
    "alert-ingestor": "ingestor",
    "alert-normalizer": "normalizer",
    "context-collector": "context",
    "threat-intel-aggregator": "intel",
    "llm-router": "llm",
    "ai-triage-agent": "triage",
    "incident-builder": "after",
    "console": "console",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return reading.compose()


# --- Compose -------------------------------------------------------------------------------------


def test_the_services_are_valid_by_the_specification_of_compose() -> None:
    checker = reading.tool("check-jsonschema")
    done = reading.run(checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_yaml_of_deployment_has_no_doubled_keys_and_one_style() -> None:
    rules = (
        "{extends: default, rules: {line-length: {max: 140}, document-start: disable, "
        "braces: {max-spaces-inside: 1}}}"
    )
    chart = DEPLOY / "helm" / "tocsin"
    files = (DEPLOY / "compose.yaml", *chart.glob("*.yaml"))
    done = reading.run(reading.tool("yamllint"), "--strict", "-d", rules, *files)
    assert done.returncode == 0, done.stdout


def test_the_services_have_the_names_ports_and_roles_that_were_asked_for(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    assert {"postgres", "rabbitmq", "worker", "database-upgrade", *SERVICES} == set(services)
    for name, role in SERVICES.items():
        port = ROLES[role].port
        assert services[name]["command"] == ["serve", role]
        assert services[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert services[name]["environment"]["TOCSIN_PORT"] == str(port)
        assert "profiles" not in services[name]
    assert services["postgres"]["environment"]["POSTGRES_DB"] == "security_triage"
    assert services["postgres"]["environment"]["POSTGRES_USER"] == "triage_user"
    assert "ports" not in services["worker"], "what publishes a port cannot be scaled"
    for service in services.values():
        if str(service["image"]).startswith("tocsin"):
            reading.assert_command(service["command"])


def test_the_services_give_only_settings_that_exist_and_work(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [*SERVICES, "worker", "database-upgrade"]:
        given = compose["services"][name]["environment"]
        assert set(given) <= reading.settings_names(), name
        with monkeypatch.context() as patch:
            for variable, value in given.items():
                patch.setenv(variable, value)
            patch.setenv("TOCSIN_SECRETS", str(tmp_path))
            settings = load()
        assert settings.port == int(given.get("TOCSIN_PORT", settings.port))


def test_no_service_can_gain_privileges_write_its_image_or_use_up_the_machine(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] not in ("root", "0"), name
        assert {"cpus", "memory", "pids"} == set(service["deploy"]["resources"]["limits"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert name == "database-upgrade" or service["restart"] == "unless-stopped"
    assert compose["networks"]["inside"]["internal"] is True
    for name in ("postgres", "rabbitmq"):
        assert compose["services"][name]["networks"] == ["inside"]


def test_what_a_service_waits_for_and_mounts_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for other, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert not healthy or "healthcheck" in compose["services"][other], (name, other)
        secrets = [s if isinstance(s, str) else s["source"] for s in service.get("secrets", [])]
        assert set(secrets) <= set(compose["secrets"]), name
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(compose["volumes"]), name


def test_who_gives_out_bundles_signs_with_one_key_that_outlives_a_container(
    compose: dict[str, Any],
) -> None:
    signing = {
        name
        for name, service in compose["services"].items()
        if any(
            role in ROLES and ROLES[role].alert_routes for role in service.get("command", [])[1:]
        )
    }
    assert signing == {"alert-ingestor", "console"}
    for name in signing:
        service = compose["services"][name]
        assert service["volumes"] == ["signing:/data"]
        assert not any(place.startswith("/data") for place in service["tmpfs"])


# --- secret files --------------------------------------------------------------------------------


def test_the_secrets_script_pleases_its_linter() -> None:
    done = reading.run(reading.tool("shellcheck"), DEPLOY / "make-secrets.sh")
    assert done.returncode == 0, done.stdout


def test_the_secret_files_are_made_once_and_agree_with_each_other(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    made = reading.run("sh", DEPLOY / "make-secrets.sh", folder)
    assert made.returncode == 0, made.stderr
    files = {path.name: path.read_text() for path in folder.iterdir()}
    needed = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert needed <= set(files)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in folder.iterdir())

    monkeypatch.setenv("TOCSIN_SECRETS", str(folder))
    settings = load()
    password = files["postgres_password"]
    assert settings.database == f"postgresql://triage_user:{password}@postgres:5432/security_triage"
    assert settings.broker == f"amqp://triage_user:{files['rabbitmq_password']}@rabbitmq:5672/"
    assert settings.audit_key.get_secret_value() == files["tocsin_audit_key"]
    assert f"default_pass = {files['rabbitmq_password']}\n" in files["rabbitmq.conf"]

    again = reading.run("sh", DEPLOY / "make-secrets.sh", folder)
    assert again.returncode == 0, again.stderr
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


def test_a_process_takes_its_database_from_a_secret_file(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "tocsin_database").write_text(f"sqlite:///{tmp_path}/from-secret.db\n")
    done = tocsin(tmp_path, "db", "upgrade", secrets=str(secrets))
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "from-secret.db").exists()
    assert not (tmp_path / "tocsin.db").exists()


def test_a_credential_that_systemd_fills_with_a_blank_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tocsin_audit_key").write_text(" ")
    monkeypatch.setenv("TOCSIN_SECRETS", str(tmp_path))
    assert load().audit_key.get_secret_value() == ""


def test_yaml_is_read_the_same_way_with_the_variables_of_compose_given() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    given = {"TOCSIN_IMAGE": "registry.example.com/tocsin:1", "TOCSIN_LOG_LEVEL": "debug"}
    found = yaml.safe_load(reading.interpolate(text, given))
    assert found["services"]["worker"]["image"] == given["TOCSIN_IMAGE"]
    assert found["services"]["worker"]["environment"]["TOCSIN_LOG_LEVEL"] == "debug"


# --- the same processes, on the servers of this machine -------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path, postgres_server: Postgres, rabbit_server: RabbitMQ) -> Iterator[Path]:
    """Secret files as the script makes them, for servers at other addresses."""
    folder = tmp_path / "secrets"
    assert reading.run("sh", DEPLOY / "make-secrets.sh", folder).returncode == 0
    postgres_server.create("compose")
    broker = rabbit_server.create("compose")
    database = (folder / "tocsin_database").read_text()
    for name, text in {
        "tocsin_broker": broker,
        "tocsin_database": database.replace(
            "@postgres:5432/security_triage", f"@127.0.0.1:{postgres_server.port}/compose"
        ),
    }.items():
        (folder / name).chmod(0o644)
        (folder / name).write_text(text)
    yield folder
    postgres_server.drop("compose")
    rabbit_server.drop("compose")


def environment(service: dict[str, Any], secrets: Path, data: Path) -> dict[str, str]:
    """What the container would have, at a free port of the loopback address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return {
        **kept,
        **service["environment"],
        "TOCSIN_SECRETS": str(secrets),
        "TOCSIN_PORT": str(free_port()),
        "TOCSIN_DATA": str(data),
        "TOCSIN_CONFIG": str(data / "none.toml"),
    }


def test_the_processes_of_compose_take_an_alert_to_its_verdict_and_drain(
    compose: dict[str, Any], secrets: Path, postgres_server: Postgres, tmp_path: Path
) -> None:
    services = compose["services"]
    upgraded = reading.run(
        sys.executable, "-m", "tocsin", *services["database-upgrade"]["command"], cwd=ROOT,
        env=environment(services["database-upgrade"], secrets, tmp_path),
    )  # fmt: skip
    assert upgraded.returncode == 0, upgraded.stderr
    with ExitStack() as stack:
        running = {}
        for name in ("alert-ingestor", "worker"):
            given = environment(services[name], secrets, tmp_path)
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", *services[name]["command"]],
                env=given, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            stack.callback(process.wait)  # or a test that comes later gets the warning
            stack.callback(process.kill)
            running[name] = (process, given)
        for _, given in running.values():
            wait_until(lambda url: httpx2.get(f"{url}/health").status_code == 200, given)
        _, given = running["alert-ingestor"]
        key = reading.run(
            sys.executable, "-m", "tocsin", "key", "create", "my-siem", "--scope", "ingest",
            cwd=ROOT, env=given,
        ).stdout.strip()  # fmt: skip
        answer = httpx2.post(
            f"http://127.0.0.1:{given['TOCSIN_PORT']}/api/v1/alerts",
            json={"title": "Beacon", "severity": "high", "source_ip": "192.0.2.7"},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 202, answer.text
        alert_id = answer.json()["alerts"][0]["alert_id"]
        found = f"SELECT count(*) FROM triage_results WHERE alert_id = '{alert_id}'"
        wait_until(lambda _: postgres_server.sql(found, "compose") == "1", given)
        for process, _ in running.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(timeout=60) for process, _ in running.values()] == [0, 0]


def wait_until(true: Any, given: dict[str, str], seconds: float = 60) -> None:
    """Ask again until it is so; a server that does not answer yet is asked again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if true(f"http://127.0.0.1:{given['TOCSIN_PORT']}"):
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")
