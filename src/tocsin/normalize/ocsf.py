"""An alert as an OCSF Detection Finding (class 2004)."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from tocsin.knowledge.canonical import split_url
from tocsin.model import Alert, Endpoint, ObservableType, ParentProcess, Process, Severity

VERSION = "1.3.0"
CLASS_UID = 2004
CATEGORY_UID = 2
CREATE = 1
SEVERITIES: Mapping[Severity | None, tuple[int, str]] = MappingProxyType(
    {
        None: (0, "Unknown"),
        Severity.INFO: (1, "Informational"),
        Severity.LOW: (2, "Low"),
        Severity.MEDIUM: (3, "Medium"),
        Severity.HIGH: (4, "High"),
        Severity.CRITICAL: (5, "Critical"),
    }
)
OBSERVABLES: Mapping[ObservableType, tuple[int, str]] = MappingProxyType(
    {
        ObservableType.DOMAIN: (1, "Hostname"),
        ObservableType.IP: (2, "IP Address"),
        ObservableType.EMAIL: (5, "Email Address"),
        ObservableType.URL: (6, "URL String"),
        ObservableType.HASH: (8, "File Hash"),
        ObservableType.CIDR: (12, "Subnet"),
    }
)
_HASHES = (("md5", 1, "MD5"), ("sha1", 2, "SHA-1"), ("sha256", 3, "SHA-256"))


def to_ocsf(
    alert: Alert,
    *,
    alert_id: str,
    received_at: datetime,
    source: str | None = None,
    original: str | None = None,
) -> dict[str, Any]:
    """The alert as the creation of a finding; empty fields are left out.

    `time` is the event's own time where it has one, else that of receipt, in milliseconds.
    """
    severity_id, severity = SEVERITIES[alert.event.severity]
    received = _milliseconds(received_at)
    event_time = alert.event.time
    return _filled(
        {
            "activity_id": CREATE,
            "activity_name": "Create",
            "category_uid": CATEGORY_UID,
            "category_name": "Findings",
            "class_uid": CLASS_UID,
            "class_name": "Detection Finding",
            "type_uid": CLASS_UID * 100 + CREATE,
            "severity_id": severity_id,
            "severity": severity,
            "status_id": 1,
            "status": "New",
            "is_alert": True,
            "time": received if event_time is None else _milliseconds(event_time),
            "message": alert.title,
            "count": alert.event.count,
            "metadata": {
                "version": VERSION,
                "uid": alert_id,
                "logged_time": received,
                "log_name": source,
                "original_time": None if event_time is None else event_time.isoformat(),
                "product": {
                    "name": alert.event.module or source or "unknown",
                    "vendor_name": alert.event.provider or "unknown",
                },
                "labels": list(alert.tags),
            },
            "finding_info": {
                "uid": alert.event.id or alert_id,
                "title": alert.title,
                "desc": alert.description,
                "types": [alert.event.category] if alert.event.category else None,
                "created_time": None if event_time is None else _milliseconds(event_time),
                "attacks": _attacks(alert),
                "analytic": _analytic(alert),
                "src_url": alert.rule.reference,
            },
            "observables": [
                {
                    "name": observable.role.value,
                    "type_id": OBSERVABLES[observable.type][0],
                    "type": OBSERVABLES[observable.type][1],
                    "value": observable.value,
                }
                for observable in alert.observables
            ],
            "evidences": [evidence] if (evidence := _evidence(alert)) else None,
            "resources": _resources(alert),
            "raw_data": original,
        }
    )


def _attacks(alert: Alert) -> list[dict[str, Any]]:
    """One entry per technique; tactics stand with the only technique or on their own."""
    techniques = []
    for name in alert.threat.techniques:
        whole, _, sub = name.partition(".")
        entry: dict[str, Any] = {"technique": {"uid": whole}}
        if sub:
            entry["sub_technique"] = {"uid": name}
        techniques.append(entry)
    tactics = [{"tactic": {"uid": name}} for name in alert.threat.tactics]
    if len(techniques) == 1 and len(tactics) == 1:
        return [{**tactics[0], **techniques[0]}]
    return [*tactics, *techniques]


def _analytic(alert: Alert) -> dict[str, Any] | None:
    if alert.rule.id is None and alert.rule.name is None:
        return None
    return {
        "uid": alert.rule.id,
        "name": alert.rule.name,
        "category": alert.rule.category,
        "type_id": 1,
        "type": "Rule",
    }


def _evidence(alert: Alert) -> dict[str, Any]:
    user = {
        "name": alert.user.name,
        "uid": alert.user.id,
        "domain": alert.user.domain,
        "email_addr": alert.user.email,
    }
    process = _process(alert)
    url = None
    if alert.url is not None:
        parts = split_url(alert.url)
        url = {"url_string": alert.url, "hostname": parts[1] if parts else None}
    return _filled(
        {
            "actor": {"user": user, "process": process},
            "src_endpoint": _endpoint(alert.source),
            "dst_endpoint": _endpoint(alert.destination),
            "device": _device(alert),
            "connection_info": {"protocol_name": alert.network.transport},
            "process": process,
            "file": _file(alert),
            "query": {"hostname": alert.dns.question, "type": alert.dns.type},
            "url": url,
            "email": {
                "from": alert.email.sender,
                "to": list(alert.email.recipients),
                "subject": alert.email.subject,
                "message_uid": alert.email.message_id,
            },
            "http_request": {
                "http_method": alert.http.method,
                "user_agent": alert.http.user_agent,
                "referrer": alert.http.referrer,
            },
            "http_response": {"code": alert.http.status},
            "api": {"operation": alert.event.action} if alert.cloud.provider else None,
        }
    )


def _endpoint(side: Endpoint) -> dict[str, Any]:
    return {"ip": side.ip, "port": side.port, "hostname": side.domain, "mac": side.mac}


def _device(alert: Alert) -> dict[str, Any] | None:
    host = alert.host
    if host.name is None and host.id is None and host.ip is None:
        return None
    return {
        "hostname": host.name,
        "uid": host.id,
        "ip": host.ip,
        "type_id": 0,
        "os": {"name": host.os, "type_id": 0} if host.os else None,
    }


def _process(alert: Alert) -> dict[str, Any]:
    return {**_one_process(alert.process), "parent_process": _one_process(alert.process.parent)}


def _one_process(process: Process | ParentProcess) -> dict[str, Any]:
    executable = process.executable
    file = {"path": executable, "name": process.name or executable, "type_id": 1}
    return {
        "name": process.name,
        "pid": process.pid,
        "cmd_line": process.command_line,
        "file": file if executable is not None else None,
    }


def _file(alert: Alert) -> dict[str, Any] | None:
    file = alert.file
    hashes = [
        {"algorithm_id": number, "algorithm": algorithm, "value": value}
        for name, number, algorithm in _HASHES
        if (value := getattr(file.hash, name)) is not None
    ]
    name = file.name or file.path
    if name is None and not hashes:
        return None
    return {"name": name or hashes[0]["value"], "path": file.path, "type_id": 1, "hashes": hashes}


def _resources(alert: Alert) -> list[dict[str, Any]] | None:
    cloud = alert.cloud
    if alert.host.id is None and cloud.instance is None:
        return None
    return [
        {
            "uid": alert.host.id or cloud.instance,
            "name": alert.host.name,
            "region": cloud.region,
            "cloud_partition": cloud.provider,
        }
    ]


def _filled(record: dict[str, Any]) -> dict[str, Any]:
    """The record without empty values, at every depth."""
    filled: dict[str, Any] = {}
    for name, value in record.items():
        kept = _filled(value) if isinstance(value, dict) else value
        if isinstance(kept, list):
            kept = [_filled(item) if isinstance(item, dict) else item for item in kept]
        if kept is not None and kept not in ({}, []):
            filled[name] = kept
    return filled


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
