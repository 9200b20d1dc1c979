"""Stored alerts as dossiers, within one transaction and one query per table and batch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import Dossier
from tocsin.ports import Accepted, NewAlert
from tocsin.store import rows
from tocsin.store.bulk import IN_LIMIT, among, mark_of, one_of
from tocsin.store.fetch import fetch
from tocsin.store.tables import alert_context, alert_keys, alerts, incident_alerts, triage_results


def load(connection: Connection, ids: Sequence[str], filled: Sequence[str]) -> list[Dossier]:
    """The dossiers of these alerts within a transaction; see `DossierStore.load`."""
    found = {}
    for start in range(0, len(ids), IN_LIMIT):
        part = ids[start : start + IN_LIMIT]
        found.update({d.alert_id: d for d in _load(connection, part, set(filled))})
    return [found[alert_id] for alert_id in ids if alert_id in found]


def _load(connection: Connection, ids: Sequence[str], filled: set[str]) -> list[Dossier]:
    some, listed = among(connection, "a.alert_id", ids)
    stored = fetch(
        connection,
        ("alert_id", "received_at", "raw_data", "source", "normalized", "gaps"),
        "SELECT a.alert_id, a.received_at, a.raw_data, a.source, "
        f"{'a.normalized' if 'alert' in filled else 'NULL'} AS normalized, w.gaps "
        "FROM alerts a LEFT JOIN alert_work w ON w.alert_id = a.alert_id "
        f"WHERE {some}",
        listed,
    )
    dossiers = [
        Dossier(
            alert_id=row[0],
            received_at=_instant(row[1]),
            payload=row[2],
            source=row[3],
            alert=rows.alert_of(row[4]),
            gaps=rows.gaps_of(row[5]),
        )
        for row in stored
    ]
    if filled <= {"alert"}:
        return dossiers
    contexts: dict[str, list[Any]] = {}
    if "context" in filled:
        for row in _rows_of(connection, alert_context, ids):
            contexts.setdefault(row["alert_id"], []).append(row)
    known = _intel(connection, dossiers) if "intel" in filled else {}
    verdicts = {}
    if "verdict" in filled:
        judged = _rows_of(connection, triage_results, ids)
        verdicts = {row["alert_id"]: row for row in judged}
    found = [_complete(d, contexts, known, verdicts) for d in dossiers]
    return _linked(connection, found) if "links" in filled else found


def _linked(connection: Connection, dossiers: Sequence[Dossier]) -> list[Dossier]:
    """The same, with the incident that each is in and the links that brought it there."""
    i = incident_alerts.c
    query = sa.select(i.alert_id, i.incident_id, i.reasons).where(
        one_of(connection, i.alert_id, [dossier.alert_id for dossier in dossiers]),
        i.removed_at.is_(None),
    )
    found = {row.alert_id: row for row in connection.execute(query)}
    return [
        msgspec.structs.replace(
            dossier, incident_id=row.incident_id, links=rows.links_of(row.reasons)
        )
        if (row := found.get(dossier.alert_id))
        else dossier
        for dossier in dossiers
    ]


def _rows_of(
    connection: Connection, table: sa.Table, ids: Sequence[str]
) -> Sequence[sa.RowMapping]:
    """All columns of these alerts' rows, as the driver gives them."""
    some, listed = among(connection, "alert_id", ids)
    named = ", ".join(table.c.keys())
    query = f"SELECT {named} FROM {table.name} WHERE {some}"
    return connection.exec_driver_sql(query, listed).mappings().all()


_CONTEXT_ORDER = {"network": 0, "asset": 1, "user": 2}


def _complete(
    dossier: Dossier,
    contexts: dict[str, list[Any]],
    known: dict[tuple[str, str], str],
    verdicts: dict[str, Any],
) -> Dossier:
    facts = sorted(
        contexts.get(dossier.alert_id, []), key=lambda row: _CONTEXT_ORDER[row["context_type"]]
    )
    verdict = verdicts.get(dossier.alert_id)
    return Dossier(
        alert_id=dossier.alert_id,
        received_at=dossier.received_at,
        payload=dossier.payload,
        source=dossier.source,
        alert=dossier.alert,
        context=tuple(rows.fact_of(row) for row in facts),
        intel=rows.sightings_of(dossier.alert.observables, known) if dossier.alert else (),
        verdict=rows.verdict_of(verdict) if verdict else None,
        gaps=rows.gaps_of(verdict["gaps"]) if verdict else dossier.gaps,
    )


def _intel(connection: Connection, dossiers: Sequence[Dossier]) -> dict[tuple[str, str], str]:
    values = sorted(
        {rows.ioc_key(o.value) for d in dossiers if d.alert for o in d.alert.observables}
    )
    known: dict[tuple[str, str], str] = {}
    for start in range(0, len(values), IN_LIMIT):
        part = values[start : start + IN_LIMIT]
        some, listed = among(connection, "ioc", part)
        found = fetch(
            connection,
            ("ioc", "ioc_type", "raw_data"),
            f"SELECT ioc, ioc_type, raw_data FROM threat_intel WHERE {some}",
            listed,
        )
        known.update({(ioc, kind): stored for ioc, kind, stored in found})
    return known


def waiting_ids(
    connection: Connection, ids: Sequence[str], step: str, owner: str, *, lock: bool
) -> set[str]:
    """Those of these alerts that wait for `step` under the lease of `owner`.

    Args:
        connection: of either database.
        ids: at most a batch of alert ids.
        step: the step's name.
        owner: who must hold the lease.
        lock: whether the rows must stay so until the transaction ends.
    """
    mark = mark_of(connection)
    hold = " FOR UPDATE" if lock and connection.dialect.name == "postgresql" else ""
    some, listed = among(connection, "alert_id", ids)
    found = fetch(
        connection,
        ("alert_id",),
        f"SELECT alert_id FROM alert_work WHERE {some} "
        f"AND step = {mark} AND lease_owner = {mark}{hold}",
        (*listed, step, owner),
    )
    return {row[0] for row in found}


def _instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def stored_keys(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, tuple[str, bytes]]:
    """The alert ids and digests that these keys belong to."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for start in range(0, len(keys), IN_LIMIT):
        part = keys[start : start + IN_LIMIT]
        for row in connection.execute(sa.select(alert_keys).where(alert_keys.c.key.in_(part))):
            found[bytes(row.key)] = (row.alert_id, bytes(row.digest))
    return found


def existing(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of these alert ids that are stored."""
    if not ids:
        return []
    query = sa.select(alerts.c.alert_id).where(one_of(connection, alerts.c.alert_id, ids))
    return list(connection.execute(query).scalars())


def known_keys(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of these keys that are stored."""
    found: set[bytes] = set()
    for start in range(0, len(keys), IN_LIMIT):
        part = keys[start : start + IN_LIMIT]
        some, listed = among(connection, "key", part)
        rows_ = fetch(
            connection, ("key",), f"SELECT hex(key) AS key FROM alert_keys WHERE {some}", listed
        )
        found.update(bytes.fromhex(row[0]) for row in rows_)
    return found


def answer(alert: NewAlert, stored: tuple[str, bytes] | None, fresh: bool) -> Accepted | None:
    """What to say of an alert; None when its key belongs to other content."""
    if fresh:
        return Accepted(alert.alert_id)
    if stored is None or stored[1] != alert.digest:
        return None
    return Accepted(stored[0], duplicate=True)
