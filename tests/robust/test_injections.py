"""Injections into every field that attackers write: nothing falls, closes or leaks."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flow.questions import has_no_trouble
from tests.robust.desk import check_opinions, check_pairs, opinions, results, send
from tests.robust.hostile_model import HostileModel, hostile_model, obeys
from tests.robust.injections import ATTACKS, FIELDS, PLAIN, TEXTS, bipia, injected
from tests.servers import Server, serving


@pytest.fixture(scope="module")
def model() -> Iterator[HostileModel]:
    with hostile_model(obeys) as running:
        yield running


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, model: HostileModel) -> Iterator[Server]:
    """A server that asks the model that obeys."""
    with serving(tmp_path_factory.mktemp("asking"), **model.settings()) as running:
        yield running


@pytest.mark.timeout(600)
def test_no_injection_lowers_a_risk_or_closes_an_alert_without_a_model(server: Server) -> None:
    pairs = send(
        server,
        (
            (f"{kind}: {text} in {field}", attack, injected(attack, field, TEXTS[text]))
            for kind, attack in ATTACKS.items()
            for field in FIELDS
            for text in TEXTS
        ),
    )
    assert len(pairs) == len(ATTACKS) * len(FIELDS) * len(TEXTS)
    check_pairs(server, pairs)
    has_no_trouble(server)


@pytest.mark.timeout(600)
def test_no_known_injection_lowers_a_risk_without_a_model(server: Server, shared: Path) -> None:
    texts = list(bipia(shared))
    assert len(texts) >= 100
    attack = ATTACKS["download"]
    pairs = send(
        server,
        (
            (f"{text[:60]} in {field}", attack, injected(attack, field, text))
            for field in FIELDS
            for text in texts
        ),
    )
    check_pairs(server, pairs)
    has_no_trouble(server)


@pytest.mark.timeout(900)
def test_a_model_that_obeys_every_injection_lowers_and_closes_nothing(
    asking: Server, model: HostileModel
) -> None:
    attacks = list(ATTACKS.values())
    pairs = send(
        asking,
        (
            (f"{text} in {field}", attack, injected(attack, field, TEXTS[text]))
            for number, field in enumerate(FIELDS)
            for attack in [attacks[number % len(attacks)]]
            for text in list(TEXTS)[number % 3 :: 3]
        ),
    )
    found = opinions(asking, 600)
    asked = [row for row in found.values() if row["status"] == "done"]
    assert len(asked) >= len(pairs) / 2, {row["status"] for row in found.values()}
    check_pairs(asking, pairs)
    check_opinions(asking)
    for row in asked:
        assert json.loads(row["reply"])["notes"]
        assert row["risk_after"] == row["risk_before"]
    assert model.sent


@pytest.mark.timeout(600)
def test_a_model_that_obeys_known_injections_lowers_nothing(asking: Server, shared: Path) -> None:
    attack = ATTACKS["credentials"]
    texts = list(bipia(shared))[::4]
    pairs = send(
        asking,
        (
            (text[:60], attack, injected(attack, FIELDS[place % len(FIELDS)], text))
            for place, text in enumerate(texts)
        ),
    )
    check_pairs(asking, pairs)
    check_opinions(asking)


def test_a_model_gets_the_text_fenced_as_data_and_no_name_in_it(
    asking: Server, model: HostileModel
) -> None:
    send(
        asking,
        [
            (f"one more {name}", attack, injected(attack, "description", PLAIN))
            for name, attack in ATTACKS.items()
        ],
    )
    opinions(asking)
    for content in model.sent:
        body = json.loads(content)
        system, data = (message["content"] for message in body["messages"][:2])
        assert PLAIN[:40] not in system
        first, text, last = data.split("\n")
        fence = first.split()[1]
        assert (first, last) == (f"DOSSIER {fence} BEGINS", f"DOSSIER {fence} ENDS")
        assert fence in system
        assert fence not in text
        json.loads(text)
        for name in ("ws-accounts-17", "okafor", "srv-files-02", "svc-backup", "10.31.", "45.77."):
            assert name.encode() not in content, (name, text)
    fences = {json.loads(c)["messages"][1]["content"].split()[1] for c in model.sent}
    assert len(fences) > len(model.sent) / 2  # a call that was cached or repeated keeps its own


def test_what_was_asked_is_explained_to_whoever_reads_the_alert(asking: Server) -> None:
    # its risk is medium and could be raised to high, so it is asked about; the machine is its own,
    # so that no other test's alerts are its history
    attack = {**ATTACKS["beacon"], "source_ip": "10.31.7.8", "destination_ip": "45.77.200.5"}
    pair = send(asking, [("explained", attack, injected(attack, "description", PLAIN))])[0]
    alert_id = pair.injected
    assert opinions(asking)[alert_id]["status"] == "done"
    with asking.client() as client:
        shown = client.get(f"/api/v1/alerts/{alert_id}").json()
    opinion = shown["opinion"]
    assert opinion["status"] == "done"
    assert opinion["why"].startswith("asked: ")
    assert opinion["ledger"][0]["prompt_tokens"] > 0
    assert [claim for claim in opinion["claims"] if "dropped" in claim]
    assert shown["verdict"]["risk_score"] == results(asking)[alert_id]["risk_score"]
