"""One payload in, one normalised alert out: decode, detect, map, assemble, count, observe."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from tocsin.model import Alert, Gap, GapReason, Mapping, MappingMethod
from tocsin.normalize.assemble import RELATED, assemble
from tocsin.normalize.cast import clean_text
from tocsin.normalize.catalogue import Catalogue, Source, load_catalogue
from tocsin.normalize.fields import TITLE
from tocsin.normalize.infer import infer
from tocsin.normalize.mapping import TIME, Draft, map_fields
from tocsin.normalize.observables import observables_of
from tocsin.normalize.payload import TEXT, camel_keys, read_payload, unflattened, unwrapped
from tocsin.normalize.survey import listed, survey

STEP = "normalize"
UNKNOWN = "unknown"
MAX_NOTES = 50
MAX_SOURCE_NAME = 64
TITLE_OF_LINE = 200
# An unreadable value in one of these is a check that cannot be made.
CHECKED = frozenset(
    {"source.ip", "destination.ip", "host.ip"}
    | {"file.hash.md5", "file.hash.sha1", "file.hash.sha256"}
)
_WARM_UP = '{"warm": "up", "message": "see www.example.com"}'
_NONE: frozenset[int] = frozenset()
_NO_TIME = Gap(
    step=STEP, subject=TIME, reason=GapReason.ABSENT, detail="the alert carries no event time"
)


class Engine:
    """Normalises payloads with one catalogue of source definitions."""

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue if catalogue is not None else load_catalogue()
        self.normalize(_WARM_UP, None, datetime.now(UTC))  # loads the tables before the first alert

    def normalize(
        self, payload: str, source: str | None, received_at: datetime
    ) -> tuple[str, Alert, tuple[Gap, ...]]:
        """Turn a payload into an alert; never raises for what a payload contains.

        Args:
            payload: JSON text or one line of plain text.
            source: the name that the sender gave, or None.
            received_at: supplies what the payload's times leave out.

        Returns:
            The name of the source, the alert, and a gap for each check that its data prevents.
        """
        document, note = read_payload(payload)
        draft = Draft(received_at)
        if note is not None:
            draft.notes.append(note)
        definition, document = self._choose(document, source)
        if definition is None:
            draft.notes.append("mapped by inference: no source definition knows this payload")
            inferred = infer(document, draft, {})
            return self._finish(_sender_name(source), None, document, draft, inferred, _NONE)
        if source and self._catalogue.named(source) is not definition:
            draft.notes.append(f"sent as {_sender_name(source)}, recognised as {definition.name}")
        if definition.camel and any(name[:1].isupper() for name in document):
            document = camel_keys(document)
        aliased = _NONE
        if definition.parts.names:
            aliased = definition.parts.add_to(document)
        map_fields(definition.plan, document, draft)
        inferred = infer(document, draft, definition.known) if definition.infer else frozenset()
        return self._finish(definition.name, definition, document, draft, inferred, aliased)

    def _choose(
        self, document: dict[str, Any], source: str | None
    ) -> tuple[Source | None, dict[str, Any]]:
        """The definition for a payload, if any, and the object that it reads."""
        named = self._catalogue.named(source)
        if named is not None and self._catalogue.recognises(named, document):
            return named, document
        detected = self._catalogue.detect(document)
        if detected is not None:
            return detected, document
        nested = unflattened(document)
        if nested is not None:
            document = nested
            if (detected := self._catalogue.detect(document)) is not None:
                return detected, document
        for inner in unwrapped(document):
            if (detected := self._catalogue.detect(inner)) is not None:
                return detected, inner
        if named is not None and named.infer and TEXT not in document:
            return named, document
        return None, document

    def _finish(
        self,
        name: str,
        definition: Source | None,
        document: dict[str, Any],
        draft: Draft,
        inferred: frozenset[str],
        aliased: frozenset[int],
    ) -> tuple[str, Alert, tuple[Gap, ...]]:
        found = draft.found
        if definition is not None:
            found.setdefault("event.module", definition.product)
            found.setdefault("event.provider", definition.vendor)
        known = definition.known if definition is not None else {}
        count = survey(document, known, aliased)
        left = count.left
        if inferred:
            left = [path for path in left if path not in inferred]
        by_inference = len(count.left) - len(left)
        notes = draft.notes
        if draft.failed:
            notes.extend(f"{field} could not be read: {why}" for field, why in draft.failed.items())
        related = (
            {field: found[field] for field in RELATED if field in found}
            if not found.keys().isdisjoint(RELATED)
            else {}
        )
        title = found.pop("title", None) or _title(found, document, name)
        if definition is None:
            title = title[:TITLE_OF_LINE].strip()  # often a whole log line
        alert = assemble(found, title=title)
        alert = msgspec.structs.replace(
            alert,
            observables=observables_of(alert, related),
            mapping=Mapping(
                method=MappingMethod.INFERRED if definition is None else MappingMethod.DECLARED,
                mapped=count.mapped + by_inference,
                unmapped=count.unmapped - by_inference,
                unmapped_fields=listed(left),
                notes=tuple(notes[:MAX_NOTES]),
            ),
        )
        return name, alert, _gaps(draft)


def _gaps(draft: Draft) -> tuple[Gap, ...]:
    if TIME in draft.found and not draft.failed:
        return ()
    gaps = []
    if TIME in draft.failed:
        gaps.append(
            Gap(step=STEP, subject=TIME, reason=GapReason.UNPARSABLE, detail=draft.failed[TIME])
        )
    elif TIME not in draft.found:
        gaps.append(_NO_TIME)
    gaps.extend(
        Gap(step=STEP, subject=field, reason=GapReason.UNPARSABLE, detail=why)
        for field, why in draft.failed.items()
        if field in CHECKED
    )
    return tuple(gaps)


def _title(found: dict[str, Any], document: dict[str, Any], source: str) -> str:
    """A title for an alert that has none: its rule, its action, its text, or where it came from."""
    for field in ("rule.name", "event.action", "event.category", "rule.id", "event.type"):
        if found.get(field):
            return str(found[field])[:TITLE]
    line = document.get(TEXT)
    text = clean_text(line) if isinstance(line, str) else None
    return text[:TITLE_OF_LINE] if text else f"Alert from {source}"


def _sender_name(source: str | None) -> str:
    """The sender's own name for a source that we do not know, in one clean line."""
    if source is None:
        return UNKNOWN
    name = "".join(character if character.isprintable() else " " for character in source)
    return name.strip()[:MAX_SOURCE_NAME] or UNKNOWN
