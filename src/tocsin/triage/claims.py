"""Whether the event shows what the rule says it looks for."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage import roles
from tocsin.triage.case import Case
from tocsin.triage.concepts import LONGEST, Vocabulary
from tocsin.triage.payload import Leaf, Payload
from tocsin.triage.weights import Weight

VOCABULARY = Vocabulary()
TITLES = {name: rank for rank, name in enumerate(roles.names("claim", "titles"))}
IDS = roles.words("claim", "ids")
LOG_TYPES = roles.words("claim", "log_types")
DESCRIPTIONS = roles.words("claim", "descriptions")
SILENT = roles.words("claim", "silent")
OFF = (False, 0, "false", "False")
LONGEST_VALUE = 120
FURTHER = 0.8  # what is left to be shown after each word that stands in the event
SHOWN = 4
# A setting whose name holds one of these protects; off, it says that something is disabled.
SWITCHES = frozenset(
    {"=enable", "=factor", "=encryption", "=logging", "=integrity"}
    | {"requir", "enforc", "verif", "validat"}
)
ON = frozenset({"=enable", "enabl"})
NO_WORDS: frozenset[str] = frozenset()


def claimed(case: Case) -> Sequence[Evidence]:
    """How much of what the rule's title speaks of stands in the event. It can only raise."""
    payload = case.payload
    if not payload.brings_event:
        return ()
    wanted = wanted_words(payload)
    title = payload.subject
    if title is None or not wanted:
        return ()
    in_values = named_in_values(payload, wanted)
    missing = wanted - in_values
    in_names = named_in_names(payload, missing) if missing else missing
    if not in_values and not in_names:
        return ()
    weight = _weight(case.weights.claim, payload.fixed or NO_WORDS, in_values, in_names)
    named = sorted(word.strip("=") for word in in_values | in_names)
    return (
        case.on_payload(
            "claim.shown",
            f"The event names {len(in_values) + len(in_names)} of the {len(wanted)} things that "
            f"the rule's title speaks of ({', '.join(named[:SHOWN])}).",
            title,
            weight,
            tainted=True,
        ),
    )


def _weight(
    weights: Mapping[str, Weight],
    fixed: frozenset[str],
    in_values: frozenset[str],
    in_names: frozenset[str],
) -> float:
    """The share of the fixed words that is shown; of other words the number.

    A title that values of the event flow into grows with them, so its length says nothing, and each
    further word of it counts less.
    """
    value, name = weights["in_values"].weight, weights["in_names"].weight
    share = (len(fixed & in_values) * value + len(fixed & in_names) * name) / (len(fixed) or 1)
    loose = len(in_values - fixed) * value + len(in_names - fixed) * name
    left: float = FURTHER ** (loose / value)
    return share + (value - share) * (1 - left) if loose else share


def rule_speaks_of(payload: Payload, *words: str) -> bool:
    """Whether the rule's title or description names one of these concepts or stems."""
    return not rule_words(payload).isdisjoint(words)


def rule_words(payload: Payload) -> frozenset[str]:
    """What the rule's title, id and description speak of."""
    found = payload.spoken
    if found is None:
        text = ""
        for leaf in payload.rule:
            if leaf.name in DESCRIPTIONS and type(leaf.value) is str:
                text = leaf.value[:LONGEST]
                break
        found = payload.spoken = _together(wanted_words(payload), text)
    return found


@lru_cache(maxsize=4096)
def _together(wanted: frozenset[str], description: str) -> frozenset[str]:
    return wanted | VOCABULARY.of(description)


def wanted_words(payload: Payload) -> frozenset[str]:
    """What the rule's title and id speak of, without the words of its log type."""
    if payload.wanted is not None:
        return payload.wanted
    title: Leaf | None = None
    best = len(TITLES)
    identifier = log_type = ""
    for leaf in payload.rule:
        value, name = leaf.value, leaf.name
        if type(value) is not str:
            continue
        rank = TITLES.get(name)
        if rank is not None and rank < best:
            title, best = leaf, rank
        if name in IDS:
            identifier = identifier or value
        elif name in LOG_TYPES:
            log_type = value
    payload.subject = title
    text = title.value[:LONGEST] if title else ""
    identifier, log_type = identifier[:LONGEST], log_type[:LONGEST]
    payload.wanted = _wanted(text, identifier, log_type)
    fixed = payload.wanted
    if title is not None and not payload.by_author(title):
        fixed = _wanted("", identifier, log_type)
    payload.fixed = fixed
    return payload.wanted


@lru_cache(maxsize=4096)
def _wanted(title: str, identifier: str, log_type: str) -> frozenset[str]:
    words = VOCABULARY.of
    identifying = words(identifier) if _is_words(identifier) else NO_WORDS
    return (words(title) | identifying) - {word for word in words(log_type) if word[0] != "="}


def _is_words(identifier: str) -> bool:
    """Whether an id is made of words; hexadecimal ones and numbers are not."""
    return sum(letter.isdigit() for letter in identifier) * 5 < len(identifier)


def named_in_values(payload: Payload, wanted: frozenset[str]) -> frozenset[str]:
    """Which of the words the event's values name, and the names of its settings that are on."""
    found: set[str] = set()
    of, apart = VOCABULARY.of, wanted.isdisjoint
    for path, name, _, value, _ in payload.event:
        if name in SILENT:
            continue
        if type(value) is str:
            if len(value) > LONGEST_VALUE or "0" <= value[0] <= "9":
                continue
            words = of(value)
        elif value is True:
            words = of(str(path[-1]))
        elif value is False:
            words = _switched_off(str(path[-1]))
        else:
            continue
        if not apart(words):
            found |= words
    return wanted & found


@lru_cache(maxsize=4096)
def _switched_off(setting: str) -> frozenset[str]:
    words = VOCABULARY.of(setting)
    return NO_WORDS if SWITCHES.isdisjoint(words) else (words - ON) | {"=disable"}


def named_in_names(payload: Payload, wanted: frozenset[str]) -> frozenset[str]:
    """Which of the words the names of the event's members name, if they are not off or empty."""
    named: set[str | int] = set()
    for path, _, parent, value, _ in payload.event:
        if value not in OFF:
            named.add(path[-1])
            named.add(parent)
    found: set[str] = set()
    of, apart = VOCABULARY.of, wanted.isdisjoint
    for name in named:
        if type(name) is str:
            words = of(name)
            if not apart(words):
                found |= words
    return wanted & found
