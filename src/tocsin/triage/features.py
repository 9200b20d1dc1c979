"""What a model can learn from: the words of an alert, and numbers about it.

A word is a member's name with its value, or one word of it, so that what was learned of one rule
helps with the next. What an actor may have written is marked: it can be learned to raise, never to
lower. Names of machines, people and addresses, and anything that is different each time, are no
words: they would be learned by heart.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from tocsin.model import Activity, Dossier
from tocsin.triage.case import NO_PAYLOAD, Case
from tocsin.triage.claims import SILENT, VOCABULARY, wanted_words
from tocsin.triage.lexicon import LONGEST, NAMES_ACTIONS, NOTHING, Lexicon, is_written, of_title
from tocsin.triage.outcome import endings
from tocsin.triage.payload import Leaf, Payload

NEVER = 1e9  # seconds, where something was not seen before
OF_RULE = " of "  # between a number's name and the rule whose own it is


class Features(NamedTuple):
    """What a model can learn from one alert; `written` words stand only where actors write."""

    measured: tuple[str, ...]
    written: tuple[str, ...]
    numbers: dict[str, float]


class Reading(NamedTuple):
    """The words of one alert that somebody knows, with what they are worth to him.

    `places`: the leaves that hold any of them.
    """

    measured: dict[str, float]
    written: dict[str, float]
    numbers: dict[str, float]
    places: list[tuple[Mapping[str, float], Leaf]]

    def worth(self) -> dict[str, float]:
        """Each word once; what is measured as well as written counts as measured."""
        return {**self.written, **self.measured}

    def place(self, word: str) -> Leaf | None:
        """The first leaf that holds a word; None for a word of the rule."""
        return next((leaf for known, leaf in self.places if word in known), None)


EVERY_WORD = Lexicon(None)
NO_ACTIVITY = Activity()


def features(case: Case) -> Features:
    """The words and numbers of an alert; each word once."""
    found = read(case, EVERY_WORD)
    measured = found.measured
    written = tuple([word for word in found.written if word not in measured])
    return Features(tuple(measured), written, found.numbers)


def read(case: Case, lexicon: Lexicon) -> Reading:
    """What of an alert a lexicon knows."""
    payload = case.payload
    if payload is NO_PAYLOAD:  # its definition says it all, but a model reads it all the same
        payload = Payload(case.dossier.payload)
    measured: dict[str, float] = {}
    written: dict[str, float] = {}
    places: list[tuple[Mapping[str, float], Leaf]] = []
    rule = rule_key(case)
    _read_rule(case, rule, lexicon, measured, written)
    wanted = _wanted(payload) if payload.rule else NOTHING
    of = lexicon.of
    told: list[Leaf] = []  # what actors may have written
    spoken: list[tuple[str, str]] = []
    for leaf in payload.event:
        _, name, parent, value, by_actor = leaf
        if by_actor or is_written(name, parent):
            told.append(leaf)
            continue
        if type(value) is str:
            value = value if len(value) <= LONGEST else value[:LONGEST]
            spoken.append((name, value))
        if known := of(name, parent, value):
            measured.update(known)
            places.append((known, leaf))
    for leaf in told:
        if known := lexicon.written_by(leaf):
            written.update(known)
            places.append((known, leaf))
    numbers = _of_activity(case, rule)
    if wanted:
        claim = _Claim(wanted, spoken)
        failed = endings(payload)[0] is not None
        measured.update(claim.met(lexicon, failed=failed))
        numbers.update(claim.numbers())
    return Reading(measured, written, numbers, places)


class _Claim:
    """What the rule looks for, held to what the values that no actor writes speak of."""

    def __init__(self, wanted: frozenset[str], spoken: Sequence[tuple[str, str]]) -> None:
        self._wanted = wanted
        self._shown: set[str] = set()
        self._acted: set[str] = set()
        for name, text in spoken:
            if name in SILENT or not (words := VOCABULARY.of(text)):
                continue
            self._shown |= words
            if name in NAMES_ACTIONS:
                self._acted |= words

    def met(self, lexicon: Lexicon, *, failed: bool) -> Mapping[str, float]:
        """What of the rule was shown and what was done instead; not what an actor may write."""
        shown = self._wanted.intersection(self._shown)
        return lexicon.met(self._wanted, shown, frozenset(self._acted), failed)

    def numbers(self) -> dict[str, float]:
        """Which share of what is looked for was shown, and of the action is looked for."""
        wanted, acted = self._wanted, self._acted
        return {
            "claim.shown": len(wanted & self._shown) / len(wanted),
            "claim.acted": len(wanted & acted) / (len(acted) or 1),
        }


def _of_activity(case: Case, rule: str | None) -> dict[str, float]:
    """The numbers of what came before, and again as the rule's own: what is a crowd differs."""
    activity = case.network.activity if case.network is not None else None
    if activity is None:
        return {}
    numbers = of_activity(activity)
    if rule is not None:
        numbers.update(zip(_own(rule), tuple(numbers.values()), strict=True))
    return numbers


@lru_cache(maxsize=16_384)
def _own(rule: str) -> tuple[str, ...]:
    """The names of the numbers of `of_activity` as a rule's own."""
    return tuple([name + OF_RULE + rule for name in of_activity(NO_ACTIVITY)])


def of_activity(activity: Activity) -> dict[str, float]:
    """The numbers of what came before the alert."""
    return {
        "activity.rule": activity.rule,
        "activity.host": activity.host,
        "activity.everywhere": activity.everywhere,
        "activity.rules": activity.rules,
        "activity.since": NEVER if activity.since is None else activity.since,
    }


def rule_key(case: Case) -> str | None:
    """By what the history counts the alert's rule; None where the alert names none."""
    return rule_of(case.dossier)


def rule_of(dossier: Dossier) -> str | None:
    """See `rule_key`; the dossier must have its context."""
    for fact in dossier.context:
        for seen in fact.data.prevalence:
            if seen.subject == "rule":
                return seen.value
    return None


def _read_rule(
    case: Case,
    rule: str | None,
    lexicon: Lexicon,
    measured: dict[str, float],
    written: dict[str, float],
) -> None:
    """The words of the rule, and the severity that the source claims."""
    alert = case.alert
    if rule is not None:
        measured.update(lexicon.known(("rule=" + rule,)))
    if (severity := alert.event.severity) is not None:
        words = ("severity=" + severity,)
        if case.declared:
            measured.update(lexicon.known(words))
        else:
            written.update(lexicon.raising(words))
    name = alert.rule.name
    if name is not None:
        measured.update(lexicon.of("rule", "", name[:LONGEST]))
    elif case.declared:
        measured.update(lexicon.of("rule", "", alert.title[:LONGEST]))
    else:
        written.update(lexicon.raising(of_title(alert.title)))


def _wanted(payload: Payload) -> frozenset[str]:
    """What the rule looks for, as far as no event can have put it there."""
    wanted_words(payload)
    return payload.fixed or NOTHING
