"""One call's pseudonyms: stable while it lasts, reversible here, meaningless to who receives them.

A text is laid open (decoded), then every span is replaced that holds something known from the
records, something told by its shape, or a secret. Spans that overlap become one, so nothing of an
original is left beside a pseudonym.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice

from tocsin.redaction import secrets
from tocsin.redaction.disguises import LONGEST, laid_open
from tocsin.redaction.shapes import PUBLIC_ACCOUNTS, SPOKEN_OF, Scope, Span, address_kind, shapes

SECRET = "SECRET"  # noqa: S105  # a kind of name
TEXT = "TEXT"
KINDS = (
    "HOST", "USER", "NAME", "EMAIL", "DOMAIN", "INTERNAL_IP", "EXTERNAL_IP", "MAC", "ACCOUNT",
    SECRET, TEXT,
)  # fmt: skip
PSEUDONYM = re.compile(
    rf"(?<![A-Za-z0-9])(?:{'|'.join(KINDS)})_[0-9]{{1,6}}(?![A-Za-z0-9])", re.IGNORECASE
)
INSIDE = 4  # characters from which a known value is also looked for within words
CUT = re.compile(re.escape("..."))  # "…" laid open: where a statement leaves a text's end out
MOST_CUTS = 8
MOST_LEARNT = 300  # values of texts that are looked for in all others; hostile texts hold many
LEAST = 2  # characters below which a value names nobody

__all__ = ["PSEUDONYM", "Pseudonyms", "Scope"]


class Pseudonyms:
    """What one call calls things; nothing of it is shared with another call.

    Args:
        scope: what belongs to the organisation.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._own: frozenset[str] = frozenset()
        self._names: dict[str, str] = {}  # originals in canonical writing → pseudonyms
        self._originals: dict[str, str] = {}  # pseudonyms → originals as first written; no secrets
        self._counts: dict[str, int] = {}
        self._known: dict[str, str] = {}  # canonical originals to look for → kinds
        self._written: dict[str, None] = {}  # the same, as they may be written
        self._learnt = 0
        self._pattern: re.Pattern[str] | None = None

    @property
    def mapping(self) -> Mapping[str, str]:
        """The originals by pseudonym. Secrets are not in it: nobody gets them back."""
        return dict(self._originals)

    def know(self, kind: str, value: str | None) -> None:
        """Hide this value wherever it stands, as a name of that kind."""
        if value is None:
            return
        for form in {value[:LONGEST].strip(), laid_open(value).strip()}:
            key = _canonical(form)
            if len(form) < LEAST or key in PUBLIC_ACCOUNTS or key in SPOKEN_OF:
                continue
            if key not in self._known:
                self._known[key] = kind
                self._written.update(dict.fromkeys((" ".join(form.split()), key)))
                self._pattern = None

    def know_address(self, value: str | None) -> None:
        """Hide an IP address; its pseudonym says whether it is one of ours."""
        if value:
            self.know(address_kind(value, self._scope), value)

    def know_person(self, name: str | None) -> None:
        """Hide a person's name, and each part of it."""
        if name:
            self.know("NAME", name)
            for part in re.split(r"[\s,;.@]+", name):
                if len(part) > LEAST:
                    self.know("NAME", part)

    def know_domain(self, domain: str | None) -> None:
        """Hide this domain and all below it as one of ours."""
        if domain and "." in domain.strip("."):
            self._own |= {domain.strip(".").lower()}
        self.know("DOMAIN", domain)

    def learn(self, texts: Iterable[str]) -> None:
        """Find what is worth hiding in these texts, so that it is hidden in all others too."""
        for text in texts:
            opened = laid_open(text)
            for start, end in secrets.spans(opened):
                self._learn(SECRET, opened[start:end])
            for span, value in self._found(opened):
                self._learn(span.kind, value)
                if span.kind == "USER":
                    self._learn("USER", value.split(" ", 1)[0])

    def _learn(self, kind: str, value: str) -> None:
        if kind != TEXT and self._learnt < MOST_LEARNT:
            before = len(self._known)
            self.know(kind, value)
            self._learnt += len(self._known) - before

    def hide(self, text: str, longest: int = LONGEST) -> str:
        """The beginning of a text with pseudonyms for all that is known or told by its shape."""
        whole = len(text) < longest
        text = laid_open(text, longest)
        parts, end = [], 0
        for span, value in self._found(text, whole=whole):
            parts += [text[end : span.start], self._name(span.kind, value)]
            end = span.end
        return "".join([*parts, text[end:]])

    def restore(self, text: str) -> str:
        """The text with the originals; secrets and names that were never given stay as they are."""
        return PSEUDONYM.sub(self._original, text)

    def invented(self, text: str) -> tuple[str, ...]:
        """The names in a text that look like pseudonyms and were never given out."""
        given = set(self._names.values())
        found = [match.group() for match in PSEUDONYM.finditer(text)]
        return tuple(dict.fromkeys(name for name in found if name.upper() not in given))

    # --- within ---------------------------------------------------------------------------------

    def _original(self, match: re.Match[str]) -> str:
        return self._originals.get(match.group().upper(), match.group())

    def _name(self, kind: str, value: str) -> str:
        key = _canonical(value)
        if key not in self._names:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[key] = f"{kind}_{number}"
            if kind != SECRET:
                self._originals[f"{kind}_{number}"] = value
        return self._names[key]

    def _found(self, text: str, *, whole: bool = True) -> Iterator[tuple[Span, str]]:
        """What to replace, in order, without overlaps; each with its text.

        Args:
            text: laid open.
            whole: whether it is all of a text, so that no name can begin at its end.
        """
        spans = [Span(*found, SECRET) for found in secrets.spans(text)]
        spans += [Span(*match.span(), TEXT) for match in PSEUDONYM.finditer(text)]
        spans += shapes(text, self._scope, self._own)
        spans += self._known_in(text)
        spans += self._cut_in(text, whole)
        widened = sorted(map(partial(_widened, text), spans))
        at = 0
        while at < len(widened):
            start, end, _ = widened[at]
            kinds: dict[str, int] = {}
            while at < len(widened) and widened[at].start < end:
                span = widened[at]
                end = max(end, span.end)
                kinds[span.kind] = max(kinds.get(span.kind, 0), span.end - span.start)
                at += 1
            value = text[start:end]
            yield Span(start, end, self._kind(value, kinds)), value

    def _kind(self, value: str, kinds: Mapping[str, int]) -> str:
        """A secret if any part is one; else what it is known as, else the longest part's kind."""
        if SECRET in kinds:
            return SECRET
        known = self._known.get(_canonical(value))
        return known or max(kinds, key=lambda kind: kinds[kind])

    def _known_in(self, text: str) -> Iterator[Span]:
        if not self._known:
            return
        if self._pattern is None:
            values = sorted(self._written, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_expression, values)), re.IGNORECASE)
        for match in self._pattern.finditer(text):
            kind = self._known.get(_canonical(match.group()), "NAME")
            yield Span(*match.span(), kind)

    def _cut_in(self, text: str, whole: bool) -> Iterator[Span]:
        ends = [match.start() for match in islice(CUT.finditer(text), MOST_CUTS)]
        for end in [*ends, *([] if whole else [len(text)])]:
            yield from self._begun_at(text, end)

    def _begun_at(self, text: str, end: int) -> Iterator[Span]:
        """The beginning of something known, where a text was cut."""
        for value, kind in self._known.items():
            for length in range(min(len(value) - 1, end), INSIDE - 1, -1):
                if text[end - length : end].casefold() == value[:length]:
                    yield Span(end - length, end, kind)
                    break


def _canonical(value: str) -> str:
    return " ".join(value.split()).casefold()


def _expression(value: str) -> str:
    spaced = r"\s+".join(map(re.escape, value.split(" ")))
    if len(value) >= INSIDE:
        return spaced
    return rf"(?<![A-Za-z0-9]){spaced}(?![A-Za-z0-9])"


def _widened(text: str, span: Span) -> Span:
    """The span up to the ends of the words it stands in: a pseudonym must stand by itself."""
    start, end, kind = span
    while start > 0 and _joins(text[start - 1]) and _joins(text[start]):
        start -= 1
    while end < len(text) and _joins(text[end]) and _joins(text[end - 1]):
        end += 1
    return Span(start, end, kind)


def _joins(character: str) -> bool:
    return character.isascii() and character.isalnum()
