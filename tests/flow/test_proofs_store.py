"""What a verdict was made from, on both databases: opinions, learned models, other orders."""

import msgspec
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.engine import Connection
from tests import tampering
from tests.audited import work
from tests.following import attack_alert, judge
from tests.unit.learned_models import itself

from tocsin.app import Store, open_store
from tocsin.errors import NotFoundError
from tocsin.model import (
    Change,
    Detection,
    Disposition,
    Indicator,
    Learned,
    ModelStatus,
    ObservableType,
    Opinion,
    OpinionStatus,
    Proof,
    ProofOutcome,
    Record,
    Severity,
    ThreatLevel,
)
from tocsin.ports import OpinionRequest
from tocsin.proof import (
    Contents,
    Deriver,
    check_rows,
    contents_of,
    examine,
    open_signer,
    pack,
)
from tocsin.settings import Settings
from tocsin.store.opinions import Queue
from tocsin.store.tables import alert_context, audit_logs, triage_results

KEY = "a key of {this} installation: 100%"


class Card(Record, frozen=True, kw_only=True):
    """A card of tests."""

    text: str = "{} %s"


async def proof_of(store: Store, alert_id: str) -> tuple[Contents, Proof]:
    contents = await contents_of(store.proofs, alert_id)
    return contents, Deriver().prove(contents.judged, contents.learned)


def beacon(number: int = 1) -> dict[str, object]:
    return attack_alert(
        number, "Malware command and control beacon", rule_id="R-9", destination_ip="198.51.100.7",
        source_ip="10.1.1.1", user_name="x", url="http://bad.example.com/{}%s",
    )  # fmt: skip


def indicator(level: ThreatLevel) -> Indicator:
    return Indicator(
        type=ObservableType.IP, value="198.51.100.7", source="feed {}%s", threat_level=level
    )


async def test_intelligence_and_detections_are_kept_as_they_were(
    store: Store, settings: Settings
) -> None:
    await store.indicators.upsert([indicator(ThreatLevel.CRITICAL)], actor="t")
    await store.detections.upsert(
        [Detection(catalogue="c", detection_id="R-9", name="n", level=Severity.HIGH)], actor="t"
    )
    (first,) = await judge(store, settings, [beacon()])
    await store.indicators.upsert([indicator(ThreatLevel.LOW)], actor="t")
    await store.detections.upsert(
        [Detection(catalogue="c", detection_id="R-9", name="n", level=Severity.LOW)], actor="t"
    )
    (second,) = await judge(store, settings, [beacon(2)])
    levels = []
    for alert_id in (first, second):
        contents, proof = await proof_of(store, alert_id)
        assert proof.outcome is ProofOutcome.REPRODUCED, proof
        (known,) = [s for s in contents.judged.inputs.sightings if s.sources]
        assert contents.judged.inputs.detection is not None
        levels.append((known.threat_level, contents.judged.inputs.detection.level))
    assert levels == [
        (ThreatLevel.CRITICAL, Severity.HIGH),
        (ThreatLevel.LOW, Severity.LOW),
    ]


async def test_most_alerts_keep_nothing_beside_their_verdict(
    store: Store, settings: Settings
) -> None:
    ids = await work(store, settings, 20)
    query = sa.select(sa.func.count(triage_results.c.inputs))
    assert await store.database.read(lambda c: c.execute(query).scalar_one()) == 0
    for judged in await store.proofs.judged(ids):
        assert Deriver().prove(judged).outcome is ProofOutcome.REPRODUCED


async def test_the_order_of_context_rows_does_not_matter(store: Store, settings: Settings) -> None:
    (alert_id,) = await judge(store, settings, [beacon()])
    query = sa.select(alert_context).where(alert_context.c.alert_id == alert_id)
    rows = await store.database.read(lambda c: [dict(r) for r in c.execute(query).mappings()])
    assert len(rows) == 3
    gone = sa.delete(alert_context).where(alert_context.c.alert_id == alert_id)
    await store.database.write(lambda c: c.execute(gone).rowcount)
    for row in reversed(rows):
        again = sa.insert(alert_context).values(**row)
        await store.database.write(lambda c, again=again: c.execute(again).rowcount)
    assert (await proof_of(store, alert_id))[1].outcome is ProofOutcome.REPRODUCED


async def test_a_verdict_that_a_second_opinion_raised_is_reproduced(
    store: Store, settings: Settings
) -> None:
    store.dossiers.queue = Queue(
        lambda batch: [OpinionRequest(d.alert_id, 0.5, "asked: {} %s") for d in batch], 10
    )
    (alert_id,) = await work(store, settings, 1)
    await store.opinions.lease(1, 60)
    said = Opinion(
        alert_id=alert_id,
        status=OpinionStatus.DONE,
        why="w",
        change=Change(risk_before=1, risk_after=99, review_before=False, review_after=True),
    )
    assert await store.opinions.finish(said, {"HOST_1": "a secret name"})
    contents, proof = await proof_of(store, alert_id)
    assert contents.judged.dossier.verdict is not None
    assert contents.judged.dossier.verdict.risk_score == 99
    assert proof.outcome is ProofOutcome.REPRODUCED, proof
    assert [row.action for row in contents.papers.audit] == ["chain.begun", "opinion.recorded"]
    assert check_rows(contents.papers.audit).right == 2
    higher = sa.update(triage_results).values(risk_score=99.5)
    await store.database.write(lambda c: c.execute(higher).rowcount)
    _, proof = await proof_of(store, alert_id)
    assert proof.outcome is ProofOutcome.DIFFERS
    assert "risk_score" in proof.differences[0].path


async def test_a_learned_model_is_found_even_when_it_is_not_live_any_more(
    store: Store, settings: Settings
) -> None:
    learned = itself(Learned(version="", base=0.3, expert=1.1, evidence={"prior.source": 0.7}))
    await store.models.add(learned, Card(), ModelStatus.CHAMPION, "w", actor="t")
    (alert_id,) = await judge(store, settings, [beacon()])
    await store.models.use("shipped", actor="t")
    contents, proof = await proof_of(store, alert_id)
    assert contents.learned == learned
    assert proof.model_version.endswith("+" + learned.version)
    assert proof.outcome is ProofOutcome.REPRODUCED, proof
    file = settings.data / "b.zip"
    file.write_bytes(pack(contents, open_signer(settings)))
    found = examine(file)
    assert found.proof is not None
    assert found.proof.outcome is ProofOutcome.REPRODUCED


async def test_decisions_and_audit_rows_go_into_the_bundle(
    store: Store, settings: Settings
) -> None:
    (alert_id,) = await work(store, settings, 1)
    await store.decisions.decide(alert_id, Disposition.TRUE_POSITIVE, "seen {} %s", actor="t")
    contents, proof = await proof_of(store, alert_id)
    assert proof.outcome is ProofOutcome.REPRODUCED
    assert [one.reason for one in contents.papers.decisions] == ["seen {} %s"]
    assert [row.action for row in contents.papers.audit] == ["chain.begun", "alert.decided"]
    written = msgspec.json.encode(contents.papers)
    assert b"seen {} %s" in written


async def test_an_alert_named_as_a_table_is_brings_no_rows_of_others(
    store: Store, settings: Settings
) -> None:
    await work(store, settings, 3)
    await judge(store, settings, [beacon() | {"alert_id": "alerts"}])
    assert (await store.proofs.papers("alerts")).audit == ()
    await store.dossiers.reopen("alerts", actor="t")
    await store.decisions.decide("alerts", Disposition.TRUE_POSITIVE, "w", actor="t")
    audit = (await store.proofs.papers("alerts")).audit
    assert [row.action for row in audit] == ["chain.begun", "alert.decided"]


@pytest.mark.parametrize("key", ["", KEY], ids=["without a key", "with a key"])
async def test_a_row_of_the_trail_that_was_edited_before_it_was_packed_is_found(
    store: Store, settings: Settings, key: str
) -> None:
    (alert_id,) = await work(store, settings, 1)
    keyed = settings.model_copy(update={"audit_key": SecretStr(key)})
    async with open_store(keyed) as other:
        for n, said in enumerate((Disposition.FALSE_POSITIVE, Disposition.TRUE_POSITIVE)):
            await other.decisions.decide(alert_id, said, f"reason {n} {{}} %s", actor="t")
    whole = (await store.proofs.papers(alert_id)).audit
    assert [row.action for row in whole] == ["chain.begun", "alert.decided", "alert.decided"]
    found = check_rows(whole, key)
    assert (found.rows, found.right, found.linked, found.unchecked) == (3, 3, 2, 0)
    assert found.wrong == ()
    unkeyed = check_rows(whole)
    assert (unkeyed.right, unkeyed.unchecked, unkeyed.wrong) == ((0, 3, ()) if key else (3, 0, ()))

    def edit(connection: Connection) -> None:
        tampering.drop_triggers(connection)
        here = sa.and_(audit_logs.c.action == "alert.decided", audit_logs.c.sequence == 2)
        text = whole[-1].detail.replace("reason 1", "another reason")
        changed = sa.update(audit_logs).where(here).values(detail=text)
        assert connection.execute(changed).rowcount == 1

    await store.database.write(edit)
    contents, proof = await proof_of(store, alert_id)
    assert proof.outcome is ProofOutcome.REPRODUCED, "the verdict is untouched"
    file = settings.data / "b.zip"
    file.write_bytes(pack(contents, open_signer(settings)))
    finding = examine(file, audit_keys=key)
    assert finding.tampered == ()
    assert finding.audit is not None
    writer = whole[-1].writer
    (wrong,) = finding.audit.wrong
    assert wrong.startswith(f"{writer} row 2 is not what was written")


async def test_what_is_not_there_is_not_proven(store: Store) -> None:
    with pytest.raises(NotFoundError):
        await contents_of(store.proofs, "nothing {}")
    assert [ids async for ids in store.proofs.portions()] == []
    assert await store.proofs.count() == 0
    assert await store.proofs.learned("none") is None
