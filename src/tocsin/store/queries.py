"""What screens and lists ask: keyset pages over indexed columns, never OFFSET."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.errors import InputError
from tocsin.model import AlertStatus, ClosingAction, Disposition, Record, RiskLevel, Severity
from tocsin.store import cursors, finding
from tocsin.store.database import Database
from tocsin.store.tables import alert_work, alerts, closures, triage_results
from tocsin.store.types import instant_text

AUTOCLOSE = "autoclose"
SORTS = ("received_at", "risk_score")


class AlertSummary(Record, frozen=True, kw_only=True):
    """One line of a list of alerts."""

    alert_id: str
    received_at: datetime
    status: AlertStatus
    event_time: datetime | None = None
    source: str | None = None
    alert_type: str | None = None
    severity: Severity | None = None
    title: str | None = None
    rule_id: str | None = None
    source_ip: str | None = None
    destination_ip: str | None = None
    host_name: str | None = None
    asset_id: str | None = None
    user_name: str | None = None
    verdict: Disposition | None = None
    probability: float | None = None
    risk_score: float | None = None
    risk_level: RiskLevel | None = None
    confidence: float | None = None
    requires_human_review: bool | None = None
    error: str | None = None
    closed_by: str | None = None  # e.g. "autoclose:3": the policy of that version


NAMES = (
    "alert_id", "received_at", "status", "event_time", "source", "alert_type", "severity",
    "title", "rule_id", "source_ip", "destination_ip", "host_name", "asset_id", "user_name",
    "verdict", "probability", "risk_score", "risk_level", "confidence", "requires_human_review",
    "error", "closed_by",
)  # fmt: skip  # the order of columns()


class AlertPage(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A page and the cursor of the next one; None after the last."""

    alerts: tuple[AlertSummary, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What a list is narrowed to; None means any."""

    status: AlertStatus | None = None
    severity: Severity | None = None
    verdict: Disposition | None = None
    risk_level: RiskLevel | None = None
    min_risk: float | None = None
    requires_human_review: bool | None = None
    source: str | None = None
    source_ip: str | None = None
    destination_ip: str | None = None
    host_name: str | None = None
    asset_id: str | None = None
    user_name: str | None = None
    rule_id: str | None = None
    closed_by: str | None = None  # "autoclose", or "autoclose:3" for the policy of a version
    since: datetime | None = None
    until: datetime | None = None


class QueryStore:
    """Reads for people; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        wanted: AlertFilter,
        *,
        sort: str = "received_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> AlertPage:
        """Alerts that fit, newest or riskiest first.

        Raises:
            InputError: the cursor is not one of ours, or belongs to another sort.
        """
        after = None if cursor is None else _decode(cursor, sort)
        page = _page(wanted, limit + 1, after)
        find = finding.riskiest if sort == "risk_score" else finding.newest

        def query(connection: Connection) -> tuple[list[finding.Key], list[AlertSummary]]:
            keys = find(connection, page)
            return keys, _summaries(connection, [alert_id for _, alert_id in keys[:limit]])

        keys, summaries = await self._database.read(query)
        following = _encode(sort, keys[limit - 1]) if len(keys) > limit else None
        return AlertPage(alerts=tuple(summaries), next_cursor=following)

    async def newest(self, limit: int) -> Sequence[AlertSummary]:
        """The triaged alerts that were received last, newest first."""
        page = await self.page(AlertFilter(status=AlertStatus.TRIAGED), limit=limit)
        return page.alerts

    async def check(self) -> None:
        """Ask the database whether it lives.

        Raises:
            StoreUnavailable: it does not.
        """

        def ask(connection: Connection) -> None:
            connection.execute(sa.select(alerts.c.alert_id).limit(1)).all()

        await self._database.read(ask)
        await self._database.check_writable()


def columns() -> sa.Select[Any]:
    """What a list shows of each alert."""
    a, t, w, c = alerts.c, triage_results.c, alert_work.c, closures.c
    return sa.select(
        a.alert_id,
        a.received_at,
        a.status,
        a.event_time,
        a.source,
        a.alert_type,
        a.severity,
        a.title,
        a.rule_id,
        a.source_ip,
        a.destination_ip,
        a.host_name,
        a.asset_id,
        a.user_name,
        t.verdict,
        t.probability,
        t.risk_score,
        t.risk_level,
        t.confidence_score,
        t.requires_human_review,
        w.error,
        sa.case((_closed_by_policy(), c.policy_version)),
    ).select_from(
        alerts.outerjoin(triage_results, t.alert_id == a.alert_id)
        .outerjoin(alert_work, w.alert_id == a.alert_id)
        .outerjoin(closures, c.alert_id == a.alert_id)
    )


def _closed_by_policy() -> sa.ColumnElement[bool]:
    closed = closures.c.action == ClosingAction.CLOSED.value
    return sa.and_(closed, closures.c.reopened_at.is_(None))


def narrowed(query: sa.Select[Any], wanted: AlertFilter) -> sa.Select[Any]:
    """The query over `alerts` and `triage_results`, for the alerts that fit."""
    where, _ = _conditions(wanted)
    return query.where(*where)


def _conditions(wanted: AlertFilter) -> tuple[list[sa.ColumnElement[bool]], bool]:
    """What fits, and whether that speaks of `triage_results` or `closures`."""
    a, t = alerts.c, triage_results.c
    of_alert: dict[sa.ColumnElement[Any], Any] = {
        a.status: wanted.status,
        a.severity: wanted.severity,
        a.source: wanted.source,
        a.source_ip: wanted.source_ip,
        a.destination_ip: wanted.destination_ip,
        a.host_name: wanted.host_name,
        a.asset_id: wanted.asset_id,
        a.user_name: wanted.user_name,
        # not the bare column: SQLite would put the value into the index's expression over it
        a.rule_id + "": wanted.rule_id,
    }
    of_verdict: dict[sa.ColumnElement[Any], Any] = {
        t.verdict: wanted.verdict,
        t.risk_level: wanted.risk_level,
        t.requires_human_review: wanted.requires_human_review,
    }
    equal = {**of_alert, **of_verdict}.items()
    where = [column == value for column, value in equal if value is not None]
    if wanted.min_risk is not None:
        where.append(a.risk_score >= wanted.min_risk)
    if wanted.closed_by is not None:
        where += [
            a.alert_id.in_(
                sa.select(closures.c.alert_id).where(
                    _closed_by_policy(), *_of_policy(wanted.closed_by)
                )
            )
        ]
    if wanted.since is not None:
        where.append(a.received_at >= wanted.since)
    if wanted.until is not None:
        where.append(a.received_at < wanted.until)
    return where, any(value is not None for value in of_verdict.values())


def _page(wanted: AlertFilter, limit: int, after: finding.Key | None) -> finding.Wanted:
    where, of_verdict = _conditions(wanted)
    return finding.Wanted(
        where=where,
        of_verdict=of_verdict,
        source=wanted.source,
        severity=wanted.severity,
        status=wanted.status,
        rule_id=wanted.rule_id,
        limit=limit,
        after=after,
    )


def _of_policy(closed_by: str) -> list[sa.ColumnElement[bool]]:
    if closed_by == AUTOCLOSE:
        return []
    who, _, version = closed_by.partition(":")
    if who != AUTOCLOSE or not re.fullmatch(r"[0-9]{1,9}", version, re.ASCII):
        raise InputError(f"closed_by: {AUTOCLOSE}, or {AUTOCLOSE}:VERSION")
    return [closures.c.policy_version == int(version)]


def _summaries(connection: Connection, ids: Sequence[str]) -> list[AlertSummary]:
    found = {}
    if ids:
        query = columns().where(alerts.c.alert_id.in_(ids))
        for row in connection.execute(query).mappings():
            found[row["alert_id"]] = summary(row)
    return [found[alert_id] for alert_id in ids]


def _encode(sort: str, key: finding.Key) -> str:
    value, alert_id = key
    plain = instant_text(value) if isinstance(value, datetime) else value
    return cursors.cursor(sort, plain, alert_id)


def _decode(cursor: str, sort: str) -> finding.Key:
    made_for, value, alert_id = cursors.parts_of(cursor, tuple[str, str | float, str])
    if made_for != sort:
        raise InputError(f"the cursor belongs to a list sorted by {made_for}")
    if sort == "received_at":
        return cursors.moment_of(str(value)), alert_id
    return cursors.number_of(value), alert_id


def summary(row: sa.RowMapping) -> AlertSummary:
    """One line of a list, from a row of `columns()`."""
    values: dict[str, Any] = dict(zip(NAMES, row.values(), strict=True))
    if values["requires_human_review"] is not None:
        values["requires_human_review"] = bool(values["requires_human_review"])
    if values["closed_by"] is not None:
        values["closed_by"] = f"{AUTOCLOSE}:{values['closed_by']}"
    return msgspec.convert(values, AlertSummary)
