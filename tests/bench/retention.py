"""Letting a month go: deletion in portions beside monthly partitions, on PostgreSQL.

The same rows (an alert, three contexts, a verdict; a million together) lie in Tocsin's own tables
and in copies partitioned by the month of receipt. Measured: what a month costs to let go, and
what each way costs the pipeline, which writes by the alert's id.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from tests.bench.figures import Figure, figure
from tests.postgres import Postgres, postgres
from tests.servers import environment

ALERTS = 200_000
MONTHS = 12
UPDATED = 5_000
TABLES = ("alerts", "alert_context", "triage_results")
# a UUID of version 7 by its looks: rows of neighbours in time lie together in its index
ID = "to_char(n, 'FM00000000') || '-0000-7000-8000-' || substr(md5(n::text), 1, 12)"
AT = f"now() - interval '400 days' + n * (interval '{MONTHS * 30} days' / {{alerts}})"


def measure(alerts: int = ALERTS) -> dict[str, Figure]:
    """Both ways on one server."""
    with postgres() as server, tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        url = server.create("retention")
        _tocsin(Path(folder), url, "db", "upgrade")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            _partition(connection)
            loads = {s: _timed(lambda s=s: _load(connection, s, alerts)) for s in SCHEMAS}
            connection.execute("ANALYZE")
            updates = {s: _timed(lambda s=s: _update(connection, s, alerts)) for s in SCHEMAS}
        before = _bytes(server)
        age = f"{400 - 30}d"
        deleted = _timed(lambda: _tocsin(Path(folder), url, "db", "retention", "--older-than", age))
        start = _timed(
            lambda: _tocsin(Path(folder), url, "db", "retention", "--older-than", "999d")
        )
        with psycopg.connect(url, autocommit=True) as connection:
            vacuumed = _timed(lambda: [connection.execute(f"VACUUM {t}") for t in TABLES])
            dropped = _timed(
                lambda: [connection.execute(f"DROP TABLE parts.{t}_0") for t in TABLES]
            )
            _load(connection, "public", alerts // MONTHS, offset=alerts)
        grown = _bytes(server) / before
    return {
        "retention.rows": figure([5 * alerts], "rows"),
        "retention.month_deleted_s": figure([deleted - start], "s", 2),
        "retention.month_vacuumed_s": figure([vacuumed], "s", 2),
        "retention.month_dropped_s": figure([dropped], "s", 2),
        "retention.size_after_next_month": figure([grown], "1", 3),
        "retention.load_plain_s": figure([loads["public"]], "s", 1),
        "retention.load_partitioned_s": figure([loads["parts"]], "s", 1),
        "retention.update_plain_us": figure([1e6 * updates["public"] / UPDATED], "µs"),
        "retention.update_partitioned_us": figure([1e6 * updates["parts"] / UPDATED], "µs"),
    }


SCHEMAS = ("public", "parts")


def _tocsin(folder: Path, url: str, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tocsin", *arguments],
        env=environment(folder, database=url), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _partition(connection: psycopg.Connection) -> None:
    """Tocsin's tables once more, by month; a unique key must then hold the time of receipt."""
    connection.execute("CREATE SCHEMA parts")
    for table in TABLES:
        received = "" if table == "alerts" else ", received_at timestamptz NOT NULL"
        connection.execute(
            f"CREATE TABLE parts.{table} (LIKE public.{table} INCLUDING CONSTRAINTS{received}) "
            "PARTITION BY RANGE (received_at)"
        )
        key = "alert_id, context_type" if table == "alert_context" else "alert_id"
        connection.execute(f"ALTER TABLE parts.{table} ADD PRIMARY KEY ({key}, received_at)")
        for month in range(MONTHS + 2):
            low, high = (f"now() - interval '{400 - 30 * m} days'" for m in (month, month + 1))
            (bounds,) = connection.execute(
                f"SELECT format('FROM (%L) TO (%L)', date_trunc('day', {low}), "
                f"date_trunc('day', {high}))"
            ).fetchone() or ("",)
            connection.execute(
                f"CREATE TABLE parts.{table}_{month} PARTITION OF parts.{table} FOR VALUES {bounds}"
            )
    indexes = connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'alerts' "
        "AND indexname LIKE 'ix_%'"
    ).fetchall()
    for (definition,) in indexes:
        connection.execute(definition.replace(" ON public.alerts ", " ON parts.alerts "))


def _load(connection: psycopg.Connection, schema: str, alerts: int, offset: int = 0) -> None:
    """Rows of the size that the pipeline writes, evenly over the months."""
    at = AT.format(alerts=max(alerts, offset))
    some = f"generate_series({offset + 1}, {offset + alerts}) AS n"
    also, moment = ("", "") if schema == "public" else (", received_at", f", {at}")
    connection.execute(
        f"INSERT INTO {schema}.alerts (alert_id, received_at, source, severity, title, rule_id, "
        f"status, risk_score, normalized, raw_data) SELECT {ID}, {at}, 'suricata', 'low', "
        "'title ' || n, 'R-' || n % 200, 'triaged', n % 100, json_build_object('a', "
        "repeat(md5(n::text), 40)), repeat(md5(n::text), 22) FROM " + some
    )
    connection.execute(
        f"INSERT INTO {schema}.alert_context (alert_id, context_type, context_data, source, "
        f"confidence_score{also}) SELECT {ID}, kind, json_build_object('a', repeat(md5(n::text), "
        f"16)), 'x', 0.5{moment} FROM {some}, unnest(ARRAY['asset', 'network', 'user']) AS kind"
    )
    connection.execute(
        f"INSERT INTO {schema}.triage_results (alert_id, triaged_at, verdict, probability, impact, "
        "risk_score, risk_level, confidence_score, analysis_result, recommended_actions, evidence, "
        f"gaps, model_version, requires_human_review{also}) SELECT {ID}, {at}, 'undetermined', "
        "0.5, 0.5, n % 100, 'low', 0.5, repeat(md5(n::text), 20), '[]', json_build_object('a', "
        f"repeat(md5(n::text), 70)), '[]', 'm', false{moment} FROM {some}"
    )


def _update(connection: psycopg.Connection, schema: str, alerts: int) -> None:
    """What the pipeline does to an alert: change its row, found by its id."""
    step = alerts // UPDATED
    ids = [
        row[0]
        for row in connection.execute(
            f"SELECT {ID} FROM generate_series(1, {alerts}, {step}) AS n LIMIT {UPDATED}"
        )
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {schema}.alerts SET status = 'closed' WHERE alert_id = %s",
            [(alert_id,) for alert_id in ids],
        )


def _bytes(server: Postgres) -> int:
    names = ", ".join(f"'public.{table}'" for table in TABLES)
    return int(
        server.sql(
            f"SELECT sum(pg_total_relation_size(t::regclass)) FROM unnest(ARRAY[{names}]) AS t",
            "retention",
        )
    )
