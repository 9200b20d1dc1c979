"""The context step: three facts for every alert, whatever the alert holds."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.known import Known, alert, context, dossier, gaps

from tocsin.context import build, history_keys
from tocsin.errors import SettingsError
from tocsin.model import Alert, ContextType, Endpoint, Gap, GapReason, Host, Rule, User
from tocsin.ports import EntityKey, Resources
from tocsin.settings import load

# --- the step ---------------------------------------------------------------------------------


async def test_every_alert_gets_exactly_network_asset_and_user_in_this_order() -> None:
    results = await context(alert(), alert("10.1.2.3", "203.0.113.5"), None)
    assert [[fact.context_type for fact in result.context] for result in results] == [
        [ContextType.NETWORK, ContextType.ASSET, ContextType.USER]
    ] * 3


async def test_an_alert_that_names_nothing_has_a_gap_for_each_kind() -> None:
    (result,) = await context(alert())
    absent = GapReason.ABSENT
    assert gaps(result) == {"network": absent, "asset": absent, "user": absent}
    assert [fact.confidence for fact in result.context] == [0.0, 0.0, 0.0]


async def test_gaps_of_earlier_steps_are_kept() -> None:
    earlier = Gap(step="normalize", subject="event.time", reason=GapReason.ABSENT)
    known = Known()
    work = build(Resources(load(), known, known, known, known))  # type: ignore[arg-type]  # incidents are not asked
    (result,) = await work([msgspec.structs.replace(dossier(alert()), gaps=(earlier,))])
    assert result.gaps[0] == earlier
    assert len(result.gaps) == 4


async def test_a_batch_asks_each_source_once_and_each_key_once() -> None:
    known = Known()
    await context(*[alert("10.0.0.1", "203.0.113.5", user=User(name="ada"))] * 50, known=known)
    assert sorted(known.questions) == [("assets", 1), ("history", 3), ("users", 1)]


async def test_a_network_that_is_not_a_cidr_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"TOCSIN_INTERNAL_NETWORKS.*banana"):
        await context(alert(), internal_networks=("banana",))
    with pytest.raises(SettingsError, match="TOCSIN_ZONES"):
        await context(alert(), zones={"10.0.0.0/99": "x"})


_text = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=()), max_size=400),
    st.sampled_from(
        ["{}", "%s", "{0}", "\0", "\ud800", "a\\b@c", "10.0.0.1", "::1", "\\", "@", ".", "-", " "]
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_text, min_size=10, max_size=10))
async def test_no_value_of_any_field_breaks_the_step(texts: list[str | None]) -> None:
    hostile = Alert(
        title="t",
        rule=Rule(id=texts[0], name=texts[1]),
        source=Endpoint(ip=texts[2]),
        destination=Endpoint(ip=texts[3]),
        host=Host(id=texts[4], name=texts[5], ip=texts[6]),
        user=User(id=texts[7], name=texts[8], email=texts[9]),
    )
    known = Known()
    work = build(Resources(load(), known, known, known, known))  # type: ignore[arg-type]  # incidents are not asked
    (result,) = await work([dossier(hostile, source=texts[0])])
    assert len(result.context) == 3
    for key in history_keys(dossier(hostile, source=texts[0])):
        assert key.value == key.value.encode("utf-8").decode("utf-8")
        assert "\0" not in key.value
        assert 0 < len(key.value) <= 256
    stored = msgspec.json.encode([fact.data for fact in result.context])
    assert b"network" in stored


# --- prevalence -----------------------------------------------------------------------------------


def full_alert() -> Alert:
    return Alert(
        title="t",
        rule=Rule(id="2900101", name="r"),
        source=Endpoint(ip="10.0.0.1"),
        destination=Endpoint(ip="::ffff:203.0.113.5"),
        host=Host(name="WS-1"),
        user=User(name="EXAMPLE\\Ada"),
    )


async def test_counts_stand_in_the_fact_of_their_subject_even_when_zero() -> None:
    known = Known(seen={("rule", "suricata:2900101"): 7})
    (result,) = await context(full_alert(), known=known)
    found = [
        [(seen.subject, seen.value, seen.month) for seen in fact.data.prevalence]
        for fact in result.context
    ]
    assert found == [
        [
            ("rule", "suricata:2900101", 7),
            ("source_ip", "10.0.0.1", 0),
            ("destination_ip", "203.0.113.5", 0),
        ],
        [("host", "ws-1", 0)],
        [("user", "ada", 0)],
    ]


async def test_history_keys_are_those_of_the_facts() -> None:
    (result,) = await context(full_alert())
    in_facts = [(s.subject, s.value) for fact in result.context for s in fact.data.prevalence]
    assert [(key.kind, key.value) for key in history_keys(result)] == in_facts


async def test_a_rule_without_an_id_counts_by_its_name() -> None:
    named = Alert(title="t", rule=Rule(name="Odd thing"))
    assert history_keys(dossier(named, source=None)) == (EntityKey("rule", "unknown:Odd thing"),)


async def test_an_empty_inventory_is_not_configured_rather_than_not_found() -> None:
    known = Known()
    known.recorded = (0, 0)
    (result,) = await context(alert(host=Host(name="pc-1"), user=User(name="ann")), known=known)
    assert gaps(result)["asset"] is GapReason.NOT_CONFIGURED
    assert gaps(result)["user"] is GapReason.NOT_CONFIGURED
