"""Every route that the interface describes: who may call it, and what hostile names do to it."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pytest
from tests.servers import Server, serving, tocsin

OPEN = {"/health", "/live", "/ready", "/metrics"}
SCOPES = ("ingest", "read", "write", "admin", "model")
# Who may call a route beside those who hold the scope admin; other GETs read, others write.
ELSEWISE = {
    ("post", "/api/v1/alerts"): "ingest",
    ("put", "/api/v1/autoclose"): "admin",
    ("post", "/api/v1/autoclose/enable"): "admin",
    ("post", "/api/v1/models/{version}/use"): "admin",
    ("post", "/v1/chat/completions"): "model",
    ("get", "/v1/models"): "model",
}
HOSTILE = (
    *("%00", "a%00b", "%ED%A0%80", "%ff%fe", "..%2f..%2fetc%2fpasswd", "%7B%7D%25s"),
    *("%27%20OR%201%3D1--", "x" * 3000, "%1b%5b31m", "%E2%80%AE", "%22%3Cscript%3E"),
)
BODIES: tuple[bytes | None, ...] = (
    *(None, b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"reason":"\\ud800"}'),
    b'{"reason":"a\\u0000b","digest":"\\u0000","alerts":["\\u0000"],"incident_id":"\\u0000"}',
    b'{"reason":"r","alerts":["\\u0000"]}',
    b'{"reason":"r","incident_id":"\\u0000"}',
    b'{"reason":"r","assigned_to":"\\u0000"}',
    b'{"reason":"r","digest":"\\u0000"}',
)
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    provider = {"name": "far", "url": "http://127.0.0.1:9/v1", "model": "m", "timeout": 0.5}
    more = {"llm_providers": json.dumps([provider]), "llm_deadline": "1"}
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
        more["database"] = postgres.create("every_route")
    with serving(tmp_path_factory.mktemp("routes"), **more) as running:
        yield running
    if request.param == "postgresql":
        postgres.drop("every_route")


@pytest.fixture(scope="module")
def operations(server: Server) -> list[Operation]:
    with server.client() as client:
        paths = client.get("/api/openapi.json").json()["paths"]
    found = [(method, path, told) for path, all_ in paths.items() for method, told in all_.items()]
    assert len(found) > 40
    return found


@pytest.fixture(scope="module")
def incident(server: Server) -> str:
    """An incident that stands, so that bodies are looked at and not the name alone."""
    attack = {"title": "Malware beacon", "severity": "high", "host_name": "ws-1"}
    with server.client() as client:
        alerts = [{**attack, "rule_id": f"R-{number}"} for number in range(5)]
        assert client.post("/api/v1/alerts", json=alerts).status_code == 202
        for _ in range(300):
            if found := client.get("/api/v1/incidents").json()["incidents"]:
                return str(found[0]["incident_id"])
    raise AssertionError("the alerts became no incident")


def answers(
    client: httpx2.Client, operation: Operation, name: str, bodies: Sequence[bytes | None]
) -> Iterator[httpx2.Response]:
    """All that a route says to a name in its path and in each of its parameters, and to bodies."""
    method, path, told = operation
    given = told.get("parameters", [])
    for parameter in given:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", name)
    for body in bodies if "requestBody" in told else bodies[:1]:
        yield client.request(
            method, path, content=body, headers={"Content-Type": "application/json"}
        )
    for parameter in given:
        if parameter["in"] == "query":
            yield client.request(method, f"{path}?{parameter['name']}={name}")


def test_no_name_and_no_body_breaks_a_route(
    server: Server, operations: list[Operation], incident: str
) -> None:
    broken = []
    with server.client() as client:
        for operation in operations:
            if operation[1] in OPEN:
                continue
            for name in (*HOSTILE, incident):
                said = answers(client, operation, name, BODIES if name == incident else BODIES[:1])
                statuses = [answer.status_code for answer in said]
                if any(status >= 500 and status != 503 for status in statuses):
                    broken.append((*operation[:2], name[:40], statuses))
        assert client.get("/health").status_code == 200, "the models are away, nothing else is"
    assert not broken
    assert "request.failed" not in server.log.read_text()


CURSORS = (
    '["received_at","2026-01-01T00:00:00+00:00","a\\u0000b"]',
    '["received_at","2026-01-01T00:00:00","a"]',
    '["received_at",1e400,"a"]',
    '["risk_score","nan","a"]',
    '["2026-01-01T00:00:00+00:00","a\\u0000b"]',
    '["2026-01-01T00:00:00","a"]',
    "[]", "null", "\0", "[" * 10_000,
)  # fmt: skip


@pytest.mark.parametrize("kind", ["alerts", "incidents", "remediation"])
@pytest.mark.parametrize("made", CURSORS)
def test_a_cursor_that_no_list_gave_out_is_refused(server: Server, kind: str, made: str) -> None:
    cursor = base64.urlsafe_b64encode(made.encode()).decode()
    with server.client() as client:
        for sort in ("received_at", "risk_score"):
            sorts = {"sort": sort} if kind == "alerts" else {}
            answer = client.get(f"/api/v1/{kind}", params={"cursor": cursor, **sorts})
            assert answer.status_code == 422, answer.text
            assert answer.json()["reason"] == "input"


def test_every_route_needs_a_key_with_its_scope(
    server: Server, operations: list[Operation]
) -> None:
    keys = {}
    for scope in SCOPES:
        made = tocsin(server.data, "key", "create", scope, "--scope", scope, **server.settings)
        assert made.returncode == 0, made.stderr
        keys[scope] = made.stdout.decode().strip()
    wrong = []
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        for method, path, _ in operations:
            if path in OPEN:
                continue
            url = path.replace("{", "no-such-").replace("}", "")
            known = ELSEWISE.get((method, path), "read" if method == "get" else "write")
            for scope, key in {**keys, "": "", "nobody": "x" * 43}.items():
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                status = client.request(method, url, headers=headers).status_code
                barred = {"": 401, "nobody": 401}.get(scope, 403)
                if (status != barred) is not (scope in (known, "admin")):
                    wrong.append((method, path, scope, status))
    assert not wrong
