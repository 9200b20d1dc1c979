"""What people do to incidents and proposed actions: undone, guarded and recorded."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from msgspec import structs
from tests.flow.test_runner import dump
from tests.following import attack_alert, drive

from tocsin.app import Store
from tocsin.errors import ConflictError, InputError, NotFoundError
from tocsin.model import Action, IncidentAction, IncidentStatus, Remediation, RemediationStatus
from tocsin.settings import Settings
from tocsin.store import remediation
from tocsin.store.incident_pages import IncidentFilter
from tocsin.store.incident_reading import Step
from tocsin.store.remediation import RemediationFilter
from tocsin.store.tables import audit_logs

DAY = timedelta(days=1)
TITLES = ("Malware beacon", "Trojan dropper was started", "Ransomware note found")


def case(host: str, start: int = 0) -> list[dict[str, object]]:
    return [
        attack_alert(
            start + 5 * n, title, host_name=host, user_name="u-" + host,
            destination_ip="203.0.113." + host.rpartition("-")[2], technique_id="T1071.001",
        )
        for n, title in enumerate(TITLES)
    ]  # fmt: skip


async def made(store: Store, settings: Settings, *hosts: str) -> dict[str, tuple[str, list[str]]]:
    """By host: the incident and its alerts."""
    found = {}
    for host in hosts:
        ids = await drive(store, settings, case(host))
        (dossier, *_) = await store.dossiers.load(ids, ("alert", "verdict", "links"))
        assert dossier.incident_id
        found[host] = (dossier.incident_id, ids)
    return found


async def alerts_of(store: Store, incident: str) -> list[str]:
    return sorted(a.alert_id for a in (await store.incident_pages.detail(incident)).alerts)


async def refused(kind: type[Exception], attempt: Awaitable[object]) -> str:
    with pytest.raises(kind) as raised:
        await attempt
    return str(raised.value)


async def trail(store: Store, action: str) -> list[sa.Row[tuple[object, ...]]]:
    query = sa.select(audit_logs).where(audit_logs.c.action == action)
    return list(await store.database.read(lambda c: c.execute(query).all()))


async def test_a_split_makes_two_and_its_undo_makes_one_again(
    store: Store, settings: Settings
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    before = await store.incident_pages.detail(incident)
    new = await store.incidents.split(incident, ids[:1], actor="key:1", reason="another actor")
    assert await alerts_of(store, new) == ids[:1]
    assert await alerts_of(store, incident) == sorted(ids[1:])
    detail = await store.incident_pages.detail(new)
    assert detail.incident.status is IncidentStatus.OPEN
    assert detail.incident.held
    assert detail.alerts[0].links == next(a.links for a in before.alerts if a.alert_id == ids[0]), (
        "why it was linked is kept"
    )
    assert detail.history[0].reason == "another actor"
    await store.incidents.undo(incident, actor="key:2", reason="no, the same")
    after = await store.incident_pages.detail(incident)
    assert [a.alert_id for a in after.alerts] == [a.alert_id for a in before.alerts]
    assert (after.incident.title, after.incident.held) == (before.incident.title, False)
    closed = await store.incident_pages.detail(new)
    assert (closed.incident.status, closed.alerts) == (IncidentStatus.CLOSED, ())
    actions = [change.action for change in after.history]
    assert actions == [IncidentAction.UNDO, IncidentAction.SPLIT]
    assert after.history[1].undone_at is not None
    (row,) = await trail(store, "incident.split")
    assert (row.actor, row.subject) == ("key:1", incident)
    assert [step[0] for step in json.loads(row.detail)["steps"]] == ids[:1]
    assert len(await trail(store, "incident.undo")) == 1
    await refused(NotFoundError, store.incidents.undo(incident, actor="a", reason=""))


async def test_a_merge_closes_the_other_and_can_be_undone(store: Store, settings: Settings) -> None:
    found = await made(store, settings, "ws-1", "ws-2")
    (one, ours), (two, theirs) = found["ws-1"], found["ws-2"]
    assert one != two
    await store.incidents.merge(one, two, actor="cli", reason="same tool")
    assert await alerts_of(store, one) == sorted(ours + theirs)
    other = (await store.incident_pages.detail(two)).incident
    assert (other.status, other.merged_into, other.alerts) == (IncidentStatus.CLOSED, one, 0)
    assert "merged into" in await refused(
        ConflictError, store.incidents.reopen(two, actor="cli", reason="")
    )
    await store.incidents.undo(two, actor="cli", reason="from the other side")
    assert await alerts_of(store, one) == sorted(ours)
    assert await alerts_of(store, two) == sorted(theirs)
    other = (await store.incident_pages.detail(two)).incident
    assert (other.status, other.merged_into, other.closed_at) == (IncidentStatus.OPEN, None, None)


async def test_an_undo_is_refused_when_things_have_moved_on(
    store: Store, settings: Settings
) -> None:
    found = await made(store, settings, "ws-1", "ws-2")
    (one, ours), (two, _) = found["ws-1"], found["ws-2"]
    await store.incidents.split(one, ours[:1], actor="cli", reason="")
    await store.incidents.add(two, ours[:1], actor="cli", reason="")
    before = await dump(store)
    said = await refused(ConflictError, store.incidents.undo(one, actor="cli", reason=""))
    assert "moved since" in said
    assert await dump(store) == before, "a refused change leaves nothing behind"


async def test_what_a_person_took_out_never_comes_back_by_itself(
    store: Store, settings: Settings
) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    await store.incidents.remove(incident, ids[:1], actor="cli", reason="a test of ours")
    assert await alerts_of(store, incident) == sorted(ids[1:])
    late = await drive(store, settings, case("ws-1", start=60))
    assert not set(ids[:1]) & set(await alerts_of(store, incident))
    assert set(late) <= set(await alerts_of(store, incident)), "new ones still find it"
    (taken,) = await store.dossiers.load(ids[:1], ("alert", "verdict", "links"))
    assert taken.incident_id is None, "nor into another"


async def test_a_closed_incident_takes_nothing_more(store: Store, settings: Settings) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    await store.incidents.close(incident, actor="cli", reason="contained")
    assert "is closed" in await refused(
        ConflictError, store.incidents.close(incident, actor="cli", reason="")
    )
    for attempt in (
        store.incidents.split(incident, ids[:1], actor="cli", reason=""),
        store.incidents.add(incident, ids[:1], actor="cli", reason=""),
        store.incidents.remove(incident, ids[:1], actor="cli", reason=""),
    ):
        await refused(ConflictError, attempt)
    late = await drive(store, settings, case("ws-1", start=60))
    assert not set(late) & set(await alerts_of(store, incident))
    await store.incidents.reopen(incident, actor="cli", reason="it came back")
    await refused(ConflictError, store.incidents.reopen(incident, actor="cli", reason=""))
    await store.incidents.undo(incident, actor="cli", reason="")
    assert (await store.incident_pages.detail(incident)).incident.status is IncidentStatus.CLOSED


async def test_wrong_requests_are_refused_with_a_reason(store: Store, settings: Settings) -> None:
    incident, ids = (await made(store, settings, "ws-1"))["ws-1"]
    cases = store.incidents
    for kind, attempt in (
        (NotFoundError, cases.close("none", actor="a", reason="")),
        (NotFoundError, cases.merge(incident, "none", actor="a", reason="")),
        (NotFoundError, cases.add(incident, ["none"], actor="a", reason="")),
        (InputError, cases.merge(incident, incident, actor="a", reason="")),
        (InputError, cases.split(incident, [], actor="a", reason="")),
        (InputError, cases.split(incident, ids, actor="a", reason="")),
        (ConflictError, cases.split(incident, ["none"], actor="a", reason="")),
        (InputError, cases.add(incident, ["x"] * 1001, actor="a", reason="")),
        (InputError, cases.close(incident, actor="a", reason="\0")),
        (InputError, cases.close(incident, actor="a", reason="\udcff")),
        (InputError, cases.close(incident, actor="a", reason="x" * 10_000)),
        (InputError, cases.assign(incident, " ", actor="a", reason="")),
        (InputError, cases.assign(incident, "x" * 257, actor="a", reason="")),
    ):
        await refused(kind, attempt)
    assert await alerts_of(store, incident) == sorted(ids)


async def test_incidents_are_listed_by_keyset_and_narrowed(
    store: Store, settings: Settings
) -> None:
    hosts = [f"ws-{n}" for n in range(5)]
    found = await made(store, settings, *hosts)
    await store.incidents.assign(found["ws-2"][0], "carol", actor="cli", reason="")
    await store.incidents.close(found["ws-3"][0], actor="cli", reason="")
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.incident_pages.page(IncidentFilter(), limit=2, cursor=cursor)
        seen += [each.incident_id for each in page.incidents]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen[0] == found["ws-3"][0], "the one that changed last"
    narrowed = await store.incident_pages.page(IncidentFilter(assigned_to="carol"))
    assert [each.incident_id for each in narrowed.incidents] == [found["ws-2"][0]]
    closed = await store.incident_pages.page(IncidentFilter(status=IncidentStatus.CLOSED))
    assert [each.incident_id for each in closed.incidents] == [found["ws-3"][0]]
    for cursor in ("x", "e30=", "WyJhIiwiYiJd", "\udcff", "WyIyMDI2LTAzLTA0VDEyOjAwOjAwIiwieCJd"):
        await refused(InputError, store.incident_pages.page(IncidentFilter(), cursor=cursor))


# --- proposed actions ----------------------------------------------------------------------------


def action(code: str = "isolate_host", entity: str = "ws-1") -> Action:
    return Action(
        action=code, title=f"{code} {entity}", entity_type="host", entity=entity,
        reason="It is hot.", priority=1, undo="Release it.", evidence=("alerts/a#/title",),
    )  # fmt: skip


async def propose(store: Store, *proposals: tuple[str, str | None, Sequence[Action]]) -> None:
    await store.database.write(lambda c: remediation.propose(c, proposals))


async def listed(store: Store, **wanted: object) -> tuple[Remediation, ...]:
    return (await store.remediation.page(RemediationFilter(**wanted))).actions  # type: ignore[arg-type]


async def test_the_same_action_is_proposed_once_for_each_incident(store: Store) -> None:
    await propose(store, ("a1", "i1", [action()]), ("a2", "i1", [action()]))
    await propose(
        store, ("a3", "i1", [action()]), ("a3", "i2", [action()]), ("a4", None, [action()])
    )
    found = await listed(store)
    assert sorted((each.incident_id or "-", each.alert_id) for each in found) == [
        ("-", "a4"), ("i1", "a1"), ("i2", "a3"),
    ]  # fmt: skip
    assert len({each.digest for each in found}) == 1, "what is done is the same"
    assert {each.status for each in found} == {RemediationStatus.PROPOSED}
    assert len(await listed(store, incident_id="i1", entity="ws-1")) == 1
    assert await listed(store, entity="ws-2") == ()


async def test_an_attack_proposes_remedies_bound_to_its_incident(
    store: Store, settings: Settings
) -> None:
    found = await made(store, settings, "ws-1")
    incident, ids = found["ws-1"]
    proposed = await listed(store, incident_id=incident)
    assert {"isolate_host", "block_ip"} <= {each.action for each in proposed}
    assert len({(each.action, each.entity) for each in proposed}) == len(proposed)
    for each in proposed:
        assert each.alert_id in ids
        assert each.phase in ("containment", "eradication", "recovery")
        assert each.undo


async def test_an_approval_says_who_why_when_and_ends(store: Store) -> None:
    await propose(store, ("a1", "i1", [action()]))
    (one,) = await listed(store)
    said = await refused(
        ConflictError,
        store.remediation.approve(one.action_id, "0" * 64, lifetime=DAY, actor="a", reason="r"),
    )
    assert "digest" in said
    await refused(
        InputError,
        store.remediation.approve(one.action_id, one.digest, lifetime=DAY, actor="a", reason=" "),
    )
    approved = await store.remediation.approve(
        one.action_id, one.digest, lifetime=DAY, actor="key:7", reason="confirmed {} %s"
    )
    assert approved.status is RemediationStatus.APPROVED
    assert (approved.decided_by, approved.decision_reason) == ("key:7", "confirmed {} %s")
    assert approved.decided_at
    assert approved.expires_at == approved.decided_at + DAY
    await refused(
        ConflictError,
        store.remediation.approve(one.action_id, one.digest, lifetime=DAY, actor="a", reason="r"),
    )
    (row,) = await trail(store, "remediation.approved")
    assert (row.actor, row.subject) == ("key:7", one.action_id)
    assert json.loads(row.detail)["digest"] == one.digest
    back = await store.remediation.reject(one.action_id, None, actor="b", reason="too early")
    assert (back.status, back.expires_at) == (RemediationStatus.REJECTED, None)
    await refused(
        ConflictError, store.remediation.reject(one.action_id, None, actor="b", reason="again")
    )
    await propose(store, ("a9", "i1", [action()]))
    assert (await listed(store))[0].status is RemediationStatus.REJECTED, "not proposed anew"


async def test_an_approval_that_ran_out_is_a_proposal_again(store: Store) -> None:
    await propose(store, ("a1", "i1", [action()]))
    (one,) = await listed(store)
    soon = timedelta(milliseconds=1)
    await store.remediation.approve(one.action_id, one.digest, lifetime=soon, actor="a", reason="r")
    await asyncio.sleep(0.01)
    assert await listed(store, status=RemediationStatus.APPROVED) == ()
    (again,) = await listed(store, status=RemediationStatus.PROPOSED)
    assert (again.status, again.decided_by) == (RemediationStatus.PROPOSED, "a")
    await store.remediation.approve(one.action_id, one.digest, lifetime=DAY, actor="c", reason="r")
    (approved,) = await listed(store, status=RemediationStatus.APPROVED)
    assert approved.decided_by == "c"


async def test_of_two_decisions_at_once_one_counts(store: Store) -> None:
    await propose(store, ("a1", "i1", [action()]))
    (one,) = await listed(store)
    answers = await asyncio.gather(
        *(
            store.remediation.approve(
                one.action_id, one.digest, lifetime=DAY, actor=f"key:{n}", reason="r"
            )
            for n in range(6)
        ),
        return_exceptions=True,
    )
    won = [each for each in answers if isinstance(each, Remediation)]
    assert len(won) == 1
    assert all(isinstance(each, ConflictError) for each in answers if each not in won)
    assert (await store.remediation.read(one.action_id)).decided_by == won[0].decided_by
    assert len(await trail(store, "remediation.approved")) == 1


async def test_proposals_go_along_with_their_alerts(store: Store) -> None:
    await propose(store, ("a1", None, [action(), action("block_ip")]), ("a2", "i2", [action()]))
    steps = [Step("a1", None, "i2")]
    await store.database.write(lambda c: remediation.follow(c, steps))
    found = {(each.alert_id, each.action): each.incident_id for each in await listed(store)}
    assert found == {
        ("a1", "isolate_host"): None,  # the incident has that proposal already
        ("a1", "block_ip"): "i2",
        ("a2", "isolate_host"): "i2",
    }


async def test_hostile_entities_are_kept_as_they_are(store: Store) -> None:
    hostile = "{} %s\n'; DROP TABLE remediation_actions; --" + "x" * 450
    await propose(store, ("a1", None, [structs.replace(action(), entity=hostile)]))
    (one,) = await listed(store, entity=hostile)
    assert one.entity == hostile
    assert (await store.remediation.read(one.action_id)).digest == one.digest
    await refused(NotFoundError, store.remediation.read("none"))
