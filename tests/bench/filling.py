"""A database with as many alerts as a year brings: copies of rows that the pipeline wrote.

A copy is the row as it was, moved back in time with an id and a key of its own; one alert in ten
is still open. Written by the databases themselves, a statement per table and portion.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg

STEP_MS = 6 * 3600 * 1000  # each set of copies is six hours older than the one before
RARE_SOURCE, RARE_RULE = "rare-sensor", "RARE-1"
COLUMNS = {
    "alerts": (
        "received_at", "event_time", "source", "alert_type", "severity", "title", "description",
        "source_ip", "source_port", "destination_ip", "destination_port", "protocol", "user_name",
        "user_id", "asset_id", "host_name", "file_hash", "file_name", "url", "dns_query",
        "rule_id", "rule_name", "status", "risk_score", "normalized", "raw_data",
    ),
    "alert_context": ("context_type", "context_data", "source", "confidence_score"),
    "triage_results": (
        "triaged_at", "verdict", "probability", "impact", "risk_score", "risk_level",
        "confidence_score", "analysis_result", "recommended_actions", "evidence", "gaps",
        "model_version", "requires_human_review",
    ),
}  # fmt: skip
RARE = (
    # the oldest alerts of all: nothing that looks from the newest on finds them soon
    f"UPDATE alerts SET source = '{RARE_SOURCE}', rule_id = '{RARE_RULE}', severity = 'critical', "
    "status = 'parked' WHERE alert_id IN "
    "(SELECT alert_id FROM alerts ORDER BY received_at, alert_id LIMIT 5)"
)


def fill_postgresql(url: str, wanted: int) -> int:
    """Copy until about `wanted` alerts are stored; gives how many are."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("CREATE TEMP TABLE base AS SELECT alert_id FROM alerts")
        (base,) = connection.execute("SELECT count(*) FROM base").fetchone() or (0,)
        moved = (
            "lpad(to_hex((('x' || substr({id}, 1, 8) || substr({id}, 10, 4))::bit(48)::bigint"
            f" - n * {STEP_MS}::bigint)), 12, '0')"
        )
        new_id = (
            "substr({m}, 1, 8) || '-' || substr({m}, 9, 4) || substr({id}, 14, 20) || "
            "lpad(to_hex(n % 65536), 4, '0')"
        )
        for first, last in portions(base, wanted):
            with connection.transaction():
                copies = f"generate_series({first}, {last}) AS n"
                for table, columns in COLUMNS.items():
                    made = [_postgresql_value(table, name) for name in columns]
                    id_ = new_id.format(m=moved.format(id="o.alert_id"), id="o.alert_id")
                    connection.execute(
                        f"INSERT INTO {table} (alert_id, {', '.join(columns)}) "
                        f"SELECT {id_}, {', '.join(made)} FROM {table} o "
                        f"JOIN base USING (alert_id) CROSS JOIN {copies}"
                    )
                id_ = new_id.format(m=moved.format(id="o.alert_id"), id="o.alert_id")
                connection.execute(
                    "INSERT INTO alert_keys SELECT decode(md5(k.id), 'hex'), k.id, "
                    f"decode(md5(k.id), 'hex') FROM (SELECT {id_} AS id FROM base o "
                    f"CROSS JOIN {copies}) AS k"
                )
                connection.execute(
                    "INSERT INTO threat_intel SELECT o.ioc || '#' || n, o.ioc_type, "
                    "o.threat_level, o.confidence_score, o.sources, o.first_seen, o.last_seen, "
                    "o.detections, o.tags, o.raw_data FROM threat_intel o CROSS JOIN "
                    f"{copies} WHERE o.ioc_type = 'url' AND position('#' IN o.ioc) = 0 "
                    "ON CONFLICT DO NOTHING"
                )
                connection.execute(
                    "INSERT INTO prevalence SELECT kind, value, to_char(day::date - n, "
                    f"'YYYY-MM-DD'), count FROM prevalence CROSS JOIN {copies} "
                    "WHERE day >= to_char(now() - interval '1 day', 'YYYY-MM-DD') "
                    "ON CONFLICT DO NOTHING"
                )
        connection.execute(RARE)
        for table in (*COLUMNS, "alert_keys", "threat_intel", "prevalence"):
            connection.execute(f"VACUUM ANALYZE {table}")
        (stored,) = connection.execute("SELECT count(*) FROM alerts").fetchone() or (0,)
    return int(stored)


def fill_sqlite(path: str, wanted: int) -> int:
    """The same on SQLite; nobody else may write meanwhile."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.create_function("moved_id", 2, _moved_id, deterministic=True)
    connection.create_function("moved_time", 2, _moved_time, deterministic=True)
    connection.create_function("digest", 1, _digest, deterministic=True)
    for pragma in ("synchronous = OFF", "cache_size = -262144", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TEMP TABLE base AS SELECT alert_id FROM alerts")
    connection.execute("CREATE UNIQUE INDEX temp.by_id ON base (alert_id)")
    (base,) = connection.execute("SELECT count(*) FROM base").fetchone()
    for first, last in portions(base, wanted):
        copies = (
            f"(WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c "
            f"WHERE n < {last}) SELECT n FROM c)"
        )
        connection.execute("BEGIN IMMEDIATE")
        for table, columns in COLUMNS.items():
            made = [_sqlite_value(table, name) for name in columns]
            connection.execute(
                f"INSERT INTO {table} (alert_id, {', '.join(columns)}) "
                f"SELECT moved_id(o.alert_id, n), {', '.join(made)} FROM {copies} "
                f"CROSS JOIN base b JOIN {table} o ON o.alert_id = b.alert_id"
            )
        connection.execute(
            "INSERT INTO alert_keys SELECT digest(moved_id(alert_id, n)), moved_id(alert_id, n), "
            f"digest(moved_id(alert_id, n)) FROM base CROSS JOIN {copies}"
        )
        connection.execute(
            "INSERT OR IGNORE INTO threat_intel SELECT ioc || '#' || n, ioc_type, threat_level, "
            "confidence_score, sources, first_seen, last_seen, detections, tags, raw_data FROM "
            f"threat_intel CROSS JOIN {copies} WHERE ioc_type = 'url' AND instr(ioc, '#') = 0"
        )
        connection.execute(
            "INSERT OR IGNORE INTO prevalence SELECT kind, value, date(day, '-' || n || ' days'), "
            f"count FROM prevalence CROSS JOIN {copies} WHERE day >= date('now', '-1 day')"
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(RARE)
    (stored,) = connection.execute("SELECT count(*) FROM alerts").fetchone()
    connection.close()
    return int(stored)


def portions(base: int, wanted: int, together: int = 50_000) -> list[tuple[int, int]]:
    """First and last number of the copies that one transaction makes."""
    copies = max(0, round(wanted / base) - 1)
    size = max(1, together // base)
    return [(n, min(n + size - 1, copies)) for n in range(1, copies + 1, size)]


def _value(table: str, name: str, moved: Callable[[str], str]) -> str:
    if name in ("received_at", "event_time", "triaged_at"):
        return moved(name)
    if (table, name) == ("alerts", "status"):
        return "CASE WHEN n % 10 = 0 THEN 'triaged' ELSE 'closed' END"
    return f"o.{name}"


def _postgresql_value(table: str, name: str) -> str:
    return _value(table, name, lambda n: f"o.{n} - n * interval '{STEP_MS} milliseconds'")


def _sqlite_value(table: str, name: str) -> str:
    return _value(table, name, lambda n: f"moved_time(o.{n}, n)")


def _moved_id(alert_id: str, copy: int) -> str:
    stamp = f"{int(alert_id[:8] + alert_id[9:13], 16) - copy * STEP_MS:012x}"
    return f"{stamp[:8]}-{stamp[8:]}{alert_id[13:33]}{copy % 65536:04x}"[:36]


def _moved_time(moment: str | None, copy: int) -> str | None:
    if moment is None:
        return None
    earlier = datetime.fromisoformat(moment) - timedelta(milliseconds=copy * STEP_MS)
    return earlier.isoformat(timespec="microseconds")[:-6] + "Z"


def _digest(text: str) -> bytes:
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()
