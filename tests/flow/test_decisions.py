"""Decisions over HTTP on both databases: what they change, who stands, and undo."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.decided import (
    BULK,
    HOSTILE,
    alert,
    by_hand,
    counts,
    decide,
    decided_server,
    sent,
    sql,
    state,
    url_of,
)
from tests.flow.questions import ALERTS, is_problem
from tests.servers import Server, tocsin

SEPARATOR = "\u001f"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("decisions")
    with decided_server(
        request.param, folder, lambda: request.getfixturevalue("postgres_server")
    ) as server:
        yield server


@pytest.fixture
def client(running: Server) -> Iterator[httpx2.Client]:
    with running.client() as opened:
        yield opened


def history(client: httpx2.Client, alert_id: str) -> list[dict[str, object]]:
    answer = client.get(f"{ALERTS}/{alert_id}/dispositions")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["dispositions"]
    return found


def audited(server: Server, subject: str) -> list[str]:
    rows = sql(
        server,
        "SELECT action FROM audit_logs WHERE subject = :subject ORDER BY logged_at",
        subject=subject,
    )
    return [row["action"] for row in rows]


def test_a_decision_closes_the_alert_and_says_who_and_why(
    running: Server, client: httpx2.Client
) -> None:
    (alert_id,) = sent(running, [alert(1, "R-close")])
    decision = decide(client, alert_id, "false_positive", HOSTILE)
    (key,) = {
        row["key_id"]
        for row in sql(running, "SELECT key_id FROM api_keys WHERE name = 'first key'")
    }
    who = f"key:{key}"
    assert state(running, alert_id) == ("closed", who, HOSTILE.strip(), True)
    (shown,) = history(client, alert_id)
    assert shown["disposition_id"] == decision
    assert (shown["actor"], shown["reason"]) == (who, HOSTILE.strip())
    assert shown["stands"] is True
    assert audited(running, decision) == ["alert.decided"]
    assert [each["alert_id"] for each in listed(client, status="closed")].count(alert_id) == 1


def listed(client: httpx2.Client, **parameters: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get(
        ALERTS, params={"limit": "500", **parameters}
    ).json()["alerts"]
    return found


def test_undetermined_leaves_the_alert_open_and_counts_as_neither(
    running: Server, client: httpx2.Client
) -> None:
    (alert_id,) = sent(running, [alert(2, "R-open")])
    decide(client, alert_id, "undetermined")
    assert state(running, alert_id)[0] == "triaged"
    assert state(running, alert_id)[2] == "seen"
    assert counts(running, "rule", "generic:R-open") == (0, 0)


def test_a_second_decision_supersedes_and_undo_brings_the_first_one_back(
    running: Server, client: httpx2.Client
) -> None:
    (alert_id,) = sent(running, [alert(3, "R-twice", "db-9")])
    rule, host = rule_of(client, alert_id), "db-9"
    both = f"{rule}{SEPARATOR}{host}"
    first = decide(client, alert_id, "false_positive", "a scanner")
    assert counts(running, "rule", rule) == counts(running, "rule_host", both) == (0, 1)
    second = decide(client, alert_id, "true_positive", "no scanner after all")
    assert counts(running, "rule", rule) == counts(running, "rule_host", both) == (1, 0)
    assert counts(running, "host", host) == (1, 0)
    assert [each["stands"] for each in history(client, alert_id)] == [True, False]
    assert client.delete(f"/api/v1/dispositions/{second}").status_code == 200
    assert state(running, alert_id)[:3:2] == ("closed", "a scanner")
    assert counts(running, "rule", rule) == (0, 1)
    newest, oldest = history(client, alert_id)
    assert (newest["stands"], oldest["stands"]) == (False, True)
    assert newest["undone_by"] == oldest["actor"]
    assert newest["undone_at"]
    assert client.delete(f"/api/v1/dispositions/{first}").status_code == 200
    assert state(running, alert_id) == ("triaged", None, None, False)
    assert counts(running, "rule", rule) == counts(running, "host", host) == (0, 0)
    is_problem(client.delete(f"/api/v1/dispositions/{first}"), 409, "conflict")


def rule_of(client: httpx2.Client, alert_id: str) -> str:
    facts = client.get(f"{ALERTS}/{alert_id}").json()["context"]
    seen = [each for fact in facts for each in fact["data"].get("prevalence", ())]
    return str(next(each["value"] for each in seen if each["subject"] == "rule"))


def test_undoing_what_was_superseded_changes_nothing_that_stands(
    running: Server, client: httpx2.Client
) -> None:
    (alert_id,) = sent(running, [alert(4, "R-under")])
    rule = rule_of(client, alert_id)
    first = decide(client, alert_id, "false_positive")
    decide(client, alert_id, "true_positive", "the newer")
    assert client.delete(f"/api/v1/dispositions/{first}").status_code == 200
    assert state(running, alert_id)[:3:2] == ("closed", "the newer")
    assert counts(running, "rule", rule) == (1, 0)


def test_the_next_alert_knows_how_earlier_ones_were_decided(
    running: Server, client: httpx2.Client
) -> None:
    ids = sent(running, [alert(n, "R-prior", "app-1") for n in range(4)])
    for alert_id in ids[:3]:
        decide(client, alert_id, "benign_positive")
    decide(client, ids[3], "true_positive")
    (following,) = sent(running, [alert(9, "R-prior", "app-1")])
    facts = client.get(f"{ALERTS}/{following}").json()["context"]
    seen = {e["subject"]: e for fact in facts for e in fact["data"].get("prevalence", ())}
    for subject in ("rule", "host", "rule_host"):
        assert (seen[subject]["attacks"], seen[subject]["harmless"]) == (1, 3), subject
    assert seen["rule"]["day"] == 4
    assert not sql(running, "SELECT 1 FROM prevalence WHERE kind = 'rule_host'")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"disposition": "clean", "reason": "x"}, "one of true_positive, benign_positive, false_"),
        ({"disposition": "false_positive"}, "reason"),
        ({"disposition": "false_positive", "reason": " \n "}, "reason"),
        ({"disposition": "false_positive", "reason": "x" * 4001}, "4000"),
        ({"disposition": "false_positive", "reason": "x", "why": "y"}, "why"),
        ({"disposition": "false_positive", "reason": 7}, "reason"),
        ([], "object"),
    ],
)
def test_a_decision_that_says_nothing_useful_is_refused(
    running: Server, client: httpx2.Client, body: object, says: str
) -> None:
    (alert_id,) = sent(running, [alert(5, "R-refused")])
    answer = client.post(f"{ALERTS}/{alert_id}/disposition", json=body)
    assert says in is_problem(answer, 422, "input")["detail"]
    assert history(client, alert_id) == []


def test_hostile_reasons_are_kept_as_text(running: Server, client: httpx2.Client) -> None:
    (alert_id,) = sent(running, [alert(6, "R-hostile")])
    for reason in (HOSTILE, "\u0000 nul", "x" * 4000, "\\u0000", '{"a": [1]}', "🜲" * 3000):
        decide(client, alert_id, "true_positive", reason)
        kept = history(client, alert_id)[0]["reason"]
        assert kept == reason.strip().replace("\0", "\\0")
        assert state(running, alert_id)[2] == kept
    path = f"{ALERTS}/{alert_id}/disposition"
    lone = b'{"disposition": "true_positive", "reason": "\\ud800"}'
    raw = b'{"disposition": "true_positive", "reason": "\xff\xfe"}'
    for body in (lone, raw, b"{", b""):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
    assert len(history(client, alert_id)) == 6


def test_what_cannot_be_decided_is_said_clearly(running: Server, client: httpx2.Client) -> None:
    body = {"disposition": "false_positive", "reason": "x"}
    for name in ("nothing", "%7B%7D%25s", "x" * 200, "a%00b", "%ff%fe", "%ED%A0%80"):
        is_problem(client.post(f"{ALERTS}/{name}/disposition", json=body), 404, "not_found")
        is_problem(client.get(f"{ALERTS}/{name}/dispositions"), 404, "not_found")
        is_problem(client.delete(f"/api/v1/dispositions/{name}"), 404, "not_found")
        is_problem(client.delete(f"{BULK}/{name}"), 404, "not_found")


def test_only_keys_that_may_write_decide(running: Server, client: httpx2.Client) -> None:
    (alert_id,) = sent(running, [alert(7, "R-scope")])
    made = tocsin(
        running.data, "key", "create", "reader", "--scope", "read", database=url_of(running)
    )
    headers = {"Authorization": f"Bearer {made.stdout.decode().strip()}"}
    body = {"disposition": "false_positive", "reason": "x"}
    with httpx2.Client(base_url=running.url, headers=headers) as reader:
        denied = reader.post(f"{ALERTS}/{alert_id}/disposition", json=body)
        is_problem(denied, 403, "forbidden")
        assert reader.get(f"{ALERTS}/{alert_id}/dispositions").json() == {"dispositions": []}
        is_problem(reader.delete("/api/v1/dispositions/x"), 403, "forbidden")
    sql_keys = sql(running, "SELECT key_id FROM api_keys WHERE name = 'reader'")
    tocsin(running.data, "key", "revoke", sql_keys[0]["key_id"], database=url_of(running))
    tocsin_keys = sql(
        running, "SELECT count(*) AS n FROM dispositions WHERE alert_id = :i", i=alert_id
    )
    assert tocsin_keys[0]["n"] == 0


def test_people_who_decide_at_once_leave_one_decision_standing_and_true_counts(
    running: Server, client: httpx2.Client
) -> None:
    ids = sent(running, [alert(n, "R-race", "race-1") for n in range(4)])
    rule = rule_of(client, ids[0])
    words = ("true_positive", "false_positive", "benign_positive", "undetermined")
    ready = threading.Barrier(8)

    def person(number: int) -> None:
        with running.client() as own:
            ready.wait()
            made: list[str] = []
            for turn in range(12):
                alert_id = ids[(number + turn) % 4]
                made.append(decide(own, alert_id, words[(number * 7 + turn) % 4], f"{number}"))
                if turn % 3 == 2:
                    own.delete(f"/api/v1/dispositions/{made[turn - 1]}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(person, range(8)))
    attacks = harmless = 0
    for alert_id in ids:
        decisions = history(client, alert_id)
        (stands,) = [each for each in decisions if each["stands"]]
        assert stands == next(each for each in decisions if each["undone_at"] is None)
        attacks += stands["disposition"] == "true_positive"
        harmless += stands["disposition"] in ("false_positive", "benign_positive")
        expected = "triaged" if stands["disposition"] == "undetermined" else "closed"
        assert state(running, alert_id)[:3] == (expected, stands["actor"], stands["reason"])
    assert counts(running, "rule", rule) == (attacks, harmless)
    done = tocsin(running.data, "db", "recount", database=url_of(running))
    assert done.returncode == 0, done.stderr
    assert b"0 were wrong" in done.stdout


def test_counts_that_somebody_spoilt_are_made_anew(running: Server, client: httpx2.Client) -> None:
    (alert_id,) = sent(running, [alert(8, "R-spoilt")])
    rule = rule_of(client, alert_id)
    decide(client, alert_id, "true_positive")
    done = tocsin(running.data, "db", "recount", database=url_of(running))
    assert b"0 were wrong" in done.stdout
    by_hand(
        running,
        "UPDATE decision_counts SET attacks = 99 WHERE kind = 'rule' AND value = :v",
        v=rule,
    )
    assert counts(running, "rule", rule) == (99, 0)
    done = tocsin(running.data, "db", "recount", database=url_of(running))
    assert b"1 was wrong" in done.stdout
    assert counts(running, "rule", rule) == (1, 0)


# --- many at once ---------------------------------------------------------------------------------


def preview(client: httpx2.Client, **wanted: object) -> dict[str, object]:
    answer = client.post(
        BULK,
        json={
            "filter": wanted,
            "disposition": "false_positive",
            "reason": "noise",
            "preview": True,
        },
    )
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document


def test_many_are_previewed_decided_and_undone(running: Server, client: httpx2.Client) -> None:
    ids = sent(running, [alert(n, "R-bulk", f"h{n % 2}") for n in range(700)])
    rule = rule_of(client, ids[0])
    decide(client, ids[0], "true_positive", "this one was real")
    shown = preview(client, rule_id="R-bulk")
    match = shown["match"]
    assert isinstance(match, dict)
    assert (match["count"], len(match["sample"])) == (700, 20)
    assert match["by_rule"] == {"R-bulk": 700}
    assert match["decided"] == {"true_positive": 1}
    assert sum(match["by_verdict"].values()) == 700
    earlier = sql(running, "SELECT bulk_id FROM bulk_decisions WHERE matched = 700")
    assert earlier == [], "a preview records nothing"
    assert counts(running, "rule", rule) == (1, 0), "a preview changes nothing"
    order = {
        "filter": shown["filter"], "disposition": "false_positive", "reason": HOSTILE,
        "token": match["token"],
    }  # fmt: skip
    done = client.post(BULK, json=order).json()
    assert done["decided"] == 700
    assert counts(running, "rule", rule) == (0, 700)
    assert {state(running, i)[:3:2] for i in ids[::70]} == {("closed", HOSTILE.strip())}
    assert audited(running, done["bulk_id"]) == ["bulk.begun", "alerts.decided", "alerts.decided"]
    bulks = client.get(BULK).json()["bulks"]
    assert (bulks[0]["bulk_id"], bulks[0]["matched"]) == (done["bulk_id"], 700)
    undone = client.delete(f"{BULK}/{done['bulk_id']}").json()
    assert undone["undone"] == 700
    assert counts(running, "rule", rule) == (1, 0)
    assert state(running, ids[0])[:3:2] == ("closed", "this one was real")
    assert state(running, ids[1]) == ("triaged", None, None, False)
    is_problem(client.delete(f"{BULK}/{done['bulk_id']}"), 409, "conflict")
    trail = sql(
        running,
        "SELECT CAST(detail AS TEXT) AS detail FROM audit_logs "
        "WHERE action = 'alerts.decided' AND subject = :bulk",
        bulk=done["bulk_id"],
    )
    assert sum(json.loads(row["detail"])["count"] for row in trail) == 700


def test_a_match_that_changed_is_a_conflict(running: Server, client: httpx2.Client) -> None:
    sent(running, [alert(n, "R-moved") for n in range(3)])
    shown = preview(client, rule_id="R-moved")
    match = shown["match"]
    assert isinstance(match, dict)
    sent(running, [alert(4, "R-moved")])
    order = {"disposition": "false_positive", "reason": "noise", "token": match["token"]}
    later = client.post(BULK, json={"filter": {"rule_id": "R-moved"}, **order})
    assert "4 now" in is_problem(later, 409, "conflict")["detail"]
    same = client.post(BULK, json={"filter": shown["filter"], **order})
    assert same.json()["decided"] == 3, "`until` of the preview keeps later alerts out"
    assert len(listed(client, rule_id="R-moved", status="triaged")) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"filter": {}}, "at least one"),
        ({"filter": {"rule": "typo"}}, "rule"),
        ({"filter": {"rule_id": "x", "since": "2026-01-01T00:00:00"}}, "zone"),
        ({"filter": {"rule_id": "x", "min_risk": 101}}, "min_risk"),
        ({"filter": {"rule_id": "x\0"}}, "NUL"),
        ({"token": None}, "preview"),
        ({"disposition": "ok"}, "disposition"),
        ({"reason": ""}, "reason"),
    ],
)
def test_a_bulk_that_could_go_wrong_is_refused(
    client: httpx2.Client, change: dict[str, object], says: str
) -> None:
    good = {
        "filter": {"rule_id": "none"}, "disposition": "false_positive", "reason": "x",
        "token": "0" * 64,
    }  # fmt: skip
    answer = client.post(BULK, json={**good, **change})
    assert says in is_problem(answer, 422, "input")["detail"]


def test_alerts_that_are_not_triaged_wait(running: Server, client: httpx2.Client) -> None:
    ids = sent(running, [alert(1, "R-state"), alert(2, "R-state"), alert(3, "R-state")])
    for alert_id, status in zip(ids, ("received", "parked", "folded"), strict=True):
        by_hand(running, "UPDATE alerts SET status = :s WHERE alert_id = :i", s=status, i=alert_id)
    for alert_id, says in zip(ids, ("still being", "retry it", "folded into"), strict=True):
        body = {"disposition": "false_positive", "reason": "x"}
        answer = client.post(f"{ALERTS}/{alert_id}/disposition", json=body)
        assert says in is_problem(answer, 409, "conflict")["detail"]
    match = preview(client, rule_id="R-state")["match"]
    assert isinstance(match, dict)
    assert match["count"] == 0


def test_decisions_outlive_the_alert(running: Server, client: httpx2.Client) -> None:
    (alert_id,) = sent(running, [{**alert(1, "R-old"), "title": "old"}])
    rule = rule_of(client, alert_id)
    decision = decide(client, alert_id, "false_positive")
    for table in ("alerts", "triage_results", "alert_context"):
        by_hand(running, f"DELETE FROM {table} WHERE alert_id = :i", i=alert_id)
    assert counts(running, "rule", rule) == (0, 1)
    assert len(history(client, alert_id)) == 1
    assert client.delete(f"/api/v1/dispositions/{decision}").status_code == 200
    assert counts(running, "rule", rule) == (0, 0)
    is_problem(
        client.post(
            f"{ALERTS}/{alert_id}/disposition",
            json={"disposition": "false_positive", "reason": "x"},
        ),
        404,
        "not_found",
    )


def test_the_trail_of_all_of_it_is_whole(running: Server) -> None:
    done = tocsin(running.data, "audit", "verify", database=url_of(running))
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"Traceback" not in running.log.read_bytes()
