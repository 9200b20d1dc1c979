"""Citations checked by code: what a claim quotes must stand in what it cites."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tocsin.model import CheckedClaim, Claim, ModelReply
from tocsin.narrate.exhibit import Exhibit
from tocsin.redaction import Pseudonyms
from tocsin.redaction.disguises import laid_open

_NUMBER = re.compile(r"([ET])([1-9][0-9]{0,3})\Z")
_CITED = re.compile(r"\(((?:[ET][1-9][0-9]{0,3})(?:[,; ]+(?:and )?[ET][1-9][0-9]{0,3}){0,11})\)")
_ENDS = re.compile(r"(?<=[.!?])\s+(?!\()")
_QUOTED = (
    re.compile(  # a pseudonym
        r"(?<![A-Za-z0-9])(?:HOST|USER|NAME|EMAIL|DOMAIN|INTERNAL_IP|EXTERNAL_IP|MAC|ACCOUNT|SECRET"
        r"|TEXT)_[0-9]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)"),  # IPv4
    re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])"),  # IPv6
    re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{16,128}(?![0-9A-Za-z])"),  # a hash
    re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)*"),  # an e-mail address
    re.compile(r"(?<![\w.-])(?:[\w-]+\.)+[A-Za-z][\w-]*(?![\w-])"),  # a domain or a file's name
    re.compile(r"\b[a-z][a-z0-9+.-]{1,12}://[^\s\"'<>()]+", re.IGNORECASE),
    re.compile(r"\bCVE-\d{4}-\d{4,7}\b", re.IGNORECASE),
    re.compile(r"\bTA?\d{4}(?:\.\d{3})?\b"),  # ATT&CK
    re.compile(r"\"([^\"]{2,200})\"|“([^”]{2,200})”|`([^`]{2,200})`|«([^»]{2,200})»"),
    re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[\\/][\w.$-]+(?:[\\/][\w.$-]+)+"),  # a path
    # a number that somebody counted, an identifier: whatever holds a digit
    re.compile(r"(?<![\w.-])(?=[A-Za-z_#-]{0,40}[0-9])[\w#-]{2,200}(?:\.[0-9]+)?(?![\w-])"),
)
_COMMON = frozenset(
    {
        "e.g", "i.e", "etc", "vs", "u.s", "a.m", "p.m", "base64", "sha1", "sha256", "sha-256",
        "md5",
        "ipv4", "ipv6", "x86", "x64", "win32", "c2", "utf-8", "utf-16", "oauth2", "s3", "ec2",
        "day-1", "tier-1", "level-1",
    }
)  # fmt: skip
# Words that call an alert harmless, or say that somebody has dealt with it.
_SOOTHING = re.compile(
    r"\b(?:harmless|benign|innocuous|legitimate|legit|innocent|safe|false[ -](?:positive|alarm)|"
    r"authori[sz]ed|approved|sanctioned|expected|routine|scheduled|planned|"
    r"white-?listed|allow-?listed|exempt(?:ed)?|known[ -]good|trusted|no (?:threat|risk|attack|"
    r"action|review|need)|not (?:malicious|an attack|a threat|suspicious|needed|necessary)|"
    r"nothing (?:malicious|suspicious|wrong)|closed?|closing|resolved|dismiss(?:ed)?|ignored?|"
    r"disregard|suppress(?:ed)?|cleaned|remediated|penetration test|pentest|red[ -]team|drill)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A reply's words after the check, with originals in place of pseudonyms."""

    claims: tuple[CheckedClaim, ...]
    summary: str
    questions: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def grounded(self) -> bool:
        """Whether a claim is left that rests on evidence."""
        return any(claim.dropped is None for claim in self.claims)


def check(
    reply: ModelReply, shown: Exhibit, results: Mapping[str, str], names: Pseudonyms
) -> Checked:
    """Keep what resolves to evidence, and say of the rest why it was left out.

    Args:
        reply: what the model said, with pseudonyms.
        shown: what it was shown.
        results: what look-ups gave, by their number (`T1`), with pseudonyms.
        names: the pseudonyms of this call.
    """
    claims = []
    for claim in reply.claims:
        fault = _fault(claim, shown, results, names)
        claims.append(_restored(claim, fault, names))
    kept, notes = [], []
    for sentence in _sentences(reply.summary):
        fault = _fault(sentence, shown, results, names)
        if fault is None:
            kept.append(f"{sentence.text} ({', '.join(sentence.cites)}).")
        else:
            notes.append(f"a sentence of the summary was left out: {fault}")
    questions = []
    for question in reply.questions:
        invented = names.invented(question)
        if invented:
            notes.append(
                f"a question was left out: it names {invented[0]}, which was never given out"
            )
        elif question.strip():
            questions.append(names.restore(_plain(question)))
    return Checked(
        tuple(claims),
        names.restore(" ".join(kept)),
        tuple(questions),
        tuple(notes),
    )


def _restored(claim: Claim, fault: str | None, names: Pseudonyms) -> CheckedClaim:
    cites = tuple(cite[:16] for cite in claim.cites)
    return CheckedClaim(text=names.restore(_plain(claim.text)), cites=cites, dropped=fault)


def _fault(
    claim: Claim, shown: Exhibit, results: Mapping[str, str], names: Pseudonyms
) -> str | None:
    """Why nobody should read a claim; None if it resolves."""
    return next(_faults(claim, shown, results, names), None)


def _faults(
    claim: Claim, shown: Exhibit, results: Mapping[str, str], names: Pseudonyms
) -> Iterator[str]:
    """All that is wrong with a claim.

    That an alert is harmless may be said only of evidence that lowers it. Words are found in
    English; what they miss is still only read, never acted on.
    """
    if not claim.text.strip():
        yield "it says nothing"
    if not any(cite.startswith("E") for cite in claim.cites):
        yield "it cites no evidence"
    support = [shown.facts]
    for cite in claim.cites:
        found = shown.evidence.get(cite) if _NUMBER.match(cite) else None
        found = results.get(cite) if found is None else found
        if found is None:
            yield f"it cites {_plain(cite)[:16]}, which does not exist"
        else:
            support.append(found)
    if invented := names.invented(claim.text):
        yield f"it names {invented[0]}, which was never given out"
    opened = laid_open(claim.text)
    if _SOOTHING.search(opened) and not shown.lowering & set(claim.cites):
        yield "it soothes, and cites nothing that speaks against an attack"
    held = _searchable(" ".join(support))
    for quoted in _quotes(opened):
        known = quoted in shown.evidence or quoted in results
        if not known and _searchable(quoted) not in held:
            yield f"it quotes {_plain(quoted)[:60]}, which what it cites does not hold"


def _quotes(text: str) -> list[str]:
    """All in a claim that could be looked up: names, addresses, hashes, numbers, quotations."""
    found = []
    for pattern in _QUOTED:
        for match in pattern.finditer(text):
            quoted = next((group for group in match.groups() if group), match.group())
            quoted = quoted.strip(" .,;:")
            if quoted and quoted.lower() not in _COMMON:
                found.append(quoted)
    return found


def _searchable(text: str) -> str:
    """Lower case, with all white space alike."""
    return " ".join(text.lower().split())


def _sentences(summary: str) -> list[Claim]:
    """The sentences of a summary as claims; each cites what stands in brackets at its end."""
    found = []
    for sentence in _ENDS.split(summary.strip()):
        if not sentence:
            continue
        cites = tuple(
            part
            for listed in _CITED.findall(sentence)
            for part in re.findall(r"[ET][1-9][0-9]{0,3}", listed)
        )
        text = " ".join(_CITED.sub("", sentence).split()).rstrip(" .!?")
        found.append(Claim(text=text, cites=cites[:12]))
    return found


def _plain(text: str) -> str:
    """Text on one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
