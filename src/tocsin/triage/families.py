"""What kind of activity a rule looks for, told from the rule's own words.

Words of a detector's vendor may make an alert milder. Words that an event can have flowed into
(titles of unknown senders, descriptions with values filled in) only ever make it more serious.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec

from tocsin.errors import SettingsError
from tocsin.triage.weights import Weights, convert, data_file

FILE = "families.toml"
LONGEST = 512  # of each text that is looked at
CACHED = 4096

# The fields in which each source carries text that only its vendor writes.
VENDOR_TEXT: Mapping[str, tuple[str, ...]] = {
    "suricata": ("rule_name", "rule_category"),
    "wazuh": ("rule_category",),
    "windows": ("rule_name", "rule_category"),
    "guardduty": ("rule_id", "rule_category", "rule_name"),
    "cef": ("rule_category",),
    "generic": ("event_category",),
}
POINTERS: Mapping[str, str] = {
    "rule_id": "/rule/id",
    "rule_name": "/rule/name",
    "rule_category": "/rule/category",
    "event_category": "/event/category",
    "title": "/title",
}
ROUTINE_LEVEL = 3  # Wazuh: successes and system notifications


class RuleText(msgspec.Struct, frozen=True, gc=False):
    """The words of an alert from which its family is told, each cut to `LONGEST` by the caller.

    `declared` says that a source definition found the fields, so that they are what they are
    called.
    """

    source: str
    declared: bool
    rule_id: str | None
    rule_name: str | None
    rule_category: str | None
    rule_level: str | None
    event_category: str | None
    title: str


class Family(msgspec.Struct, frozen=True):
    """A family with the field that gave it away.

    `vouched` is the family that vendor text alone gives, by which authorised activity is judged;
    `named` holds every family that any text names, by which suspicion may rise; `stage` is how far
    along an attack it stands, None when nothing tells.
    """

    name: str | None = None
    weight: float = 0.0
    stage: float | None = None
    pointer: str = "/title"
    tainted: bool = False
    vouched: str | None = None
    named: frozenset[str] = frozenset()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prefix: dict[str, dict[str, str]]
    category: dict[str, dict[str, str]]
    words: dict[str, list[str]]


class Families:
    """The tables of `families.toml`, compiled, with the weights of the families.

    Raises:
        SettingsError: the file cannot be read, names an unknown family or a broken expression.
    """

    def __init__(self, weights: Weights, text: bytes | None = None) -> None:
        tables = convert(text if text is not None else data_file(FILE), _File, FILE)
        self._weights = weights.family
        self._stage_unknown = weights.impact["stage_unknown"].weight
        self._prefix = {
            source: sorted(entries.items(), key=lambda item: -len(item[0]))
            for source, entries in tables.prefix.items()
        }
        self._category = tables.category
        named = {
            *tables.words,
            *(family for entries in tables.prefix.values() for family in entries.values()),
            *(family for entries in tables.category.values() for family in entries.values()),
        }
        if unknown := named - weights.family.keys():
            raise SettingsError(
                "triage/" + FILE + ": no such family: " + ", ".join(sorted(unknown))
            )
        by_weight = sorted(tables.words.items(), key=lambda item: -weights.family[item[0]].weight)
        self._words = [(family, _compile(family, words)) for family, words in by_weight]
        self._any_word = _compile("*", [word for _, words in by_weight for word in words])
        # A rule's words come again with every alert of it; a title may be new each time, so what
        # the other fields tell is kept apart from it.
        self.of = lru_cache(maxsize=CACHED)(self._of)
        self._cached_vouched = lru_cache(maxsize=CACHED)(self._vouched)
        self._named = lru_cache(maxsize=CACHED)(self._search)

    def _of(self, text: RuleText) -> Family:
        """The family of an alert; the most serious of those that its words name."""
        vendor = VENDOR_TEXT.get(text.source, ()) if text.declared else ()
        vouched = self._cached_vouched(msgspec.structs.replace(text, title=""), vendor)
        best = vouched
        named = {vouched.name} if vouched.name else set()
        vendor_texts = {getattr(text, field) for field in vendor}
        for value in vendor_texts:
            named.update(self._named(value or ""))
        for field in ("event_category", "rule_category", "rule_name", "title"):
            value = getattr(text, field)
            if not value or value in vendor_texts:
                continue
            families = self._named(value)
            named.update(families)
            if families and self._weights[families[0]].weight > max(best.weight, 0.0):
                best = self._family(families[0], field, tainted=True)
        if best is vouched:
            return msgspec.structs.replace(vouched, named=frozenset(named))
        least = self._stage_unknown if vouched.stage is None else vouched.stage
        stage = max(best.stage or 0.0, least)
        return msgspec.structs.replace(
            best, vouched=vouched.name, stage=stage, named=frozenset(named)
        )

    def _vouched(self, text: RuleText, vendor: tuple[str, ...]) -> Family:
        exact = next(
            (
                self._family(family, field)
                for field in vendor
                if (value := getattr(text, field))
                and (family := self._exact(text.source, field, value))
            ),
            None,
        )
        if exact is not None and exact.weight <= 0:
            return exact  # its vendor says that it is harmless, whatever else it mentions
        candidates = [
            self._family(families[0], field)
            for field in vendor
            if (value := getattr(text, field)) and (families := self._named(value))
        ]
        if exact is not None:
            candidates.append(exact)
        if candidates:
            return max(candidates, key=lambda family: family.weight)
        if text.declared and text.source == "wazuh" and _is_routine(text.rule_level):
            entry = self._weights["routine"]
            return Family(
                name="routine",
                weight=entry.weight,
                stage=entry.stage,
                pointer="/rule/level",
                vouched="routine",
            )
        return Family()

    def _exact(self, source: str, field: str, value: str) -> str | None:
        if field == "rule_category":
            listed = self._category.get(source, {}).get(value.strip().lower())
            if listed:
                return listed
        for prefix, family in self._prefix.get(source, ()):
            if value.startswith(prefix):
                return family
        return None

    def _search(self, value: str) -> tuple[str, ...]:
        """All families that the text names, the most serious first."""
        text = value.lower()
        if not self._any_word.search(text):  # most texts name none, which one search can tell
            return ()
        return tuple(family for family, words in self._words if words.search(text))

    def _family(self, name: str, field: str, *, tainted: bool = False) -> Family:
        entry = self._weights[name]
        return Family(
            name=name,
            weight=entry.weight,
            stage=entry.stage,
            pointer=POINTERS[field],
            tainted=tainted,
            vouched=None if tainted else name,
        )

    def names(self) -> Iterator[str]:
        """All families, which playbooks may have a list for."""
        return iter(self._weights)


def _is_routine(level: str | None) -> bool:
    return (
        level is not None and len(level) <= 4 and level.isdecimal() and int(level) <= ROUTINE_LEVEL
    )


def _compile(family: str, words: list[str]) -> re.Pattern[str]:
    try:
        return re.compile("(?<![a-z0-9])(?:" + "|".join(words) + ")")
    except re.error as error:
        message = "triage/" + FILE + ": words." + family + ": " + str(error)
        raise SettingsError(message) from error
