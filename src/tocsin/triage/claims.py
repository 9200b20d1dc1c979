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
TITLES = roles.names("claim", "titles")
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
    if not payload.rule or not payload.event:
        return ()
    title, wanted = subject(payload), wanted_words(payload)
    if title is None or not wanted:
        return ()
    in_values = wanted & event_words(payload)
    in_names = (wanted & event_names(payload)) - in_values
    if not in_values and not in_names:
        return ()
    weights = case.weights.claim
    amount = (
        len(in_values) * weights["in_values"].weight + len(in_names) * weights["in_names"].weight
    )
    # A title that values of the event flow into grows with them, so that its length says nothing.
    weight = amount / len(wanted) if payload.authored else _saturated(amount, weights)
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


def _saturated(amount: float, weights: Mapping[str, Weight]) -> float:
    """The weight of words found in a title of unknown length: each further one counts less."""
    most = weights["in_values"].weight
    left: float = FURTHER ** (amount / most)
    return most * (1 - left)


def rule_speaks_of(payload: Payload, *words: str) -> bool:
    """Whether the rule's title or description names one of these concepts or stems."""
    return not rule_words(payload).isdisjoint(words)


def rule_words(payload: Payload) -> frozenset[str]:
    """What the rule's title, id and description speak of."""
    text = ""
    for leaf in payload.rule:
        if leaf.name in DESCRIPTIONS and isinstance(leaf.value, str):
            text = leaf.value
            break
    return wanted_words(payload) | VOCABULARY.of(text[:LONGEST])


def subject(payload: Payload) -> Leaf | None:
    """The leaf that holds the rule's title."""
    best: Leaf | None = None
    for leaf in payload.rule:
        if (
            leaf.name in TITLES
            and isinstance(leaf.value, str)
            and (best is None or TITLES.index(leaf.name) < TITLES.index(best.name))
        ):
            best = leaf
    return best


def wanted_words(payload: Payload) -> frozenset[str]:
    """What the rule's title and id speak of, without the words of its log type."""
    title = subject(payload)
    identifier = log_type = ""
    for leaf in payload.rule:
        if leaf.name in IDS and not identifier and isinstance(leaf.value, str):
            identifier = leaf.value
        elif leaf.name in LOG_TYPES and isinstance(leaf.value, str):
            log_type = leaf.value
    return _wanted(str(title.value)[:200] if title else "", identifier[:200], log_type[:200])


@lru_cache(maxsize=4096)
def _wanted(title: str, identifier: str, log_type: str) -> frozenset[str]:
    words = VOCABULARY.of
    identifying = words(identifier) if _is_words(identifier) else NO_WORDS
    return (words(title) | identifying) - {word for word in words(log_type) if word[0] != "="}


def _is_words(identifier: str) -> bool:
    """Whether an id is made of words; hexadecimal ones and numbers are not."""
    return sum(letter.isdigit() for letter in identifier) * 5 < len(identifier)


def event_words(payload: Payload) -> frozenset[str]:
    """What the event's values speak of, and the names of its settings that are on."""
    if payload.words is None:
        found: set[str] = set()
        of = VOCABULARY.of
        for path, name, _, value, _ in payload.event:
            if name in SILENT:
                continue
            if value is True:
                found |= of(str(path[-1]))
            elif value is False:
                setting = of(str(path[-1]))
                if not SWITCHES.isdisjoint(setting):
                    found |= setting - ON
                    found.add("=disable")
            elif type(value) is str and len(value) <= LONGEST_VALUE and not value[0].isdigit():
                found |= of(value)
        payload.words = frozenset(found)
    return payload.words


def event_names(payload: Payload) -> frozenset[str]:
    """What the names of the event's members speak of, where they are neither off nor empty."""
    found: set[str] = set()
    of = VOCABULARY.of
    for path, _, parent, value, _ in payload.event:
        if value in OFF:
            continue
        last = path[-1]
        if type(last) is str:
            found |= of(last)
        found |= of(parent)
    return frozenset(found)
