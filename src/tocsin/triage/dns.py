"""What a name that was asked for shows: made up by rule, carrying data, rented, look-alike."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage import hosts
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.words import words

CACHED_LENGTH = 512
WINDOW = 12  # letters that are judged at a time
# Of the pairs of letters in random text 31 in 100 are common in English; in names that people
# choose, over 80.
_COMMON = frozenset(words("common_pairs"))
FEW_COMMON = 4  # of the eleven pairs in a window; random text has 3.4 of them
_LETTERS = re.compile(r"[a-z]{12,}")
_HEXADECIMAL = re.compile(r"(?:^|\.)[0-9a-f]{0,64}(?:[a-f]\d|\d[a-f])[0-9a-f]{14,}")
_MIXED = re.compile(r"(?:[a-z]{1,3}\d{1,3}){5}")
_LONG_LABEL = re.compile(r"[\w+=/-]{45}")
_ENCODED_LABEL = re.compile(r"[\w+=/-]{24}")
LONG_NAME = 100
LONG_FOR_TEXT = 30
TEXT_TYPES = ("txt", "null", "cname", "mx")
_BY_RULE = frozenset(words("names_by_rule"))


def dns(case: Case) -> Sequence[Evidence]:
    """The name asked for was made by rule, carries data, or is one that attackers like."""
    question, kind = case.alert.dns.question, case.alert.dns.type
    if not question:
        return ()
    found = (_cached if len(question) <= CACHED_LENGTH else _shows)(question.lower(), kind or "")
    dns_weights, web_weights = case.weights.dns, case.weights.web
    return [
        case.on_alert(
            "dns." + key,
            "The name " + quoted(question, 80) + " " + what + ".",
            "/dns/question",
            question,
            (dns_weights[key] if key in dns_weights else web_weights[key]).weight,
            tainted=True,
            technique=technique,
        )
        for key, what, technique in found
    ]


def _shows(text: str, kind: str) -> tuple[tuple[str, str, str], ...]:
    found: dict[str, tuple[str, str, str]] = {}
    for name in hosts.names(text):
        for key, what, technique in hosts.faults(name):
            if key != "many_labels":  # services make names of many parts
                found.setdefault(key, (key, what, technique))
        if not hosts.within(name, _BY_RULE):
            if generated(name):
                what = "looks made up by rule, as malware does"
                found.setdefault("generated", ("generated", what, "T1568.002"))
            if _carries_data(name):
                found.setdefault("tunnel", ("tunnel", "carries data in its labels", "T1071.004"))
            long = max(len(label) for label in name.split(".")) >= LONG_FOR_TEXT
            if long and any(word in kind.lower() for word in TEXT_TYPES):
                what = "is long and asked for text"
                found.setdefault("text_record", ("text_record", what, "T1071.004"))
    return tuple(found.values())


_cached = lru_cache(maxsize=8192)(_shows)


def generated(name: str) -> bool:
    """Whether some label looks made by rule.

    The measure: a stretch of twelve letters in which at most four of the eleven pairs are common in
    English; or sixteen hexadecimal digits; or letters and digits in turn, five times over.
    """
    for hit in _LETTERS.finditer(name):
        run = hit.group()
        pairs = [run[place : place + 2] in _COMMON for place in range(len(run) - 1)]
        common = sum(pairs[: WINDOW - 1])
        if common <= FEW_COMMON:
            return True
        for place in range(WINDOW - 1, len(pairs)):
            common += pairs[place] - pairs[place - WINDOW + 1]
            if common <= FEW_COMMON:
                return True
    return bool(_HEXADECIMAL.search(name) or _MIXED.search(name))


def _carries_data(name: str) -> bool:
    """A very long label, or two long ones in a long name."""
    if _LONG_LABEL.search(name):
        return True
    return len(name) >= LONG_NAME and len(_ENCODED_LABEL.findall(name)) >= 2
