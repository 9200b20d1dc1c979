"""What the name of a host shows, whoever asks for it: look-alikes, rented names, odd endings.

Names are taken out of a text wherever they stand. What speaks for a name (it is its brand's own,
its ending is an ordinary one) needs the whole name, so that letters added to it never help it.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from tocsin.knowledge.canonical import known_top_level, registered_domain
from tocsin.triage.commands.text import folded
from tocsin.triage.words import brands, words

CACHED_LENGTH = 253  # the longest name that there is
MOST_LABELS = 5  # before the domain itself

_NAME = re.compile(r"[\w.-]+")
BRANDS = brands()
_SHORT = frozenset(words("short_brands"))
_DYNAMIC = words("dynamic_names")
_CALLBACKS = words("callbacks")
_RARE = frozenset(words("rare_endings"))
_INSIDE = frozenset(words("inside_endings"))
_DELIVERY = frozenset(words("delivery"))


def names(text: str) -> Iterator[str]:
    """All names of hosts in a lower-case text."""
    for hit in _NAME.finditer(text):
        name = hit.group().strip(".")
        if "." in name:
            yield name


def faults(name: str) -> tuple[tuple[str, str, str], ...]:
    """What is odd about a name: key, wording and technique, each at most once.

    `name` is lower-case. The keys are `punycode`, `brand`, `dynamic_name`, `callback`,
    `rare_domain` and `many_labels`.
    """
    return _cached_faults(name) if len(name) <= CACHED_LENGTH else _faults(name)


def _faults(name: str) -> tuple[tuple[str, str, str], ...]:
    found = []
    if "xn--" in name or not name.isascii():
        found.append(("punycode", "holds letters of other scripts", "T1036"))
    if brand := foreign_brand(name):
        found.append(
            ("brand", "carries the name of " + brand + " in another's domain", "T1566.002")
        )
    dotted = "." + name
    if any(word in dotted for word in _DYNAMIC):
        found.append(("dynamic_name", "is one that anybody gets at once", "T1568"))
    if any(word in dotted for word in _CALLBACKS):
        found.append(("callback", "belongs to a service that shows who called it", "T1071"))
    if rare_ending(name):
        found.append(
            ("rare_domain", "has an ending that is often abused or not known", "T1583.001")
        )
    if name.count(".") > MOST_LABELS:
        found.append(
            ("many_labels", "has so many parts that the one that counts is hidden", "T1036")
        )
    return tuple(found)


_cached_faults = lru_cache(maxsize=8192)(_faults)


def foreign_brand(name: str) -> str:
    """The brand that a name carries without being its owner's; empty when there is none."""
    looks_like = spelled(name)
    for brand in BRANDS:
        for text in (name, looks_like) if looks_like != name else (name,):
            if brand in text and (brand not in _SHORT or _stands_alone(brand, text)):
                own = owns(brand, name) or within(name, _DELIVERY)
                return "" if own or (text == name and _is_own_elsewhere(brand, name)) else brand
    return ""


def spelled(name: str) -> str:
    """The name as it is read: look-alike letters and digits as the Latin letters they look like."""
    return folded(_decoded(name)).replace("0", "o").replace("1", "l").replace("rn", "m")


def owns(brand: str, name: str) -> bool:
    """Whether a name lies in a domain of the brand's owner."""
    return any(name == domain or name.endswith("." + domain) for domain in BRANDS[brand])


def _stands_alone(brand: str, text: str) -> bool:
    return re.search("(?:^|[.-])" + brand + "[.-]", text) is not None


def _is_own_elsewhere(brand: str, name: str) -> bool:
    """Whether the domain is the brand's name under another country's ending: `paypal.de`."""
    return domain_of(name).partition(".")[0] == brand and not rare_ending(name)


def _decoded(name: str) -> str:
    if "xn--" not in name:
        return name
    labels = []
    for label in name.split("."):
        try:
            labels.append(label[4:].encode().decode("punycode") if label[:4] == "xn--" else label)
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def rare_ending(name: str) -> bool:
    """Whether the last label is an abused ending, or none that anybody has delegated."""
    last = name.rpartition(".")[2]
    if last in _RARE:
        return True
    if last in _INSIDE or known_top_level(last):
        return False
    return any(letter.isalpha() for letter in name)  # otherwise it is an address or a version


def within(name: str, domains: frozenset[str]) -> bool:
    """Whether a name is one of the domains or lies in one; looks at the last four labels."""
    labels = name.rsplit(".", 4)[-4:]
    return any(".".join(labels[place:]) in domains for place in range(len(labels)))


def domain_of(name: str) -> str:
    """The part of a name that somebody registered: `example.co.uk` of `www.example.co.uk`."""
    return registered_domain(name) or name
