"""An alert as a nested Elastic Common Schema document."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from tocsin.knowledge.canonical import ip_address, split_url
from tocsin.model import Alert, ObservableType, Severity

VERSION = "8.17.0"
# ECS leaves the numbers of event.severity to the source; these are the ones of Elastic's rules.
SEVERITY_NUMBERS: Mapping[Severity, int] = MappingProxyType(
    {
        Severity.CRITICAL: 99,
        Severity.HIGH: 73,
        Severity.MEDIUM: 47,
        Severity.LOW: 21,
        Severity.INFO: 1,
    }
)


def to_ecs(
    alert: Alert,
    *,
    alert_id: str | None = None,
    source: str | None = None,
    received_at: datetime | None = None,
    original: str | None = None,
) -> dict[str, Any]:
    """The alert with ECS names; empty fields are left out.

    `alert_id` and `source` become `event.id` (when the source gave none) and `event.dataset`,
    `received_at` becomes `event.ingested`, and the payload, if given, `event.original`.
    """
    document: dict[str, Any] = {}
    for path, value in _fields(alert):
        _put(document, path, value)
    event = document.setdefault("event", {})
    event["kind"] = "alert"
    if "id" not in event and alert_id is not None:
        event["id"] = alert_id
    for name, value in (
        ("dataset", source),
        ("ingested", None if received_at is None else received_at.isoformat()),
        ("original", original),
    ):
        if value is not None:
            event[name] = value
    if alert_id is not None:
        document["tocsin"] = {"alert_id": alert_id}
    if related := _related(alert):
        document["related"] = related
    time = alert.event.time or received_at
    if time is not None:
        document["@timestamp"] = time.isoformat()
    document["ecs"] = {"version": VERSION}
    return document


def _fields(alert: Alert) -> Iterator[tuple[str, Any]]:
    event, rule, host, user = alert.event, alert.rule, alert.host, alert.user
    yield "message", alert.title
    yield "event.reason", alert.description
    yield "event.id", event.id
    yield "event.module", event.module
    yield "event.provider", event.provider
    yield "event.category", event.category
    yield "event.type", event.type
    yield "event.action", event.action
    yield "event.outcome", event.outcome
    yield "event.severity", None if event.severity is None else SEVERITY_NUMBERS[event.severity]
    yield "log.level", None if event.severity is None else event.severity.value
    yield "rule.id", rule.id
    yield "rule.name", rule.name
    yield "rule.category", rule.category
    yield "rule.reference", rule.reference
    yield "threat.framework", "MITRE ATT&CK" if alert.threat != type(alert.threat)() else None
    yield "threat.tactic.id", list(alert.threat.tactics)
    yield "threat.technique.id", [name for name in alert.threat.techniques if "." not in name]
    yield "threat.technique.subtechnique.id", [n for n in alert.threat.techniques if "." in n]
    for name, side in (("source", alert.source), ("destination", alert.destination)):
        yield f"{name}.address", side.ip or side.domain
        yield f"{name}.ip", side.ip
        yield f"{name}.port", side.port
        yield f"{name}.domain", side.domain
        yield f"{name}.mac", side.mac
        yield f"{name}.bytes", side.bytes
    yield "host.name", host.name
    yield "host.id", host.id
    yield "host.ip", [host.ip] if host.ip else None
    yield "host.os.name", host.os
    yield "user.name", user.name
    yield "user.domain", user.domain
    yield "user.id", user.id
    yield "user.email", user.email
    yield from _process_and_file(alert)
    yield from _protocols(alert)
    yield "tags", list(alert.tags)


def _process_and_file(alert: Alert) -> Iterator[tuple[str, Any]]:
    process, file = alert.process, alert.file
    for name, one in (("process", process), ("process.parent", process.parent)):
        yield f"{name}.name", one.name
        yield f"{name}.executable", one.executable
        yield f"{name}.command_line", one.command_line
        yield f"{name}.pid", one.pid
    yield "file.name", file.name
    yield "file.path", file.path
    yield "file.hash.md5", file.hash.md5
    yield "file.hash.sha1", file.hash.sha1
    yield "file.hash.sha256", file.hash.sha256
    yield "registry.path", alert.registry.path
    yield "registry.data.strings", [alert.registry.value] if alert.registry.value else None


def _protocols(alert: Alert) -> Iterator[tuple[str, Any]]:
    if alert.url is not None:
        yield "url.original", alert.url
        parts = split_url(alert.url)
        if parts is not None:
            yield "url.scheme", parts[0]
            yield "url.domain", parts[1]
            yield "url.port", int(parts[2][1:]) if parts[2] else None
            yield "url.path", parts[3].partition("?")[0]
            yield "url.query", parts[3].partition("?")[2] or None
    yield "dns.question.name", alert.dns.question
    yield "dns.question.type", alert.dns.type
    email = alert.email
    yield "email.from.address", [email.sender] if email.sender else None
    yield "email.to.address", list(email.recipients)
    yield "email.subject", email.subject
    yield "email.message_id", email.message_id
    yield "http.request.method", alert.http.method
    yield "http.request.referrer", alert.http.referrer
    yield "http.response.status_code", alert.http.status
    yield "user_agent.original", alert.http.user_agent
    yield "network.transport", alert.network.transport
    yield "network.protocol", alert.network.protocol
    yield "network.bytes", alert.network.bytes
    cloud = alert.cloud
    yield "cloud.provider", cloud.provider
    yield "cloud.account.id", cloud.account
    yield "cloud.region", cloud.region
    yield "cloud.service.name", cloud.service
    yield "cloud.instance.id", cloud.instance


def _related(alert: Alert) -> dict[str, list[str]]:
    """ECS `related.*`: every address, hash, user and host of the alert in one place each."""
    of_type: dict[ObservableType, list[str | None]] = {kind: [] for kind in ObservableType}
    for observable in alert.observables:
        of_type[observable.type].append(observable.value)
    source, destination, host, user = alert.source, alert.destination, alert.host, alert.user
    hosts = (host.name, source.domain, destination.domain)
    groups: dict[str, list[str | None]] = {
        "ip": [*of_type[ObservableType.IP], source.ip, destination.ip, host.ip],
        "hash": of_type[ObservableType.HASH],
        "user": [user.name, user.id, user.email],
        "hosts": [*of_type[ObservableType.DOMAIN], *(h for h in hosts if h and not ip_address(h))],
    }
    return {
        name: list(dict.fromkeys(value for value in values if value is not None))
        for name, values in groups.items()
        if any(value is not None for value in values)
    }


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    if value is None or value == []:
        return
    *parents, last = path.split(".")
    node = document
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
