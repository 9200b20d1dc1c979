"""Learning is exact, the same each time and modest; actors cannot talk themselves out of it."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_triage_injections import injections
from tests.unit.triage_dossiers import NOW, dossier

from tocsin.errors import InputError
from tocsin.learn import Sample, fit
from tocsin.learn.sample import probability_by
from tocsin.model import (
    Activity,
    Alert,
    Disposition,
    Dossier,
    Event,
    Example,
    Learned,
    NetworkContext,
    Prevalence,
    Rule,
    Severity,
)
from tocsin.triage import model_with, resolve, shipped_model
from tocsin.triage.features import features
from tocsin.triage.learned import raw_sum

ATTACK, HARMLESS = Disposition.TRUE_POSITIVE, Disposition.FALSE_POSITIVE
MANY = settings(max_examples=150, deadline=None)
WORDS = ("alpha", "bravo", "carol", "delta")


def alert_of(event: dict[str, Any], rule: str = "R-1", minute: int = 0) -> Dossier:
    """An undeclared alert with a rule of its own and the event that it fired on."""
    about = {"id": rule, "title": "Bucket deleted", "description": "Somebody deleted a bucket."}
    when = NOW + timedelta(minutes=minute)
    normalised = Alert(
        title="Bucket deleted",
        rule=Rule(id=rule, name="Bucket deleted"),
        event=Event(time=when, severity=Severity.MEDIUM),
    )
    found = dossier(None, normalised)
    payload = json.dumps({"rule": about, "event": event})
    return msgspec.structs.replace(found, alert_id=f"a-{minute}", payload=payload)


def event_of(number: int, *, attack: bool) -> dict[str, Any]:
    return {
        "eventName": "DeleteBucket" if attack else "ListBuckets",
        "region": WORDS[number % 4],
        "count": number % 3,
        "requestParameters": {"bucketName": "evil" if attack else "backup"},
        "userAgent": "curl tool" if attack else "console robot",
    }


def examples(count: int) -> list[Example]:
    """Half of them attacks; twelve rules, so that some are held apart; each an hour of its own."""
    return [
        Example(
            dossier=judged(alert_of(event_of(n, attack=n % 2 == 0), f"R-{n % 12}", 61 * n)),
            disposition=ATTACK if n % 2 == 0 else HARMLESS,
            decided_at=NOW,
        )
        for n in range(count)
    ]


def judged(found: Dossier) -> Dossier:
    return msgspec.structs.replace(found, verdict=shipped_model().assess(found)[0])


@pytest.fixture(scope="module")
def learned() -> Learned:
    return fit(examples(240))


def test_the_same_decisions_give_the_same_bytes() -> None:
    first, second = (msgspec.json.encode(fit(examples(60))) for _ in range(2))
    assert first == second
    assert fit(examples(60)).version != fit(examples(62)).version


@pytest.mark.parametrize("kind", [ATTACK, HARMLESS, Disposition.UNDETERMINED])
def test_decisions_of_one_kind_teach_nothing(kind: Disposition) -> None:
    alike = [msgspec.structs.replace(example, disposition=kind) for example in examples(20)]
    with pytest.raises(InputError, match="both kinds"):
        fit(alike)


def test_what_was_learned_tells_them_apart(learned: Learned) -> None:
    model = model_with(learned)
    for number in range(8):
        attack = model.assess(alert_of(event_of(number, attack=True), "R-new"))[0].probability
        harmless = model.assess(alert_of(event_of(number, attack=False), "R-new"))[0].probability
        assert attack > harmless


def test_few_decisions_move_an_alert_of_another_kind_little() -> None:
    other = alert_of({"eventName": "ConsoleLogin", "errorCode": "AccessDenied"}, "R-other")
    before = shipped_model().assess(other)[0].probability
    moved = [model_with(fit(examples(count))).assess(other)[0].probability for count in (10,)]
    assert abs(moved[0] - before) < 0.15


@pytest.mark.parametrize("rule", ["R-3", "R-new"])
def test_the_weights_shown_are_the_sum_that_the_fit_means(learned: Learned, rule: str) -> None:
    model = model_with(learned)
    for number in range(12):
        found = alert_of(event_of(number, attack=number % 3 == 0), rule)
        verdict = model.assess(found)[0]
        shown = [item for item in verdict.evidence if not item.name.startswith("impact.")]
        expert = [item for item in shown if not item.name.startswith("learned.")]
        key = "rule=" + rule
        words = features(model.case(found))
        assert key not in words.measured  # the context holds no history here
        total = raw_sum(learned, expert, words).total
        before = sum(item.weight for item in shown if item.name != "learned.calibration")
        assert before == pytest.approx(total, abs=0.004)  # each entry is rounded to 0.001
        slope, intercept = learned.new.slope, learned.new.intercept
        after = sum(item.weight for item in shown)
        assert after == pytest.approx(slope * total + intercept, abs=0.006)


def test_every_entry_points_to_what_is_stored(learned: Learned) -> None:
    found = alert_of(event_of(1, attack=True))
    verdict = model_with(learned).assess(found)[0]
    added = [item for item in verdict.evidence if item.name.startswith("learned.")]
    assert {"learned.reasons", "learned.content", "learned.calibration"} <= {i.name for i in added}
    for item in added:
        resolve(item.pointer, found)


def test_the_trial_asks_what_triage_answers(learned: Learned) -> None:
    for example in examples(24):
        sample = Sample.of([example], thin=False)
        said = model_with(learned).assess(example.dossier)[0].probability
        assert probability_by(learned, sample.rows[0]) == pytest.approx(said, abs=0.002)


WRITTEN = (("requestParameters", "bucketName"), ("userAgent",), ("requestParameters", "note"))


def with_text(event: dict[str, Any], path: tuple[str, ...], text: str) -> dict[str, Any]:
    changed = json.loads(json.dumps(event))
    node = changed
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = str(node.get(path[-1], "")) + " " + text
    return dict(changed)


@MANY
@given(
    text=injections() | st.sampled_from(["console robot backup list", "alpha bravo " * 900]),
    path=st.sampled_from(WRITTEN),
    attack=st.booleans(),
    before=st.booleans(),
)
def test_text_of_an_actor_never_lowers(
    learned: Learned, text: str, path: tuple[str, ...], attack: bool, before: bool
) -> None:
    model, event = model_with(learned), event_of(3, attack=attack)
    if before:  # what is put before ends where a word ends
        node = event["requestParameters"] if len(path) > 1 else event
        changed = with_text(event, path, "")
        inner = changed["requestParameters"] if len(path) > 1 else changed
        inner[path[-1]] = text + " " + str(node.get(path[-1], ""))
    else:
        changed = with_text(event, path, text)
    plain = model.assess(alert_of(event))[0].probability
    assert model.assess(alert_of(changed))[0].probability >= plain


def test_what_is_measured_cannot_be_pushed_out(learned: Learned) -> None:
    event = event_of(3, attack=True)
    crowded = {"files": [f"x{n}" for n in range(900)], **event}
    few, many = (features(shipped_model().case(alert_of(e))) for e in (event, crowded))
    assert set(few.measured) <= set(many.measured)
    assert set(few.written) <= set(many.written)


def test_what_only_actors_write_has_no_weight_below_zero(learned: Learned) -> None:
    cases = [features(shipped_model().case(example.dossier)) for example in examples(240)]
    written = {word for found in cases for word in found.written}
    assert written & set(learned.words)
    assert all(learned.words.get(word, 0.0) >= 0 for word in written)


def test_a_word_that_lowers_counts_nothing_where_an_actor_may_have_written_it() -> None:
    told = Learned(version="v", words={"useragent:robot": -5.0, "robot?": -5.0, "region:alpha": -2})
    plain, robot = ({"region": "x", "userAgent": agent} for agent in ("", "robot"))
    measured = {"region": "alpha", "userAgent": "robot"}
    model = model_with(told)
    chances = [model.assess(alert_of(e))[0].probability for e in (plain, robot, measured)]
    assert chances[0] == chances[1]
    assert chances[2] < chances[1]


def test_a_reason_that_an_actor_wrote_is_never_learned_to_lower() -> None:
    found = alert_of(event_of(0, attack=True))
    tainted = [item for item in shipped_model().assess(found)[0].evidence if item.tainted]
    assert tainted
    told = Learned(version="v", evidence=dict.fromkeys([item.name for item in tainted], -3.0))
    by_told = model_with(told).assess(found)[0].probability
    assert by_told == shipped_model().assess(found)[0].probability


def busy(rule: str, alerts: int, number: int) -> Dossier:
    """An alert of a rule on a machine that had so many alerts in the hour before."""
    found = alert_of({"eventName": "ListBuckets"}, rule, 61 * number)
    seen = (Prevalence(subject="rule", value="generic:" + rule),)
    context = tuple(
        [
            msgspec.structs.replace(
                fact,
                data=msgspec.structs.replace(
                    fact.data, prevalence=seen, activity=Activity(host=alerts)
                ),
            )
            if isinstance(fact.data, NetworkContext)
            else fact
            for fact in found.context
        ]
    )
    return judged(msgspec.structs.replace(found, context=context))


def test_what_is_a_crowd_is_learned_for_each_rule() -> None:
    """Many alerts before it make one rule's alert an attack, and another's harmless."""
    told = []
    for number in range(200):
        rule, many = ("CALM", "LOUD")[number % 2], number % 4 < 2
        attack = many == (rule == "CALM")
        kind = ATTACK if attack else HARMLESS
        example = busy(rule, 30 if many else 1, number)
        told.append(Example(dossier=example, disposition=kind, decided_at=NOW))
    model = model_with(fit(told))
    chance = {
        (rule, alerts): model.assess(busy(rule, alerts, 900))[0].probability
        for rule in ("CALM", "LOUD")
        for alerts in (1, 30)
    }
    assert min(chance["CALM", 30], chance["LOUD", 1]) > 0.8
    assert max(chance["CALM", 1], chance["LOUD", 30]) < 0.2
