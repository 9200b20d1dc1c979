"""The severity words and numbers of all vendors, on our five levels."""

from collections.abc import Mapping
from types import MappingProxyType

from tocsin.model import Severity

WORDS: Mapping[str, Severity] = MappingProxyType(
    {
        word: level
        for level, words in {
            Severity.CRITICAL: "critical crit emergency emerg panic fatal severe disaster blocker "
            "very-high veryhigh urgent sev0 sev1 p0 p1 s1",
            Severity.HIGH: "high error err major important alert malicious danger sev2 p2 s2",
            Severity.MEDIUM: "medium med moderate warning warn average suspicious elevated sev3 p3 "
            "s3",
            Severity.LOW: "low minor notice normal sev4 p4 s4",
            Severity.INFO: "info informational information informative none debug ok trace verbose "
            "benign clean success sev5 p5 s5",
        }.items()
        for word in words.split()
    }
)
SCALES = ((10.0, (9, 7, 4, 1)), (100.0, (90, 70, 40, 20)), (1000.0, (900, 700, 400, 200)))


def severity_of(value: object) -> Severity | None:
    """Our level for a vendor's severity, or None when the value says nothing we know.

    Words come in any case and with the usual decorations (`SEVERITY_HIGH`, `E_CRITICAL`,
    `4:Info`, `High (8)`). Numbers count as 0–10, else 0–100, else 0–1000: 9, 7, 4 and 1 tenths
    begin critical, high, medium and low (below 10; 90, 70, 40, 20 on the larger scales).
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if (level := WORDS.get(text)) is not None:
            return level
        if len(text) > 64:
            return None
        try:
            return _from_number(float(text))
        except ValueError:
            return _from_decorated(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(value)
    return None


def _from_decorated(text: str) -> Severity | None:
    plain = "".join(character if character.isalnum() else " " for character in text)
    if plain.replace(" ", "") in WORDS:
        return WORDS[plain.replace(" ", "")]
    for word in plain.split():
        if (level := WORDS.get(word)) is not None:
            return level
    return None


def _from_number(number: float) -> Severity | None:
    for limit, (critical, high, medium, low) in SCALES:
        if 0 <= number <= limit:
            if number >= critical:
                return Severity.CRITICAL
            if number >= high:
                return Severity.HIGH
            if number >= medium:
                return Severity.MEDIUM
            return Severity.LOW if number >= low else Severity.INFO
    return None
