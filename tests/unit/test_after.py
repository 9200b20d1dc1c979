"""Links and incidents by themselves: symmetric, bounded, respectful of what people decided."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tocsin.after import entities
from tocsin.after.link import COMMON, FAN_OUT, LEAST, WINDOW, asked, links, rarity
from tocsin.after.place import LONGEST, MERGING, MOST_ALERTS, place
from tocsin.after.telling import account, gist
from tocsin.model import (
    Account,
    Alert,
    AssetRecord,
    Disposition,
    Dossier,
    Email,
    Endpoint,
    Entity,
    EntityKind,
    Event,
    Host,
    Link,
    Member,
    Observable,
    ObservableRole,
    ObservableType,
    RiskLevel,
    Severity,
    Sighting,
    User,
)
from tocsin.ports import Extent, Met, Move, Placed, Trail

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KINDS = st.sampled_from(list(EntityKind))
TRAILS = st.tuples(
    st.integers(0, 100),  # hours
    st.integers(-1, 13),
    st.sampled_from((0, 3, 40, 300, 900, COMMON - 1, COMMON)),
    st.dictionaries(st.sampled_from([kind.value for kind in EntityKind]), st.sampled_from("xyz")),
)


def trail(name: str, at: datetime = NOON, stage: int = -1, seen: int = 0, **has: str) -> Trail:
    found = [
        Entity(kind=EntityKind(kind), value=value, seen=seen, beside=name)
        for kind, value in has.items()
    ]
    return Trail(name, at, stage, found)


def met(*trails: Trail) -> dict[tuple[str, str], list[Met]]:
    found: dict[tuple[str, str], list[Met]] = {}
    for each in trails:
        for entity in each.entities:
            one = Met(
                entity.kind, entity.value, each.alert_id, each.at, each.stage, entity.seen,
                entity.beside,
            )  # fmt: skip
            found.setdefault((entity.kind, entity.value), []).append(one)
    return found


# --- links ---------------------------------------------------------------------------------------


@given(
    hours=st.floats(0, 100), stages=st.tuples(st.integers(-1, 13), st.integers(-1, 13)),
    seen=st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), kind=KINDS,
)  # fmt: skip
def test_a_link_is_the_same_from_either_side(
    hours: float, stages: tuple[int, int], seen: tuple[int, int], kind: EntityKind
) -> None:
    one = trail("a", NOON, stages[0], seen[0], **{kind.value: "x"})
    two = trail("b", NOON + hours * HOUR, stages[1], seen[1], **{kind.value: "x"})
    there, back = links(one, met(one, two)), links(two, met(one, two))
    assert [link.score for link in there] == [link.score for link in back]
    assert [link.reasons for link in there] == [link.reasons for link in back]
    for link in there:
        assert LEAST <= link.score < 1


def test_rarity_falls_from_one_to_nothing() -> None:
    assert rarity(0) == 1
    values = [rarity(n) for n in (0, 1, 10, 100, 1000, COMMON, 10 * COMMON)]
    assert values == sorted(values, reverse=True)
    assert values[-2:] == [0, 0]


def test_time_weakens_a_link_and_progress_along_the_attack_strengthens_it() -> None:
    def score(hours: float, first: int, second: int) -> float:
        one = trail("a", NOON, first, 20, host="ws-1")
        two = trail("b", NOON + hours * HOUR, second, 20, host="ws-1")
        found = links(one, met(one, two))
        return found[0].score if found else 0.0

    assert score(1, 3, 3) > score(10, 3, 3)
    assert score(1, 3, 7) > score(1, 3, 3) > score(1, 7, 3)
    assert score(1, -1, 7) == score(1, 3, 3)
    assert score(80, 3, 7) == 0


def test_outside_of_the_window_nothing_is_linked() -> None:
    one = trail("a", NOON, host="h", user="u", ip="i", hash="f", domain="d")
    late = trail("b", NOON + WINDOW + HOUR, host="h", user="u", ip="i", hash="f", domain="d")
    assert links(one, met(one, late)) == ()


def test_what_thousands_have_is_not_asked_for() -> None:
    rare, common = trail("a", host="h", user="u"), trail("b", seen=COMMON, host="h", user="u")
    assert asked(rare) == rare
    assert asked(common).entities == ()
    mixed = common._replace(entities=[*rare.entities, *common.entities])
    assert asked(mixed).entities == rare.entities


def test_a_machine_that_hundreds_of_alerts_name_is_asked_for_only_beside_something_rarer() -> None:
    usual = trail("a", seen=900, host="h")
    assert asked(usual).entities == ()
    rarer = usual._replace(entities=[*usual.entities, *trail("a", hash="f").entities])
    assert asked(rarer) == rarer


@given(st.lists(TRAILS, min_size=1, max_size=12))
def test_asking_for_less_links_the_same(has: list[tuple[int, int, int, dict[str, str]]]) -> None:
    trails = [
        trail(f"a{n}", NOON + hour * HOUR, stage, seen, **values)
        for n, (hour, stage, seen, values) in enumerate(has)
    ]
    everything = met(*trails)
    for each in trails:
        keys = {(entity.kind, entity.value) for entity in asked(each).entities}
        found = {key: everything[key] for key in keys}
        assert links(each, found) == links(each, everything)


def test_a_crossroads_links_nothing_however_rare() -> None:
    crowd = [trail(f"a{n:02}", ip="203.0.113.1") for n in range(FAN_OUT + 1)]
    assert links(crowd[0], met(*crowd)) == ()
    assert links(crowd[0], met(*crowd[:FAN_OUT])) != ()


def test_each_reason_says_what_both_have() -> None:
    one, two = (trail(n, seen=3, host="ws-1", user="dora") for n in "ab")
    (link,) = links(one, met(one, two))
    assert [reason.kind for reason in link.reasons] == [EntityKind.HOST, EntityKind.USER]
    assert link.reasons[0].statement == ("Both have the host ws-1; 3 alerts of 30 days have it.")


# --- entities ------------------------------------------------------------------------------------


def found_in(alert: Alert, source: str = "generic", **more: object) -> dict[str, set[str]]:
    dossier = Dossier(
        alert_id="a",
        received_at=NOON,
        payload="{}",
        source=source,
        alert=alert,
        **more,  # type: ignore[arg-type]
    )
    made = entities.trail(dossier, entities.shipped(), {})
    values: dict[str, set[str]] = {}
    for entity in made.entities:
        values.setdefault(entity.kind.value, set()).add(entity.value)
    return values


def test_what_a_machine_shares_with_all_others_is_no_entity() -> None:
    for name in ("root", "Administrator", "NT AUTHORITY\\SYSTEM", "WS-1$", "-", "www-data"):
        assert "user" not in found_in(Alert(title="t", user=User(name=name))), name
    for ip in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "fe80::1", "no ip", "::1"):
        assert "ip" not in found_in(Alert(title="t", source=Endpoint(ip=ip))), ip


def test_names_are_compared_in_one_form() -> None:
    alert = Alert(
        title="t", host=Host(name=" WS-1 "), user=User(name="CORP\\Dora"),
        email=Email(recipients=("dora@corp.example", "EMIL@corp.example")),
        source=Endpoint(ip="::ffff:203.0.113.5"),
    )  # fmt: skip
    assert found_in(alert) == {"host": {"ws-1"}, "user": {"dora", "emil"}, "ip": {"203.0.113.5"}}


def test_the_sensor_is_not_the_machine_concerned() -> None:
    alert = Alert(title="t", host=Host(name="sensor-1"), source=Endpoint(ip="10.0.0.5"))
    assert found_in(alert, "suricata") == {"ip": {"10.0.0.5"}}


def test_what_is_only_mentioned_or_known_good_links_nothing() -> None:
    def seen(value: str, role: ObservableRole) -> Observable:
        return Observable(type=ObservableType.DOMAIN, value=value, role=role)

    alert = Alert(
        title="t",
        observables=(
            seen("said.example", ObservableRole.MENTION),
            seen("good.example", ObservableRole.DNS),
            seen("bad.example", ObservableRole.DNS),
        ),
    )
    good = Sighting(
        type=ObservableType.DOMAIN, value="good.example", role=ObservableRole.DNS,
        benign_lists=("Top sites",),
    )  # fmt: skip
    assert found_in(alert, intel=(good,)) == {"domain": {"bad.example"}}


def test_tags_of_the_inventory_are_read_in_any_spelling() -> None:
    generic = entities.shipped()
    for tags, kind in (((" NAT Gateway",), None), (("load_balancer",), None), ((), "Firewall")):
        assert generic.holds(AssetRecord(asset_id="a", tags=tags, type=kind))
    assert not generic.holds(AssetRecord(asset_id="a", tags=("identity",), type="server"))
    assert not generic.holds(None)


def test_an_event_from_the_future_counts_from_its_receipt() -> None:
    alert = Alert(title="t", event=Event(time=NOON + timedelta(days=400)))
    dossier = Dossier(alert_id="a", received_at=NOON, payload="{}", alert=alert)
    assert entities.trail(dossier, entities.shipped(), {}).at == NOON


@given(text=st.text(max_size=400))
def test_no_name_breaks_anything(text: str) -> None:
    values = found_in(
        Alert(title=text, host=Host(name=text), user=User(name=text), source=Endpoint(ip=None))
    )
    assert all(len(value) <= entities.LONGEST for found in values.values() for value in found)


# --- places --------------------------------------------------------------------------------------


def alert(
    name: str, incident: str | None = None, at: datetime = NOON, *, serious: bool = False
) -> Placed:
    verdict = Disposition.TRUE_POSITIVE if serious else Disposition.UNDETERMINED
    return Placed(name, at, incident, verdict, RiskLevel.HIGH)


def tie(other: str, score: float = 0.9) -> Link:
    return Link(alert_id=other, at=NOON, score=score)


def extent(name: str, alerts: int, *, held: bool = False, is_open: bool = True) -> Extent:
    return Extent(name, alerts, NOON, NOON, open=is_open, held=held)


def placing(
    links: dict[str, Sequence[Link]],
    alerts: Sequence[Placed],
    extents: Sequence[Extent] = (),
    parted: Sequence[tuple[str, str]] = (),
) -> list[Move]:
    placed = {each.alert_id: each for each in alerts}
    return place(links, placed, {each.incident_id: each for each in extents}, set(parted))


def test_two_that_are_tied_begin_an_incident_and_its_name_is_theirs() -> None:
    one = placing({"a": [tie("b")]}, [alert("a"), alert("b")])
    two = placing({"b": [tie("a")]}, [alert("a"), alert("b")])
    assert {move.alert_id for move in one} == {"a", "b"}
    assert {move.into for move in one} == {move.into for move in two}
    for move in one:
        assert move.link is not None
        assert move.link.alert_id in {"a", "b"} - {move.alert_id}


def test_an_alert_alone_is_an_incident_only_when_it_is_serious() -> None:
    assert placing({"a": []}, [alert("a")]) == []
    (move,) = placing({"a": []}, [alert("a", serious=True)])
    assert (move.alert_id, move.link) == ("a", None)


def test_a_full_incident_takes_no_more() -> None:
    near = [alert("a"), alert("b", "i")]
    assert placing({"a": [tie("b")]}, near, [extent("i", MOST_ALERTS)]) == []
    assert len(placing({"a": [tie("b")]}, near, [extent("i", MOST_ALERTS - 1)])) == 1


def test_an_incident_spans_no_more_than_its_longest_time() -> None:
    far = [alert("a", at=NOON + LONGEST + HOUR), alert("b", "i")]
    assert placing({"a": [tie("b")]}, far, [extent("i", 2)]) == []
    far = [alert("a", at=NOON + LONGEST + HOUR), alert("b")]
    assert placing({"a": [tie("b")]}, far) == []


def test_a_grown_incident_wants_a_strong_link_or_two() -> None:
    members = [alert("b", "i"), alert("c", "i"), alert("a")]
    grown = [extent("i", 9)]
    assert placing({"a": [tie("b", 0.4)]}, members, grown) == []
    assert len(placing({"a": [tie("b", 0.4), tie("c", 0.4)]}, members, grown)) == 1
    assert len(placing({"a": [tie("b", 0.6)]}, members, grown)) == 1


def test_a_strong_link_makes_one_of_two_incidents_and_the_earlier_keeps_its_name() -> None:
    both = [alert("a", "i"), alert("b", "j")]
    later = Extent("j", 2, NOON + HOUR, NOON + HOUR, open=True, held=False)
    (move,) = placing({"a": [tie("b", MERGING)]}, both, [extent("i", 2), later])
    assert (move.into, move.out_of) == ("i", "j")
    assert placing({"a": [tie("b", MERGING - 0.01)]}, both, [extent("i", 2), later]) == []


def test_what_people_decided_is_left_alone() -> None:
    both = [alert("a", "i"), alert("b", "j")]
    shaped = [extent("i", 2, held=True), extent("j", 2)]
    assert placing({"a": [tie("b", 0.99)]}, both, shaped) == []
    alone = [alert("a", serious=True), alert("b", "i")]
    assert placing({"a": [tie("b", 0.99)]}, alone, [extent("i", 2)], [("i", "a")]) == []
    closed = [extent("i", 2, is_open=False)]
    (move,) = placing({"a": [tie("b", 0.99)]}, alone, closed)
    assert move.into != "i"


def test_new_alerts_that_found_each_other_first_still_join_what_people_shaped() -> None:
    alerts = [alert("a"), alert("b"), alert("c", "i")]
    found = {"a": [tie("b", 0.99), tie("c", 0.9)], "b": [tie("a", 0.99), tie("c", 0.9)]}
    moves = placing(found, alerts, [extent("i", 3, held=True)])
    assert moves[-1].into == "i"


@given(
    pairs=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.floats(0.35, 0.99)),
                   max_size=40),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_within_a_batch_the_order_of_alerts_and_links_changes_nothing(
    pairs: list[tuple[int, int, float]], order: object
) -> None:
    alerts = [alert(f"a{n:02}", at=NOON + n * HOUR) for n in range(13)]
    scores = {(min(a, b), max(a, b)): score for a, b, score in pairs if a != b}
    found: dict[str, list[Link]] = {f"a{n:02}": [] for n in range(13)}
    for (a, b), score in scores.items():
        found[f"a{a:02}"].append(tie(f"a{b:02}", score))
        found[f"a{b:02}"].append(tie(f"a{a:02}", score))
    before = placing(dict(found), alerts)
    names = list(found)
    order.shuffle(names)  # type: ignore[attr-defined]
    mixed = {name: sorted(found[name], key=lambda _: order.random()) for name in names}  # type: ignore[attr-defined]
    after = placing(mixed, alerts[::-1])
    assert [(m.alert_id, m.into, m.out_of) for m in before] == [
        (m.alert_id, m.into, m.out_of) for m in after
    ]


# --- what an incident says -----------------------------------------------------------------------


def member(name: str, minute: int, technique: str, **more: object) -> Member:
    return Member(
        alert_id=name, at=NOON + timedelta(minutes=minute), title=f"alert {name}",
        techniques=(technique,) if technique else (), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def tell(members: Sequence[Member]) -> Account:
    return account(gist(members))


def test_an_incident_is_told_as_a_timeline() -> None:
    told = tell(
        [
            member("a", 0, "T1566.002", host="ws-1", user="dora"),
            member("b", 9, "T1003.001", host="WS-1", user="dora", risk_score=75.0,
                   risk_level=RiskLevel.HIGH),
            member("c", 70, "T1486", host="srv-2", risk_score=60.0, risk_level=RiskLevel.MEDIUM),
        ]
    )  # fmt: skip
    assert told.title == "Initial Access to Impact on ws-1 and srv-2 (dora)"
    assert told.severity is Severity.HIGH
    assert told.summary == (
        "3 alerts from 2026-03-04 12:00 to 13:10 UTC on ws-1 and srv-2 under dora: Initial Access "
        'at 12:00 ("alert a"), then Credential Access at 12:09 ("alert b"), then Impact at 13:10 '
        '("alert c"). The riskiest is "alert b" with 75.0 (high).'
    )


@given(order=st.permutations(range(6)), cut=st.integers(0, 5))
def test_it_does_not_matter_in_which_order_and_how_many_at_once_alerts_came(
    order: list[int], cut: int
) -> None:
    members = [
        member("a", 0, "T1566.002", host="ws-1", user="dora"),
        member("b", 9, "T1003.001", host="WS-1", user="dora", risk_level=RiskLevel.HIGH),
        member("c", 9, "", host="ws-0", risk_score=60.0, risk_level=RiskLevel.MEDIUM),
        member("d", 70, "T1486", host="srv-2", risk_score=60.0, risk_level=RiskLevel.LOW),
        member("e", 80, "T1486", host="ws-4", user="Eve"),
        member("f", 0, "T1003.001"),
    ]
    mixed = [members[place] for place in order]
    before = gist(mixed[:cut]) if cut else None
    assert gist(mixed[cut:], before) == gist(members)


def test_without_tactics_the_riskiest_alert_names_it() -> None:
    told = tell([member("a", 0, ""), member("b", 0, "", risk_score=9.0)])
    assert told.title == "alert b"
    assert told.summary.startswith("2 alerts at 2026-03-04 12:00 UTC.")


@given(text=st.text(max_size=600))
def test_whatever_alerts_are_called_the_words_are_one_printable_line(text: str) -> None:
    hostile = Member(alert_id="a", at=NOON, title=text, host=text, user=text)
    told = tell([hostile, hostile])
    assert told.title.isprintable()
    assert told.summary.isprintable()
    assert len(told.title) <= 240
