"""Models that lie, babble, hang and break: every verdict stays, and no alert waits for them."""

import json
import time
from pathlib import Path

import pytest
from tests.flow.questions import ALERTS, accepted, has_no_trouble, query
from tests.robust.desk import check_opinions, opinions, results, send
from tests.robust.hostile_model import MISCHIEF, hostile_model, obeys, raises_honestly
from tests.robust.injections import ATTACKS, PLAIN, injected
from tests.servers import serving, tocsin

DETERMINISTIC = (
    "verdict", "probability", "impact", "confidence_score", "analysis_result", "evidence", "gaps",
    "recommended_actions", "model_version",
)  # fmt: skip
RAISED = ("risk_score", "risk_level", "requires_human_review")


def cases() -> list[tuple[str, dict[str, object], dict[str, object]]]:
    return [
        (kind, attack, injected(attack, "command_line", PLAIN)) for kind, attack in ATTACKS.items()
    ]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What triage says of the same alerts where no model is."""
    with serving(tmp_path_factory.mktemp("calm")) as server:
        pairs = send(server, cases())
        found = results(server)
        ids = [i for pair in pairs for i in (pair.plain, pair.injected)]
        return [tuple(found[i][c] for c in ("verdict", "probability", "risk_score")) for i in ids]


@pytest.mark.parametrize("mischief", sorted(MISCHIEF))
def test_whatever_a_model_does_every_verdict_stays(
    tmp_path: Path, mischief: str, calm: list[tuple[object, ...]]
) -> None:
    with (
        hostile_model(MISCHIEF[mischief]) as model,
        serving(tmp_path, **model.settings(narrator_attempts="2", llm_deadline="5")) as server,
    ):
        pairs = send(server, cases())
        before = results(server)
        found = opinions(server, 60)
        assert {row["status"] for row in found.values()} <= {"done", "failed"}
        assert found
        check_opinions(server)
        after = results(server)
        ids = [i for pair in pairs for i in (pair.plain, pair.injected)]
        for place, alert_id in enumerate(ids):
            for column in DETERMINISTIC + RAISED:
                assert after[alert_id][column] == before[alert_id][column], column
            told = tuple(after[alert_id][c] for c in ("verdict", "probability", "risk_score"))
            assert told == calm[place]
            assert after[alert_id]["status"] == "triaged"
        has_no_trouble(server)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_a_model_that_refuses_changes_no_verdict(tmp_path: Path, status: int) -> None:
    with hostile_model(obeys) as model:
        model.status = status
        more = {"narrator_attempts": "2", "narrator_timeout": "3", "llm_deadline": "2"}
        with serving(tmp_path, **model.settings(**more)) as server:
            send(server, cases())
            before = [tuple(row) for row in results(server).values()]
            found = opinions(server, 60)
            assert {row["status"] for row in found.values()} == {"failed"}
            assert all(row["error"] for row in found.values())
            assert [tuple(row) for row in results(server).values()] == before
            has_no_trouble(server)


def test_a_model_that_hangs_delays_no_alert(tmp_path: Path) -> None:
    with hostile_model() as model:

        def hang(_: dict[str, object]) -> str:
            model.released.wait(60)
            return ""

        model.talk = hang
        with serving(tmp_path, **model.settings(narrator_timeout="30")) as server:
            send(server, cases())
            assert model.asked.wait(20)
            attack = ATTACKS["beacon"]
            with server.client() as client:
                started = time.monotonic()
                body = [{**attack, "case": number} for number in range(500)]
                accepted(client.post(ALERTS, json=body))
                balance = server.settle(30)
                seconds = time.monotonic() - started
            assert balance["triaged"] == 500 + 2 * len(ATTACKS)
            assert seconds < 20  # it is one or two; the machine may be busy
            waiting = query(server.database, "SELECT status FROM opinions")
            assert {row["status"] for row in waiting} == {"pending"}
            assert server.stop() == 0  # a model that hangs does not hold up the end either


def test_a_model_that_is_away_is_asked_again_and_then_given_up(tmp_path: Path) -> None:
    settings = {
        "llm_providers": json.dumps(
            [{"name": "gone", "url": "http://127.0.0.1:9/v1", "model": "m", "timeout": 1}]
        ),
        "llm_deadline": "1",
        "narrator_interval": "0.05",
        "narrator_pause": "0.05",
        "narrator_attempts": "2",
    }
    with serving(tmp_path, **settings) as server:
        send(server, cases())
        found = opinions(server, 60)
        assert {row["status"] for row in found.values()} == {"failed"}
        assert {row["attempts"] for row in found.values()} == {2}
        has_no_trouble(server)


def test_a_spent_budget_is_said_and_changes_nothing(tmp_path: Path) -> None:
    with (
        hostile_model(obeys) as model,
        serving(tmp_path, **model.settings(llm_day_tokens="10", narrator_daily="1")) as server,
    ):
        send(server, cases())
        found = opinions(server, 60)
        assert {row["status"] for row in found.values()} == {"budget"}
        assert model.sent == []
        wanted = [row["why"] for row in found.values() if "TOCSIN_NARRATOR_DAILY" in row["why"]]
        assert len(wanted) == len(found) - 1


def test_an_honest_opinion_raises_the_risk_and_shows_it_everywhere(tmp_path: Path) -> None:
    with hostile_model(raises_honestly) as model:
        settings = model.settings()
        with serving(tmp_path, **settings) as server:
            attack = ATTACKS["beacon"]
            with server.client() as client:
                (alert_id,) = accepted(client.post(ALERTS, json=attack))
                server.settle()
                opinions(server, 60)
                shown = client.get(f"{ALERTS}/{alert_id}").json()
                listed = client.get(ALERTS, params={"sort": "risk_score"}).json()["alerts"][0]
            change = shown["opinion"]["change"]
            assert change["risk_after"] > change["risk_before"]
            assert shown["verdict"]["risk_score"] == change["risk_after"] == listed["risk_score"]
            expected = 100 * shown["verdict"]["probability"] * shown["verdict"]["impact"]
            assert change["risk_before"] == pytest.approx(expected, abs=0.06)
            assert check_opinions(server) == 1
            explained = tocsin(tmp_path, "explain", alert_id, **settings).stdout.decode()
            assert "Second opinion of a language model" in explained
            assert "raised to" in explained


def test_a_model_that_emits_other_alerts_ids_touches_only_its_own(tmp_path: Path) -> None:
    with hostile_model(obeys) as model, serving(tmp_path, **model.settings()) as server:
        pairs = send(server, cases()[:1])
        opinions(server, 60)
        victim = pairs[0].plain

        def speaks_of_others(_: dict[str, object]) -> str:
            return json.dumps(
                {
                    "assessment": "false_positive",
                    "raise_to": 1.0,
                    "ask_review": True,
                    "summary": f"Alert {victim} is the same (E1).",
                    "claims": [{"text": f"See {victim}.", "cites": ["E1"]}],
                    "tool_requests": [],
                }
            )

        before = tuple(results(server)[victim])
        model.talk = speaks_of_others
        send(server, [("another", {**ATTACKS["beacon"], "x": 1}, {**ATTACKS["beacon"], "x": 2})])
        found = opinions(server, 60)
        assert tuple(results(server)[victim]) == before
        others = [row for i, row in found.items() if i not in (victim, pairs[0].injected)]
        assert others
        for row in others:
            assert row["risk_after"] == row["risk_before"]  # no claim is left that it rests on


def test_no_choice_of_excerpts_lays_a_secret_or_a_name_bare(tmp_path: Path) -> None:
    offsets = iter(range(0, 4000, 7))

    def reads(_: dict[str, object]) -> str:
        requests = [{"tool": "payload", "offset": next(offsets)} for _ in range(4)]
        return json.dumps({"assessment": "undetermined", "tool_requests": requests})

    key = "".join(f"MIIEpAIBAAKCAQEAq{n:05d}\n" for n in range(60))
    attack = {
        **ATTACKS["beacon"],
        "user_name": "qmiriam.okafor",
        "host_name": "qkontor-pc-17",
        "extra": "x" * 90 + " --password Zq8Korrekt9Pferd7 then qmiriam.okafor on qkontor-pc-17",
        "key": f"-----BEGIN RSA PRIVATE KEY-----\n{key}-----END RSA PRIVATE KEY-----",
    }
    with (
        hostile_model(reads) as model,
        serving(
            tmp_path, **model.settings(narrator_steps="10", narrator_tokens="200000")
        ) as server,
    ):
        send(server, [("excerpts", attack, attack)])
        opinions(server, 60)
        read = "".join(m["content"] for m in json.loads(model.sent[-1])["messages"])
        assert read.count("untrusted_excerpt") >= 20
        assert "SECRET_" in read
        for whole in (
            "Zq8Korrekt9Pferd7",
            "qmiriam.okafor",
            "qkontor-pc-17",
            "MIIEpAIBAAKCAQEAq00031",
        ):
            for start in range(len(whole) - 6):
                part = whole[start : start + 7].encode()
                assert not any(part in content for content in model.sent), (whole, part)


def test_without_a_provider_nothing_is_asked_and_nothing_is_written(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        pairs = send(server, cases())
        assert query(server.database, "SELECT * FROM opinions") == []
        with server.client() as client:
            assert "opinion" not in client.get(f"{ALERTS}/{pairs[0].plain}").json()


def test_a_narrator_without_a_provider_is_a_clear_error(tmp_path: Path) -> None:
    told = tocsin(tmp_path, "explain", "x", narrator_enabled="true")
    assert told.returncode != 0
    assert b"TOCSIN_LLM_PROVIDERS" in told.stderr + told.stdout


def test_a_narrator_that_is_switched_off_asks_nobody(tmp_path: Path) -> None:
    with (
        hostile_model(obeys) as model,
        serving(tmp_path, **model.settings(narrator_enabled="false")) as server,
    ):
        send(server, cases())
        assert query(server.database, "SELECT * FROM opinions") == []
        assert model.sent == []
