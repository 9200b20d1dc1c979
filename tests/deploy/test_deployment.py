"""The image and the systemd units, by their own tools and by running what they say."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.deploy import reading
from tests.deploy.reading import DEPLOY
from tests.postgres import free_port
from tests.servers import ROOT, Server, environment

from tocsin import __version__
from tocsin.cli.serve import ROLES
from tocsin.settings import Settings

UNITS = (DEPLOY / "systemd" / "tocsin.service", DEPLOY / "systemd" / "tocsin@.service")
MOST_EXPOSED = 15  # of 100, by systemd's own measure


@pytest.fixture(scope="module")
def image() -> list[tuple[str, str]]:
    return reading.instructions((DEPLOY / "Dockerfile").read_text())


def last_stage(image: list[tuple[str, str]]) -> list[tuple[str, str]]:
    start = max(place for place, (name, _) in enumerate(image) if name == "FROM")
    return image[start:]


def variables(image: list[tuple[str, str]]) -> dict[str, str]:
    words = [shlex.split(rest) for name, rest in last_stage(image) if name == "ENV"]
    return dict(word.split("=", 1) for line in words for word in line)


# --- the image -----------------------------------------------------------------------------------


def test_the_dockerfile_pleases_its_linter() -> None:
    done = reading.run(reading.tool("hadolint"), DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_image_runs_as_a_numeric_account_without_privileges(
    image: list[tuple[str, str]],
) -> None:
    users = [rest for name, rest in last_stage(image) if name == "USER"]
    assert users == ["10001:10001"]


def test_the_last_stage_installs_nothing(image: list[tuple[str, str]]) -> None:
    commands = " ".join(rest for name, rest in last_stage(image) if name == "RUN")
    assert "uninstall --yes --quiet --root-user-action=ignore wheel setuptools pip" in commands
    for word in ("apt-get", "gcc", "pip install", "curl", "wget"):
        assert word not in commands


def test_everything_that_the_image_downloads_is_locked_by_hash(
    image: list[tuple[str, str]],
) -> None:
    commands = " && ".join(rest for name, rest in image if name == "RUN").split("&&")
    for command in (c for c in commands if " -r " in c):
        assert "--require-hashes" in command
    for command in (c for c in commands if "pip install" in c or "pip wheel" in c):
        assert " -r " in command or "--no-deps" in command, command


@pytest.mark.parametrize(
    ("lock", "project"),
    [("requirements/base.txt", "dependencies"), ("deploy/build.txt", "build-system")],
)
def test_the_locks_hold_everything_that_the_project_asks_for(lock: str, project: str) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = (
        declared["build-system"]["requires"]
        if project == "build-system"
        else declared["project"]["dependencies"]
    )
    pinned = {}
    for line in (ROOT / lock).read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            one = Requirement(line.rstrip(" \\"))
            pinned[canonicalize_name(one.name)] = next(iter(one.specifier)).version
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name), "")
        assert version, f"{requirement.name} is not in {lock}: make lock"
        assert requirement.specifier.contains(version), f"{requirement} in {lock}: make lock"


def test_what_the_image_copies_is_let_into_the_build(image: list[tuple[str, str]]) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word
        for name, rest in image
        if name == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }
    assert "*" in lines
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_knows_only_real_settings_ports_and_commands(
    image: list[tuple[str, str]],
) -> None:
    given = {name for name in variables(image) if name.startswith("TOCSIN_")}
    assert given <= reading.settings_names()
    stage = dict(last_stage(image))
    assert stage["EXPOSE"].split() == [str(port) for port in sorted(r.port for r in ROLES.values())]
    assert json.loads(stage["ENTRYPOINT"]) == ["tocsin"]
    reading.assert_command(json.loads(stage["CMD"]))
    labels = stage["LABEL"]
    assert all(f"org.opencontainers.image.{name}=" in labels for name in ("licenses", "version"))
    assert f"ARG VERSION={__version__}" in (DEPLOY / "Dockerfile").read_text()


def test_the_health_check_of_the_image_tells_a_live_server_from_a_dead_one(
    image: list[tuple[str, str]], server: Server
) -> None:
    check = next(rest for name, rest in last_stage(image) if name == "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"
    for port, code in ((server.url.rpartition(":")[2], 0), (str(free_port()), 1)):
        done = reading.run(
            sys.executable, *command[1:], env={**os.environ, "TOCSIN_PORT": port, "http_proxy": "x"}
        )
        assert done.returncode == code, done.stderr


# --- systemd -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_units_and_finds_them_hardened(path: Path, tmp_path: Path) -> None:
    analyze = reading.tool("systemd-analyze")
    text = path.read_text().replace("/opt/tocsin/bin/tocsin", sys.executable)  # must exist
    (tmp_path / path.name).write_text(text)
    name = tmp_path / path.name.replace("@.", "@ingestor.")
    verified = reading.run(analyze, "verify", "--man=no", "--recursive-errors=no", name)
    assert verified.returncode == 0, verified.stderr
    assert path.name not in verified.stderr
    measured = reading.run(
        analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", tmp_path / path.name
    )
    assert measured.returncode == 0, measured.stdout[-300:] + measured.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_units_know_only_real_settings_and_commands(path: Path) -> None:
    said = reading.unit(path)
    given = dict(value.split("=", 1) for name, value in said if name == "Environment")
    assert {name for name in given if name.startswith("TOCSIN_")} <= reading.settings_names()
    credentials = [value.partition(":")[0] for name, value in said if name == "LoadCredential"]
    assert {name.upper() for name in credentials} <= reading.settings_names()
    command = dict(said)["ExecStart"].split()
    assert command[0] == "/opt/tocsin/bin/tocsin"
    for roles in (["ingestor"], ["normalizer", "context", "intel", "triage"]):
        words = [roles if word == "$ROLES" else [word] for word in command[1:]]
        reading.assert_command([word for group in words for word in group])


def test_the_unit_of_one_process_starts_answers_and_drains(tmp_path: Path) -> None:
    said = reading.unit(UNITS[0])
    state, data = tmp_path / "state", tmp_path / "state" / "tocsin"
    data.mkdir(parents=True)
    given = dict(value.split("=", 1) for name, value in said if name == "Environment")
    expanded = {
        name: value.replace("%S", str(state)).replace("%E", str(tmp_path / "etc"))
        for name, value in given.items()
    }
    command = dict(said)["ExecStart"].split()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tocsin", *command[1:]],
            env={**environment(data), **expanded, "TOCSIN_PORT": "0"},
            cwd=data, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        end = time.monotonic() + 30
        while not (data / "server.json").exists() and time.monotonic() < end:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        assert stat.S_IMODE((data / "first.key").stat().st_mode) == 0o600
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(json.loads(line)["event"] for line in lines), "logs are JSON"


# --- what all of them share -----------------------------------------------------------------------


def test_whoever_stops_a_process_waits_longer_than_it_may_drain() -> None:
    longest = 3 * Settings().drain_timeout  # requests, commits and batches get it each
    for path in UNITS:
        assert int(dict(reading.unit(path))["TimeoutStopSec"]) > longest
    for name, service in reading.compose()["services"].items():
        grace = int(str(service["stop_grace_period"]).removesuffix("s"))
        assert grace > longest or name in ("postgres", "rabbitmq")


def test_the_page_about_deployment_names_real_variables_roles_and_ports() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    variables = set(re.findall(r"TOCSIN_[A-Z_]*[A-Z]", page)) - {"TOCSIN_IMAGE"}
    assert variables <= reading.settings_names()
    said = dict(re.findall(r"`(\w+)`\s\((\d{4})\)", page))
    assert said == {name: str(role.port) for name, role in ROLES.items()}
    for words in re.findall(r"tocsin ((?:key|db|serve) [\w -]+)", page):
        command = words.split(" --")[0].strip()
        if command != "db retention":  # it needs an age, which the page leaves to the reader
            reading.assert_command(command.split())
