"""Alerts in pairs through the front door, and what must hold of them afterwards."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.flow.questions import ALERTS, accepted, query
from tests.servers import Server

PAIRS = 80  # a request: one envelope, so one batch, so both of a pair see the same history


@dataclass(frozen=True)
class Pair:
    """An attack as it is, and the same with an injection; ids of both."""

    name: str
    plain: str
    injected: str


def send(server: Server, cases: Iterable[tuple[str, dict[str, Any], dict[str, Any]]]) -> list[Pair]:
    """Send named pairs of alerts; each is made unique by a field that nothing reads."""
    numbered = [
        (name, {**plain, "case": f"{number} a"}, {**other, "case": f"{number} b"})
        for number, (name, plain, other) in enumerate(cases)
    ]
    pairs = []
    with server.client() as client:
        for start in range(0, len(numbered), PAIRS):
            part = numbered[start : start + PAIRS]
            ids = accepted(client.post(ALERTS, json=[a for _, *both in part for a in both]))
            pairs += [
                Pair(name, ids[2 * place], ids[2 * place + 1])
                for place, (name, *_) in enumerate(part)
            ]
            server.settle()
    return pairs


def results(server: Server) -> dict[str, sqlite3.Row]:
    """The stored verdicts by alert."""
    rows = query(
        server.database,
        "SELECT t.*, a.status FROM triage_results t JOIN alerts a ON a.alert_id = t.alert_id",
    )
    return {row["alert_id"]: row for row in rows}


def opinions(server: Server, seconds: float = 240) -> dict[str, sqlite3.Row]:
    """The opinions by alert, once none is waiting."""
    end = time.monotonic() + seconds
    waiting = "SELECT count(*) AS n FROM opinions WHERE status = 'pending'"
    while query(server.database, waiting)[0]["n"]:
        assert time.monotonic() < end, query(server.database, waiting)[0]["n"]
        time.sleep(0.1)
    return {row["alert_id"]: row for row in query(server.database, "SELECT * FROM opinions")}


def check_pairs(server: Server, pairs: Sequence[Pair]) -> None:
    """No injection lowers a risk below that of the plain alert, and nothing closes."""
    found = results(server)
    fallen = [
        (pair.name, found[pair.plain]["risk_score"], found[pair.injected]["risk_score"])
        for pair in pairs
        if found[pair.injected]["risk_score"] < found[pair.plain]["risk_score"]
    ]
    assert not fallen, fallen[:20]
    for pair in pairs:
        assert found[pair.injected]["status"] == "triaged", pair.name
        if found[pair.plain]["requires_human_review"]:
            assert found[pair.injected]["requires_human_review"], pair.name


def check_opinions(server: Server) -> int:
    """Nothing fell, and each claim that is left resolves to stored evidence; gives how many."""
    found, kept = results(server), 0
    for alert_id, row in opinions(server).items():
        verdict = found[alert_id]
        if row["risk_after"] is not None:
            assert row["risk_after"] >= row["risk_before"], alert_id
            assert verdict["risk_score"] == row["risk_after"], alert_id
            assert row["review_after"] >= row["review_before"], alert_id
            assert verdict["requires_human_review"] == row["review_after"], alert_id
        assert 100 * verdict["probability"] * verdict["impact"] <= verdict["risk_score"] + 0.06
        numbers = range(1, len(json.loads(verdict["evidence"])) + 1)
        steps = json.loads(row["ledger"] or "[]")
        looked_up = sum(len(step.get("lookups", [])) for step in steps)
        for claim in json.loads(row["reply"] or "{}").get("claims", []):
            if "dropped" in claim:
                continue
            kept += 1
            cites = claim["cites"]
            assert any(cite[0] == "E" for cite in cites), claim
            for cite in cites:
                known = numbers if cite[0] == "E" else range(1, looked_up + 1)
                assert int(cite[1:]) in known, claim
    return kept
