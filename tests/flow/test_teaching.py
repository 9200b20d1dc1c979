"""What learning reads from the store: alerts as sent, and the counts of all decisions."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.decided import decided_server, sent, url_of
from tests.servers import Server, tocsin

from tocsin.app import open_store
from tocsin.learn import fit_sample
from tocsin.learn.sample import Sample
from tocsin.model import Decided
from tocsin.settings import load
from tocsin.store.decided import LONGEST_PAYLOAD, Teaching
from tocsin.store.undecided import OF_A_RULE


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("teaching")
    with decided_server(
        request.param, folder, lambda: request.getfixturevalue("postgres_server")
    ) as server:
        done = tocsin(
            server.data, "decisions", "import", "-", stdin=history(), database=url_of(server)
        )
        assert done.returncode == 0, done.stderr
        yield server


def history() -> bytes:
    """Sixty decisions on one rule, told apart by what its event did, and a very long alert."""
    lines = []
    for number in range(60):
        attack = number % 2 == 0
        event = {"eventName": "DeleteTrail" if attack else "ListTrails", "region": "north"}
        if number == 0:
            event["comment"] = "long " * LONGEST_PAYLOAD
        rule = {"id": "LESSON-1", "title": "Trail touched", "severity": "medium"}
        sent = {"rule": rule, "event": event, "timestamp": f"2026-03-{1 + number // 4:02d}T00:00Z"}
        lines.append(
            {
                "alert": {**sent, "host_name": f"h{number}"},
                "disposition": "true_positive" if attack else "false_positive",
                "decided_at": f"2026-03-20T00:{number:02d}:00Z",
            }
        )
    return b"\n".join(json.dumps(line).encode() for line in lines)


def teaching(server: Server, limit: int) -> Teaching:
    async def read() -> Teaching:
        async with open_store(load(database=url_of(server))) as store:
            return await store.decided.teaching(limit)

    return asyncio.run(read())


def test_what_an_event_did_is_learned_from_stored_decisions(running: Server) -> None:
    found = teaching(running, 100)
    assert len(found.examples) == 60
    learned = fit_sample(Sample.of(found.examples), by_rule=found.by_rule)
    assert learned.words["eventname=deletetrail"] > 0 > learned.words["eventname=listtrails"]
    sent = [example.dossier.payload for example in found.examples]
    assert sent.count("") == 1, "what is too long is left out"


def test_decisions_that_are_not_read_are_not_newer_than_the_model(running: Server) -> None:
    found = teaching(running, 30)
    assert len(found.examples) == 30
    learned = fit_sample(Sample.of(found.examples), by_rule=found.by_rule)
    assert list(learned.rules.values()) == [Decided(attacks=30, harmless=30)]
    counted = fit_sample(Sample.of(found.examples)).rules
    assert list(counted.values()) == [Decided(attacks=15, harmless=15)]


def test_alerts_of_rules_that_nobody_decided_on_are_read_beside(running: Server) -> None:
    new = [
        {
            "rule": {"id": rule, "title": "Trail touched"},
            "event": {"eventName": "StopTrail", "number": number},
            "timestamp": f"2026-03-19T{number:02d}:00Z",
        }
        for number in range(OF_A_RULE + 3)
        for rule in ("LESSON-1", "LESSON-2")
    ]
    sent(running, new)
    found = teaching(running, 100).undecided
    rules = Counter(dossier.alert.rule.id for dossier in found if dossier.alert is not None)
    assert rules == {"LESSON-2": OF_A_RULE}
    assert all(dossier.verdict is not None and dossier.payload for dossier in found)
