"""Dossiers as rows and back: the only place that knows which field stands in which column."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from tocsin.errors import DataQualityError
from tocsin.model import (
    Action,
    Alert,
    AlertStatus,
    AssetContext,
    ContextType,
    Disposition,
    Dossier,
    Evidence,
    Fact,
    Gap,
    Inputs,
    Link,
    NetworkContext,
    Observable,
    RiskLevel,
    Sighting,
    UserContext,
    Verdict,
    inputs_of,
)
from tocsin.ports import RULE_HOST
from tocsin.store.copying import Row

IOC_LIMIT = 1024
PREVALENCE_LIMIT = 256
EMPTY = "[]"
NUL = b"\\u0000"  # as JSON writes it; a text may also hold these six characters

encoder = msgspec.json.Encoder()
_alerts = msgspec.json.Decoder(Alert)
_gaps = msgspec.json.Decoder(tuple[Gap, ...])
_contexts: msgspec.json.Decoder[NetworkContext | AssetContext | UserContext] = msgspec.json.Decoder(
    NetworkContext | AssetContext | UserContext
)
_sightings = msgspec.json.Decoder(Sighting)
_inputs = msgspec.json.Decoder(Inputs)
_evidence = msgspec.json.Decoder(tuple[Evidence, ...])
_links = msgspec.json.Decoder(tuple[Link, ...])
_actions = msgspec.json.Decoder(tuple[Action, ...])

Stamp = Callable[[datetime], Any]

ALERT_COLUMNS = (
    "event_time",
    "source",
    "alert_type",
    "severity",
    "title",
    "description",
    "source_ip",
    "source_port",
    "destination_ip",
    "destination_port",
    "protocol",
    "user_name",
    "user_id",
    "asset_id",
    "host_name",
    "file_hash",
    "file_name",
    "url",
    "dns_query",
    "rule_id",
    "rule_name",
    "status",
    "risk_score",
    "normalized",
)


def text(value: Any) -> str:
    """A record as JSON text.

    Raises:
        DataQualityError: a text in it has a NUL or a lone surrogate, which no database takes.
    """
    try:
        encoded = encoder.encode(value)
    except UnicodeEncodeError as error:
        raise DataQualityError("not_unicode", "a text holds a lone surrogate") from error
    if NUL in encoded and _holds_nul(msgspec.to_builtins(value)):
        raise DataQualityError("nul", "a text holds the character NUL")
    return encoded.decode()


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(member) for member in value.values())
    return isinstance(value, list | tuple) and any(_holds_nul(member) for member in value)


def ioc_key(value: str) -> str:
    """The value as it stands in `threat_intel.ioc`.

    A value longer than 1,024 bytes (a URL, as a rule) is cut and completed with its SHA-256, so
    that it stays unique and an index can hold it.
    """
    if len(value) <= IOC_LIMIT and (value.isascii() or len(value.encode()) <= IOC_LIMIT):
        return value
    whole = value.encode()
    cut = whole[: IOC_LIMIT - 74].decode(errors="ignore")
    return f"{cut}…sha256:{sha256(whole).hexdigest()}"


class Made(NamedTuple):
    """The rows of a batch, by table; `ends` and `alerts` are changes of rows that are there."""

    alerts: list[Row]
    ends: list[Row]
    contexts: list[Row]
    verdicts: list[Row]
    intel: list[Row]
    prevalence: list[tuple[str, str, str, int]]


def made(
    dossiers: Sequence[Dossier],
    filled: Container[str],
    status_of: Callable[[Dossier], AlertStatus],
    now: Any,
    stamp: Stamp,
) -> Made:
    """The rows of these dossiers for the fields that were filled.

    Raises:
        DataQualityError: a text in one of them cannot be stored.
    """
    alert, verdict, context = "alert" in filled, "verdict" in filled, "context" in filled
    return Made(
        alerts=[alert_row(d, status_of(d), stamp) for d in dossiers] if alert else [],
        ends=[end_row(d, status_of(d)) for d in dossiers] if verdict and not alert else [],
        contexts=context_rows(dossiers) if context else [],
        verdicts=[triage_row(d, now) for d in dossiers] if verdict else [],
        intel=intel_rows(dossiers, stamp) if "intel" in filled else [],
        prevalence=prevalence_rows(dossiers) if context else [],
    )


def alert_row(dossier: Dossier, status: AlertStatus, stamp: Stamp) -> Row:
    """`alert_id` and the columns of `ALERT_COLUMNS`."""
    alert = dossier.alert
    if alert is None:
        raise ValueError("the alert has not been normalised")
    event, file, user, host = alert.event, alert.file, alert.user, alert.host
    return (
        dossier.alert_id,
        None if event.time is None else stamp(event.time),
        dossier.source,
        event.category,
        None if event.severity is None else event.severity.value,
        alert.title,
        alert.description,
        alert.source.ip,
        alert.source.port,
        alert.destination.ip,
        alert.destination.port,
        alert.network.transport or alert.network.protocol,
        user.name,
        user.id,
        host.id,
        host.name,
        file.hash.sha256 or file.hash.sha1 or file.hash.md5,
        file.name,
        alert.url,
        alert.dns.question,
        alert.rule.id,
        alert.rule.name,
        status.value,
        None if dossier.verdict is None else dossier.verdict.risk_score,
        text(alert),
    )


def end_row(dossier: Dossier, status: AlertStatus) -> Row:
    """`alert_id`, the risk that lists are sorted by, and the status of an alert with a verdict."""
    risk = None if dossier.verdict is None else dossier.verdict.risk_score
    return (dossier.alert_id, risk, status.value)


def context_rows(dossiers: Iterable[Dossier]) -> list[Row]:
    """Rows of `alert_context`."""
    return [
        (d.alert_id, fact.context_type.value, text(fact.data), fact.source, fact.confidence)
        for d in dossiers
        for fact in d.context
    ]


def prevalence_rows(dossiers: Iterable[Dossier]) -> list[tuple[str, str, str, int]]:
    """Rows of `prevalence`: one more sighting of each subject on the day of receipt (UTC)."""
    counts: dict[tuple[str, str, str], int] = {}
    for dossier in dossiers:
        day = dossier.received_at.date().isoformat()
        for fact in dossier.context:
            for seen in fact.data.prevalence:
                if seen.subject == RULE_HOST:  # of which only decisions are counted
                    continue
                key = (seen.subject, seen.value[:PREVALENCE_LIMIT], day)
                counts[key] = counts.get(key, 0) + 1
    return sorted((*key, count) for key, count in counts.items())


def intel_rows(dossiers: Iterable[Dossier], stamp: Stamp) -> list[Row]:
    """Rows of `threat_intel`, one per indicator, in the order of their key."""
    seen: dict[tuple[str, str], tuple[Sighting, datetime, datetime, int]] = {}
    for dossier in dossiers:
        at = dossier.received_at
        for sighting in dossier.intel:
            key = (ioc_key(sighting.value), sighting.type.value)
            known = seen.get(key)
            if known is None:
                seen[key] = (sighting, at, at, 1)
            else:
                _, first, last, count = known
                seen[key] = (sighting, min(first, at), max(last, at), count + 1)
    return [
        (
            ioc,
            kind,
            s.threat_level.value,
            s.confidence,
            text(s.sources) if s.sources else EMPTY,
            stamp(first),
            stamp(last),
            count,
            text(s.tags) if s.tags else EMPTY,
            text(s),
        )
        for (ioc, kind), (s, first, last, count) in sorted(seen.items(), key=_first)
    ]


_first = itemgetter(0)


def triage_row(dossier: Dossier, now: Any) -> Row:
    """A row of `triage_results`."""
    verdict = dossier.verdict
    if verdict is None:
        raise ValueError("the alert has no verdict")
    return (
        dossier.alert_id,
        now,
        verdict.verdict.value,
        verdict.probability,
        verdict.impact,
        verdict.risk_score,
        verdict.risk_level.value,
        verdict.confidence,
        verdict.analysis,
        text(verdict.recommended_actions),
        text(verdict.evidence),
        text(dossier.gaps),
        verdict.model_version,
        verdict.requires_human_review,
        None if (inputs := inputs_of(dossier)) is None else text(inputs),
    )


def gaps_of(value: str | None) -> tuple[Gap, ...]:
    """The gaps of a stored row."""
    return _gaps.decode(value) if value else ()


def inputs_from(value: str | None) -> Inputs:
    """What a stored verdict was made from, beside what does not change."""
    return _inputs.decode(value) if value else Inputs()


def links_of(value: str) -> tuple[Link, ...]:
    """The links of a stored row of `incident_alerts`."""
    return _links.decode(value)


def alert_of(value: str | None) -> Alert | None:
    """The normalised alert of a stored row."""
    return _alerts.decode(value) if value else None


def fact_of(row: Mapping[str, Any]) -> Fact:
    """A fact from a row of `alert_context`."""
    return Fact(
        context_type=ContextType(row["context_type"]),
        data=_contexts.decode(row["context_data"]),
        source=row["source"],
        confidence=row["confidence_score"],
    )


def sightings_of(
    observables: Sequence[Observable], known: Mapping[tuple[str, str], str]
) -> tuple[Sighting, ...]:
    """What `threat_intel` holds of an alert's observables; `known` gives `raw_data` by key."""
    found = []
    for observable in observables:
        stored = known.get((ioc_key(observable.value), observable.type.value))
        if stored is not None:
            sighting = _sightings.decode(stored)
            found.append(
                msgspec.structs.replace(sighting, value=observable.value, role=observable.role)
            )
    return tuple(found)


def verdict_of(row: Mapping[str, Any]) -> Verdict:
    """A verdict from a row of `triage_results`."""
    return Verdict(
        verdict=Disposition(row["verdict"]),
        probability=row["probability"],
        impact=row["impact"],
        risk_score=row["risk_score"],
        risk_level=RiskLevel(row["risk_level"]),
        confidence=row["confidence_score"],
        requires_human_review=bool(row["requires_human_review"]),
        analysis=row["analysis_result"],
        evidence=_evidence.decode(row["evidence"]),
        recommended_actions=_actions.decode(row["recommended_actions"]),
        model_version=row["model_version"],
    )
