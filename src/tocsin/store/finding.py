"""Which alerts a list shows, found through the index that fits, whatever the number stored.

Two ways, each giving the keys of one page. **Walking** looks through the newest alerts in order:
right for what is frequent. **Merging** asks an index for the first of each combination of source,
severity and status that fits and merges the answers: right for what is rare, since no index is
read further than a page. A page is walked for first, within a bound, and merged if that found too
little. Riskiest first is always merged, over the statuses.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AlertStatus, Severity
from tocsin.store.tables import alerts, triage_results

WALK = 2000
"""Alerts, the newest of which are looked through before the indexes of rarer things are asked."""

RULE_PREFIX = 128  # characters of a rule's id that the index holds
MERGED = 400  # combinations in one statement; SQLite takes 500

Key = tuple[Any, str]


class Wanted(NamedTuple):
    """A page: what fits, how it is sorted, how many keys, and the last key before it."""

    where: Sequence[sa.ColumnElement[bool]]
    of_verdict: bool  # whether `where` speaks of triage_results
    source: str | None
    severity: Severity | None
    status: AlertStatus | None
    rule_id: str | None
    limit: int
    after: Key | None


def riskiest(connection: Connection, wanted: Wanted) -> list[Key]:
    """Risk and id of the riskiest alerts that fit."""
    by = alerts.c.risk_score
    parts = [
        _first(by, [alerts.c.status == status.value, by.is_not(None)], wanted)
        for status in ([wanted.status] if wanted.status else AlertStatus)
    ]
    return _merged(connection, parts, wanted.limit)


def newest(connection: Connection, wanted: Wanted) -> list[Key]:
    """Time of receipt and id of the newest alerts that fit."""
    keys = _walked(connection, wanted)
    if len(keys) >= wanted.limit:
        return keys
    by = alerts.c.received_at
    if wanted.rule_id is not None:
        parts = [_first(by, fits, wanted) for fits in _of_rule(wanted)]
    elif wanted.source or wanted.severity or wanted.status:
        parts = [_first(by, fits, wanted) for fits in _of_kind(connection, wanted)]
    else:
        parts = [_first(by, [], wanted)]
    return _merged(connection, parts, wanted.limit)


def _walked(connection: Connection, wanted: Wanted) -> list[Key]:
    """Those of the newest `WALK` alerts that fit."""
    by, alert_id = alerts.c.received_at, alerts.c.alert_id
    recent = sa.select(by).order_by(by.desc(), alert_id.desc()).offset(WALK).limit(1)
    if wanted.after is not None:
        recent = recent.where(_beyond(by, wanted.after))
    oldest = connection.execute(recent).scalar()
    query = _first(by, [] if oldest is None else [by >= oldest], wanted)
    return [(row[0], row[1]) for row in connection.execute(query)]


def _of_rule(wanted: Wanted) -> Iterator[list[sa.ColumnElement[bool]]]:
    """The rule in each status, as `ix_alerts_rule` has them."""
    a = alerts.c
    assert wanted.rule_id is not None
    prefix = sa.func.substr(a.rule_id, sa.text("1"), sa.text(str(RULE_PREFIX)))
    rule = prefix == wanted.rule_id[:RULE_PREFIX]
    for status in [wanted.status] if wanted.status else AlertStatus:
        yield [a.rule_id.is_not(None), rule, a.status == status.value]


def _of_kind(connection: Connection, wanted: Wanted) -> Iterator[list[sa.ColumnElement[bool]]]:
    """Each source, severity and status that fit, as `ix_alerts_kind` has them."""
    a = alerts.c
    sources = [wanted.source] if wanted.source else [*_sources(connection), None]
    severities = [wanted.severity] if wanted.severity else [*Severity, None]
    statuses = [wanted.status] if wanted.status else list(AlertStatus)
    for source, severity, status in product(sources, severities, statuses):
        yield [
            a.source.is_(None) if source is None else a.source == source,
            a.severity.is_(None) if severity is None else a.severity == severity.value,
            a.status == status.value,
        ]


def _sources(connection: Connection) -> list[str]:
    """All sources that alerts came from: one search of the index for each."""
    a = alerts.c
    first = sa.select(sa.func.min(a.source).label("source")).cte("sources", recursive=True)
    after = sa.select(sa.func.min(a.source)).where(a.source > first.c.source).scalar_subquery()
    every = first.union_all(sa.select(after).where(first.c.source.is_not(None)))
    found = connection.execute(sa.select(every.c.source)).scalars()
    return [source for source in found if source is not None]


def _first(
    by: sa.Column[Any], fits: Sequence[sa.ColumnElement[bool]], wanted: Wanted
) -> sa.Select[Any]:
    """The first keys of what fits."""
    alert_id = alerts.c.alert_id
    query = sa.select(by.label("key"), alert_id.label("alert_id")).select_from(_tables(wanted))
    query = query.where(*fits, *wanted.where)
    if wanted.after is not None:
        query = query.where(_beyond(by, wanted.after))
    return query.order_by(by.desc(), alert_id.desc()).limit(wanted.limit)


def _merged(connection: Connection, parts: Sequence[sa.Select[Any]], limit: int) -> list[Key]:
    """The first keys of all parts together, in the database's own order of texts."""
    keys: list[Key] = []
    for start in range(0, len(parts), MERGED):
        some = [sa.select(part.subquery()) for part in parts[start : start + MERGED]]
        every = sa.union_all(*some).subquery()
        query = sa.select(every).order_by(every.c.key.desc(), every.c.alert_id.desc())
        keys += [(row[0], row[1]) for row in connection.execute(query.limit(limit))]
    return keys if len(parts) <= MERGED else sorted(keys, reverse=True)[:limit]


def _tables(wanted: Wanted) -> sa.FromClause:
    if not wanted.of_verdict:
        return alerts
    return alerts.join(triage_results, triage_results.c.alert_id == alerts.c.alert_id)


def _beyond(by: sa.Column[Any], after: Key) -> sa.ColumnElement[bool]:
    value = after[0] if isinstance(after[0], datetime) else float(after[0])
    key = sa.tuple_(by, alerts.c.alert_id)
    return key < sa.tuple_(sa.literal(value, by.type), sa.literal(after[1]))
