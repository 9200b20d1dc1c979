"""The dossier as a model gets it: numbered, pseudonymous, capped, escaped, between two fences."""

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tocsin.model import (
    Alert,
    AssetContext,
    AssetRecord,
    Dossier,
    Evidence,
    Gap,
    NetworkContext,
    Sighting,
    Tlp,
    UserContext,
    UserRecord,
    Verdict,
)
from tocsin.redaction import Pseudonyms

CHARACTERS_PER_TOKEN = 3  # of JSON with names and numbers in it; an estimate on the safe side
LONGEST_TEXT = 1_200
SHORTEST_TEXT = 60
MOST_EVIDENCE = 40
MOST_SIGHTINGS = 20
MOST_GAPS = 20
MOST_PARTS = 16
LONGEST_FACT = 300
ASSET_PARTS = ("hostname", "type", "os", "environment", "criticality", "exposed", "tags")
USER_PARTS = ("user_name", "title", "privileged", "enabled", "tags")
SHARED = frozenset({None, Tlp.CLEAR, Tlp.GREEN})
"""Marks of intelligence that may be told to a third party."""
_SKIPPED = frozenset({"observables", "mapping"})
# Characters that chat templates, Markdown and markup are made of. In a text they become JSON's
# escapes, by way of characters of the private use area, which texts lose first.
_MARKS = "<>[]|`"
_AWAY = {ord(mark): chr(0xE100 + place) for place, mark in enumerate(_MARKS)}
_BACK = {0xE100 + place: f"\\u{ord(mark):04x}" for place, mark in enumerate(_MARKS)}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What is shown of an alert.

    `text` is JSON. `evidence` are the statements shown, with the values they point at, by their
    number (`E1` is the first of the stored evidence); `facts` are our own records as text; all with
    pseudonyms, as the model reads them. `lowering` numbers what speaks against an attack.
    """

    text: str
    evidence: Mapping[str, str]
    facts: str
    lowering: frozenset[str] = frozenset()


def introduce(dossier: Dossier, names: Pseudonyms) -> None:
    """Tell the pseudonyms who and what the records name, and what the texts let see."""
    alert = dossier.alert
    if alert is not None:
        for host in (alert.host.name, alert.host.id, alert.cloud.instance):
            names.know("HOST", host)
        for address in (alert.host.ip, alert.source.ip, alert.destination.ip):
            names.know_address(address)
        for user in (alert.user.name, alert.user.id):
            names.know("USER", user)
        names.know("DOMAIN", alert.user.domain)
        names.know("ACCOUNT", alert.cloud.account)
        for email in (alert.user.email, alert.email.sender, *alert.email.recipients[:MOST_PARTS]):
            names.know("EMAIL", email)
    for fact in dossier.context:
        introduce_record(fact.data, names)
    names.learn(text for text in _texts(dossier) if text)


def introduce_record(data: NetworkContext | AssetContext | UserContext, names: Pseudonyms) -> None:
    """Tell the pseudonyms whom a record of ours names."""
    if isinstance(data, AssetContext) and data.asset is not None:
        asset = data.asset
        names.know("HOST", asset.asset_id)
        names.know_address(asset.ip)
        names.know_person(asset.owner)
        if asset.hostname:
            short, _, domain = asset.hostname.partition(".")
            names.know("HOST", asset.hostname)
            names.know("HOST", short)
            if domain:
                names.know_domain(domain)
    elif isinstance(data, UserContext) and data.user is not None:
        user = data.user
        for account in (user.user_id, user.user_name):
            names.know("USER", account)
        for person in (user.full_name, user.manager):
            names.know_person(person)
        if user.email:
            names.know("EMAIL", user.email)
            names.know_domain(user.email.rpartition("@")[2])


def exhibit(dossier: Dossier, names: Pseudonyms, *, tokens: int) -> Exhibit:
    """The dossier as JSON of at most about `tokens` tokens.

    What does not fit goes in this order: the ends of the alert's texts, evidence of little weight.
    The numbers of evidence are those of the stored verdict, whatever was left out.

    Raises:
        ValueError: the alert has no verdict.
    """
    if dossier.alert is None or dossier.verdict is None:
        raise ValueError("the alert has no verdict yet")
    verdict = dossier.verdict
    pointed = {
        f"E{place}": _shown_evidence(item, names)
        for place, item in enumerate(verdict.evidence, start=1)
    }
    weighty = sorted(pointed, key=lambda number: -abs(verdict.evidence[int(number[1:]) - 1].weight))
    facts = _facts(dossier, names)
    texts: dict[str, str] = {}
    for name, text in alert_texts(dossier.alert):
        told = names.hide(text)
        texts[name] = f"{texts[name]}, {told}" if name in texts else told
    longest, most = LONGEST_TEXT, MOST_EVIDENCE
    while True:
        kept = sorted(weighty[:most], key=lambda number: int(number[1:]))
        document: dict[str, Any] = {
            "verdict": _verdict(verdict),
            "evidence": [{"number": number, **pointed[number]} for number in kept],
            "facts": facts,
            "gaps": [_gap(gap, names) for gap in dossier.gaps[:MOST_GAPS]],
            "untrusted_alert_text": {name: cut(text, longest) for name, text in texts.items()},
        }
        left_out = len(pointed) - len(kept)
        if left_out:
            document["evidence_left_out"] = left_out
        text = encoded(document)
        if len(text) <= tokens * CHARACTERS_PER_TOKEN or (longest <= SHORTEST_TEXT and most <= 1):
            break
        if longest > SHORTEST_TEXT:
            longest //= 2
        else:
            most = max(most // 2, 1)
    return Exhibit(
        cut(text, tokens * CHARACTERS_PER_TOKEN * 2),
        {number: _support(number, verdict, dossier.alert, pointed, names) for number in kept},
        " ".join(text for _, text in _flat("", [facts, document["verdict"]])),
        frozenset(n for n in kept if _lowers(verdict.evidence[int(n[1:]) - 1])),
    )


def alert_texts(alert: Alert) -> Iterator[tuple[str, str]]:
    """Every text and number of an alert with its dotted ECS name."""
    yield from _flat("", {k: v for k, v in msgspec.to_builtins(alert).items() if k not in _SKIPPED})


def fenced(text: str, what: str, fence: str = "") -> tuple[str, str]:
    """A text between two lines that it cannot hold, and the fence; a new one unless given."""
    while not fence or fence in text:
        fence = secrets.token_hex(12)
    return f"{what} {fence} BEGINS\n{text}\n{what} {fence} ENDS", fence


def encoded(document: Any) -> str:
    """JSON on one line, in which no text holds a character that marks anything up."""
    shielded = json.dumps(_shielded(document), ensure_ascii=False, separators=(",", ":"))
    return shielded.translate(_BACK)


def cut(text: str, longest: int) -> str:
    """The beginning of a text, not ending within a pseudonym."""
    if len(text) <= longest:
        return text
    end = longest
    while end > 0 and (text[end].isalnum() or text[end] == "_") and longest - end < SHORTEST_TEXT:
        end -= 1
    return text[: end or longest] + f"… ({len(text)} characters)"


def _shielded(value: Any) -> Any:
    if isinstance(value, str):
        plain = "".join(
            c if c.isprintable() and not "\ue000" <= c <= "\uf8ff" else " " for c in value
        )
        return plain.translate(_AWAY)
    if isinstance(value, dict):
        return {name: _shielded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shielded(part) for part in value]
    return value


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list | tuple):
        for part in value[:MOST_PARTS]:
            yield from _flat(path, part)
    elif value is not None and value != "":
        yield path, str(value)


def _texts(dossier: Dossier) -> Iterator[str]:
    if dossier.alert is not None:
        for _, text in alert_texts(dossier.alert):
            yield text
    if dossier.verdict is not None:
        for item in dossier.verdict.evidence:
            yield item.statement


def _shown_evidence(item: Evidence, names: Pseudonyms) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "statement": names.hide(item.statement),
        "weight": item.weight,
        "attacker_may_have_written_it": item.tainted,
    }
    if item.technique:
        shown["technique"] = item.technique
    return shown


def _lowers(item: Evidence) -> bool:
    """Whether it speaks against an attack, more than that most alerts are none."""
    return item.weight < 0 and not item.tainted and not item.name.startswith("prior")


def _support(
    number: str,
    verdict: Verdict,
    alert: Alert,
    pointed: Mapping[str, dict[str, Any]],
    names: Pseudonyms,
) -> str:
    """All that a claim may quote from one piece of evidence: its statement, the value behind it."""
    item = verdict.evidence[int(number[1:]) - 1]
    table, _, path = item.pointer.partition("#")
    found = ""
    if table.startswith("alerts/"):
        dotted = path.strip("/").replace("/", ".")
        found = " ".join(text for name, text in alert_texts(alert) if name.startswith(dotted))
    said = " ".join(str(part) for part in pointed[number].values())
    return f"{said} {item.name} {names.hide(found)}"


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.verdict.value,
        "probability": round(verdict.probability, 4),
        "impact": round(verdict.impact, 4),
        "risk_score": verdict.risk_score,
        "risk_level": verdict.risk_level.value,
        "confidence": round(verdict.confidence, 4),
        "requires_human_review": verdict.requires_human_review,
    }


def _gap(gap: Gap, names: Pseudonyms) -> dict[str, str]:
    return {"not_checked": names.hide(gap.subject), "reason": gap.reason.value}


def _facts(dossier: Dossier, names: Pseudonyms) -> dict[str, Any]:
    found: dict[str, Any] = {"received_at": dossier.received_at.isoformat(timespec="seconds")}
    for fact in dossier.context:
        found[fact.context_type.value] = facts_of(fact.data, names)
    if dossier.intel:
        found["intelligence"] = [
            _sighting(sighting, names) for sighting in dossier.intel[:MOST_SIGHTINGS]
        ]
    return found


def facts_of(
    data: NetworkContext | AssetContext | UserContext, names: Pseudonyms
) -> dict[str, Any]:
    """A record of ours as a model may read it: what matters, without who it is."""
    found: dict[str, Any] = {}
    if isinstance(data, NetworkContext):
        found["direction"] = data.direction.value
        for end, address in (("source", data.source), ("destination", data.destination)):
            if address is not None:
                found[end] = _hidden(msgspec.to_builtins(address), names)
    elif isinstance(data, AssetContext) and data.asset is not None:
        found |= _hidden(_parts(data.asset, ASSET_PARTS), names)
        found["matched_by"] = data.matched_by
    elif isinstance(data, UserContext) and data.user is not None:
        found |= _hidden(_parts(data.user, USER_PARTS), names)
        found["matched_by"] = data.matched_by
    if data.prevalence:
        found["earlier_alerts"] = [
            {"subject": seen.subject, "day": seen.day, "week": seen.week, "month": seen.month}
            for seen in data.prevalence
        ]
    return found


def _parts(record: AssetRecord | UserRecord, wanted: tuple[str, ...]) -> dict[str, Any]:
    return {name: part for name in wanted if (part := getattr(record, name)) not in (None, "", ())}


def _sighting(sighting: Sighting, names: Pseudonyms) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "indicator": sighting.value,
        "type": sighting.type.value,
        "role": sighting.role.value,
        "threat_level": sighting.threat_level.value,
        "confidence": sighting.confidence,
    }
    if sighting.tlp in SHARED:
        shown |= {"sources": list(sighting.sources), "tags": list(sighting.tags[:8])}
    if sighting.benign_lists:
        shown["benign_lists"] = list(sighting.benign_lists[:4])
    return {name: _hidden(value, names) for name, value in shown.items()}


def _hidden(value: Any, names: Pseudonyms) -> Any:
    """The same with every text hidden."""
    if isinstance(value, str):
        return cut(names.hide(value), LONGEST_FACT)
    if isinstance(value, dict):
        return {name: _hidden(part, names) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(part, names) for part in value[:MOST_PARTS]]
    return value
