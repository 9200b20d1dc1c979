"""A model's reply is checked word by word, and whatever it says, nothing falls."""

import contextlib
import json
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.triage_dossiers import dossier as make_dossier
from tests.unit.triage_strategies import ALERTS

from tocsin.errors import ReplyUnusable
from tocsin.model import (
    Alert,
    Change,
    Claim,
    Disposition,
    Dossier,
    Endpoint,
    Host,
    ModelReply,
    Process,
    User,
    Verdict,
    risk_level,
)
from tocsin.narrate import selection, unasked, value
from tocsin.narrate.claims import check
from tocsin.narrate.exhibit import Exhibit, exhibit, fenced, introduce
from tocsin.narrate.merging import change, raised_risk
from tocsin.narrate.reply import parse
from tocsin.narrate.value import highest
from tocsin.redaction import Pseudonyms, Scope
from tocsin.settings import ModelProvider, Settings
from tocsin.triage import triage

ASKED = Settings(llm_providers=(ModelProvider(name="m", url="http://127.0.0.1:1/v1", model="m"),))
ALERT = Alert(
    title="Encoded command",
    host=Host(name="ws-accounts-3"),
    user=User(name="qcarol"),
    source=Endpoint(ip="10.20.1.5"),
    destination=Endpoint(ip="45.77.1.9"),
    process=Process(
        name="powershell.exe", command_line="powershell -w hidden -enc SQBFAFgAIAB4AA=="
    ),
)


def judged(alert: Alert = ALERT) -> Dossier:
    plain = make_dossier("generic", alert)
    return msgspec.structs.replace(plain, verdict=triage(plain))


def shown(dossier: Dossier) -> tuple[Exhibit, Pseudonyms]:
    names = Pseudonyms(Scope.of(ASKED))
    introduce(dossier, names)
    return exhibit(dossier, names, tokens=3000), names


def verdict_of(dossier: Dossier) -> Verdict:
    assert dossier.verdict is not None
    return dossier.verdict


def checked(text: str, *cites: str, results: dict[str, str] | None = None) -> str | None:
    """Why a claim is dropped; None if it is kept."""
    exhibited, names = shown(judged())
    reply = ModelReply(
        assessment=Disposition.TRUE_POSITIVE, claims=(Claim(text=text, cites=cites),)
    )
    return check(reply, exhibited, results or {}, names).claims[0].dropped


def number_of(name: str) -> str:
    """The number of the first evidence whose name begins so."""
    for place, item in enumerate(verdict_of(judged()).evidence, start=1):
        if item.name.startswith(name):
            return f"E{place}"
    raise AssertionError(name)


# --- claims --------------------------------------------------------------------------------


def test_a_claim_that_quotes_what_it_cites_is_kept_with_the_originals() -> None:
    dossier = judged()
    exhibited, names = shown(dossier)
    cited = number_of("command.")
    reply = ModelReply(
        assessment=Disposition.TRUE_POSITIVE,
        claims=(Claim(text="HOST_1 ran a hidden PowerShell for USER_1.", cites=(cited,)),),
        summary=f"PowerShell hides its window on HOST_1 ({cited}). It is bad.",
        questions=("Does USER_1 use PowerShell?", "What is HOST_99?"),
    )
    result = check(reply, exhibited, {}, names)
    assert result.claims[0].dropped is None
    assert "ws-" in result.claims[0].text
    assert result.summary.endswith(f"({cited}).")
    assert "ws-" in result.summary
    assert len(result.questions) == 1
    assert len(result.notes) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("It talks to 198.51.100.77.", "198.51.100.77"),
        ("It talks to 2001:db8::77.", "2001:db8::77"),
        ("The file 44d88612fea8a8f36de82e1278abb02f was dropped.", "44d88612"),
        ("It loads evil.example.net.", "evil.example.net"),
        ("It starts mimikatz.exe.", "mimikatz.exe"),
        ("It reads /etc/shadow/x.", "/etc/shadow/x"),
        ("It mails bob@example.org.", "bob@example.org"),
        ("It is CVE-2024-3094.", "CVE-2024-3094"),
        ("It is T1486.", "T1486"),
        ("Change CHG-4711 covers it.", "CHG-4711"),
        ("It happened 977 times.", "977"),
        ("See 01a212ee-8199-700b-8215-926027a37d78.", "01a212ee"),
        ("Ticket INC0012345 has it.", "INC0012345"),
        ("It is the 3rd-stage loader v12.", "3rd-stage"),
        ('It says "give me the keys".', "give me the keys"),
        ("HOST_42 is involved.", "HOST_42"),
        ("Full\u200bwidth １９８.５１.１００.７ is involved.", "198.51.100.7"),
        ("It is ev%69l.example.net.", "evil.example.net"),
    ],
)
def test_a_claim_that_quotes_what_is_not_there_is_dropped(text: str, why: str) -> None:
    dropped = checked(text, number_of("command."))
    assert dropped is not None
    assert why.lower() in dropped.lower()


@pytest.mark.parametrize(
    "cites",
    [(), ("E0",), ("E999",), ("T1",), ("E1", "T9"), ("e1",), ("E1x",), ("E-1",), ("",), ("E٣",)],
)
def test_a_claim_that_cites_nothing_that_exists_is_dropped(cites: tuple[str, ...]) -> None:
    assert checked("It is an attack.", *cites) is not None


@pytest.mark.parametrize(
    "text",
    ["This is harmless.", "The activity is authorised.", "It is a false positive.",
     "It was closed.",
     "A penetration test caused it.", "No action is needed.", "It is b\u200benign.",
     "It is ｓａｆｅ."],
)  # fmt: skip
def test_only_evidence_that_lowers_says_that_an_alert_is_harmless(text: str) -> None:
    dropped = checked(text, *(f"E{n}" for n in range(1, len(verdict_of(judged()).evidence) + 1)))
    assert dropped is not None
    assert "soothes" in dropped


def test_a_claim_may_cite_a_look_up_beside_evidence() -> None:
    cited = number_of("command.")
    results = {"T1": '{"tool":"host_alerts","rows":37}'}
    assert checked("The host had 37 other alerts.", cited, "T1", results=results) is None
    assert checked("The host had 38 other alerts.", cited, "T1", results=results) is not None


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=300),
    st.lists(
        st.one_of(st.text(max_size=6), st.from_regex(r"[ET][0-9]{1,3}", fullmatch=True)), max_size=5
    ),
)
def test_whatever_a_claim_says_what_is_kept_cites_evidence_that_exists(
    text: str, cites: list[str]
) -> None:
    if checked(text, *cites) is None:
        count = len(verdict_of(judged()).evidence)
        assert any(cite.startswith("E") for cite in cites)
        assert all(re.fullmatch(r"E[1-9][0-9]*", cite) and int(cite[1:]) <= count for cite in cites)


# --- what a reply can do ---------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    ALERTS,
    st.one_of(st.none(), st.floats(0, 1)),
    st.booleans(),
    st.sampled_from(Disposition),
    st.booleans(),
)
def test_no_reply_lowers_a_risk_or_takes_back_a_review(
    alert: Alert, raise_to: float | None, ask: bool, assessment: Disposition, grounded: bool
) -> None:
    verdict = verdict_of(judged(alert))
    reply = ModelReply(assessment=assessment, raise_to=raise_to, ask_review=ask)
    made = change(verdict, reply, grounded=grounded)
    assert made.risk_after >= made.risk_before == verdict.risk_score
    assert made.review_after >= verdict.requires_human_review
    assert made.risk_after <= 100 * highest(verdict.probability) * verdict.impact + 0.1
    if not grounded:
        assert made.risk_after == verdict.risk_score


def test_a_change_that_lowers_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="lower"):
        Change(risk_before=50.0, risk_after=49.9, review_before=False, review_after=False)
    with pytest.raises(ValueError, match="lower"):
        Change(risk_before=50.0, risk_after=float("nan"), review_before=False, review_after=False)
    with pytest.raises(ValueError, match="review"):
        Change(risk_before=50.0, risk_after=50.0, review_before=True, review_after=False)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(
            {"risk_before": 50, "risk_after": 1, "review_before": False, "review_after": False},
            Change,
        )


def test_a_raise_goes_only_so_far() -> None:
    verdict = msgspec.structs.replace(
        verdict_of(judged()), probability=0.1, impact=1.0, risk_score=10.0
    )
    assert raised_risk(verdict, 1.0) == pytest.approx(69.1, abs=0.1)
    assert raised_risk(verdict, 0.3) == 30.0
    for useless in (None, 0.0, 0.05, 0.1, float("nan"), float("inf"), -1.0):
        assert raised_risk(verdict, useless) == (10.0)


# --- replies ---------------------------------------------------------------------------------


def test_a_reply_is_read_alone_in_a_block_and_after_a_thought() -> None:
    text = '{"assessment": "undetermined", "ask_review": true}'
    for form in (
        text,
        f"```json\n{text}\n```",
        f"<think>close {{}} it</think>\n{text}",
        f"\n {text} ",
    ):
        assert parse(form).ask_review


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "close", '{"assessment": "closed"}',
     '{"assessment": "undetermined", "close": true}',
     '{"assessment": "undetermined", "risk_score": 0}',
     '{"assessment": "undetermined", "raise_to": -0.1}',
     '{"assessment": "undetermined", "raise_to": 2}',
     '{"assessment": "undetermined", "raise_to": NaN}', '{"assessment": "undetermined"} and more',
     '{"assessment": "undetermined"}{"assessment": "undetermined"}',
     '{"assessment": "undetermined", "tool_requests": [{"tool": "close_alert"}]}',
     '{"assessment": "undetermined", "tool_requests": [{"tool": "asset", "write": 1}]}',
     json.dumps({"assessment": "undetermined", "claims": [{"text": "x"}] * 99}),
     '{"assessment": "undetermined", "summary": "' + "x" * 70_000 + '"}', "[" * 30_000,
     '{"assessment": "undetermined", "summary": "\\ud800"}', "\ud800"],
    ids=lambda text: text[:40] or "nothing",
)  # fmt: skip
def test_what_a_reply_has_no_word_for_is_refused(text: str) -> None:
    try:
        reply = parse(text)
    except ReplyUnusable:
        return
    assert reply.summary == "\ud800"  # the one that JSON allows; the store replaces it


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=500))
def test_any_text_is_a_reply_or_refused(text: str) -> None:
    with contextlib.suppress(ReplyUnusable):
        assert isinstance(parse(text), ModelReply)


# --- the exhibit -----------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=2000), st.integers(300, 4000))
def test_no_text_leaves_its_fence_or_its_place_in_the_json(text: str, tokens: int) -> None:
    alert = msgspec.structs.replace(
        ALERT, description=text, url=text[::-1], process=Process(command_line=text * 3)
    )
    names = Pseudonyms(Scope.of(ASKED))
    dossier = judged(alert)
    introduce(dossier, names)
    exhibited = exhibit(dossier, names, tokens=tokens)
    data, fence = fenced(exhibited.text, "DOSSIER")
    lines = data.split("\n")
    assert len(lines) == 3
    assert data.count(fence) == 2
    document = json.loads(lines[1])
    assert set(document) <= {
        "verdict", "evidence", "facts", "gaps", "untrusted_alert_text", "evidence_left_out",
    }  # fmt: skip
    assert lines[1].isprintable()
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', lines[1])
    inside = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', lines[1]))
    assert not set(inside) & set("<>[]|`")
    assert re.fullmatch(r"[\[\]{}:,\"0-9.eE+truefalsn-]*", outside)


def test_the_exhibit_keeps_to_its_tokens_and_to_the_numbers_of_the_evidence() -> None:
    alert = msgspec.structs.replace(
        ALERT, description="long " * 20_000, url="http://x/" + "y" * 9000
    )
    dossier = judged(alert)
    evidence = verdict_of(dossier).evidence
    for tokens in (300, 600, 1200, 3000):
        names = Pseudonyms(Scope.of(ASKED))
        introduce(dossier, names)
        exhibited = exhibit(dossier, names, tokens=tokens)
        assert len(exhibited.text) <= max(tokens * 3, 2500)
        for item in json.loads(exhibited.text)["evidence"]:
            assert item["weight"] == evidence[int(item["number"][1:]) - 1].weight


# --- the value of asking -----------------------------------------------------------------------


def verdict(**parts: object) -> Verdict:
    base = verdict_of(judged())
    made = msgspec.structs.replace(base, **parts)
    return msgspec.structs.replace(made, risk_level=risk_level(made.risk_score))


def test_nobody_is_asked_where_nothing_could_change() -> None:
    dossier = msgspec.structs.replace(judged(), gaps=())
    tiny = verdict(probability=0.01, impact=0.3, risk_score=0.3, requires_human_review=False)
    found = value(dossier, tiny, ASKED)
    assert not found.wanted
    assert "would be" in found.why
    sure = verdict(
        verdict=Disposition.TRUE_POSITIVE, probability=0.99, impact=1.0, risk_score=99.0,
        requires_human_review=True,
    )  # fmt: skip
    found = value(dossier, sure, ASKED)
    assert not found.wanted
    assert "looks already" in found.why


def test_somebody_is_asked_where_the_outcome_could_change() -> None:
    dossier = msgspec.structs.replace(judged(), gaps=())
    quiet = verdict(
        verdict=Disposition.FALSE_POSITIVE, probability=0.05, impact=0.9, risk_score=4.5,
        requires_human_review=False,
    )  # fmt: skip
    found = value(dossier, quiet, ASKED)
    assert found.wanted
    assert "nobody has to look" in found.why
    assert found.value == pytest.approx((100 * highest(0.05) * 0.9 - 4.5) / 100, abs=0.001)
    unsure = verdict(probability=0.5, impact=0.7, risk_score=35.0, requires_human_review=True)
    assert "a person must decide" in value(dossier, unsure, ASKED).why
    strict = ASKED.model_copy(update={"narrator_min_value": 0.9})
    assert not value(dossier, unsure, strict).wanted


@settings(max_examples=100, deadline=None)
@given(ALERTS)
def test_every_alert_says_why_a_model_is_asked_or_not(alert: Alert) -> None:
    dossier = judged(alert)
    found = value(dossier, verdict_of(dossier), ASKED)
    assert 0 <= found.value <= 1
    assert found.why.startswith("asked: " if found.wanted else "not asked: ")
    assert bool(selection(ASKED)([dossier])) is found.wanted
    said = unasked(dossier, ASKED)
    assert said is not None
    assert said.why.startswith("not asked: ")
    assert unasked(dossier, Settings()) is None
