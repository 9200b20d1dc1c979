"""A stored verdict worked out anew, and compared byte by byte.

The comparison is of canonical JSON (members in the order of their names). Where it differs, the
places are named; evidence is looked up where it points to, and its hashes are checked.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tocsin.model import (
    Difference,
    Dossier,
    Gap,
    Judged,
    Learned,
    Proof,
    ProofOutcome,
    Verdict,
    as_triaged,
)
from tocsin.triage import Model, model_with, resolve, shipped_model
from tocsin.triage.detections import NOTHING_KNOWN, DetectionIndex
from tocsin.triage.evidence import value_hash

STEP = "triage"
MOST = 20  # differences that are named
SHOWN = 300  # characters of a value that a difference shows
KEPT_MODELS = 16
_canonical = msgspec.json.Encoder(order="sorted")
_hashed = msgspec.json.Encoder(order="deterministic")


def learned_version(model_version: str) -> str | None:
    """The learned model that a verdict names beside the expert weights; None if it names none."""
    parts = model_version.split("+", 2)
    return parts[2] if len(parts) == 3 else None


def is_itself(learned: Learned) -> bool:
    """Whether a learned model's version is the hash of its content, as learning makes it."""
    bare = msgspec.structs.replace(learned, version="")
    return hashlib.sha256(_hashed.encode(bare)).hexdigest()[:16] == learned.version


class Deriver:
    """Works verdicts out anew with the weights of this version of Tocsin."""

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}

    @property
    def version(self) -> str:
        """The version of the weights, tables and playbooks that ship with this Tocsin."""
        return shipped_model().version

    def prove(self, judged: Judged, learned: Learned | None = None) -> Proof:
        """Work one verdict out anew, and compare.

        Args:
            judged: the alert and what the verdict was made from.
            learned: the learned model that the verdict names, if it names one.
        """
        dossier = judged.dossier
        verdict = dossier.verdict
        if verdict is None or dossier.alert is None:
            detail = "there is no verdict yet"
            return Proof(alert_id=dossier.alert_id, outcome=ProofOutcome.UNTRIAGED, detail=detail)
        model, why = self._model(verdict.model_version, learned)
        if model is None:
            missing = why.startswith("the learned model")
            return Proof(
                alert_id=dossier.alert_id,
                outcome=ProofOutcome.MODEL_MISSING if missing else ProofOutcome.OTHER_VERSION,
                model_version=verdict.model_version,
                detail=why,
            )
        then = as_triaged(verdict, judged.opinion)
        derived, gaps = _derived(model, dossier)
        stored = document(then, dossier.gaps)
        made = document(derived, gaps)
        found: list[Difference] = []
        if stored != made:
            found += _differences("", msgspec.json.decode(stored), msgspec.json.decode(made))
            found = found or [Difference(path="/", stored=_short(stored), derived=_short(made))]
        found += _raised(judged)
        found += _pointers(verdict, dossier)
        return Proof(
            alert_id=dossier.alert_id,
            outcome=ProofOutcome.DIFFERS if found else ProofOutcome.REPRODUCED,
            model_version=verdict.model_version,
            detail=f"{len(found)} differences" if found else "",
            pointers=len(verdict.evidence),
            differences=tuple(found[:MOST]),
        )

    def _model(self, version: str, learned: Learned | None) -> tuple[Model | None, str]:
        """The model of this version, or why there is none."""
        shipped = shipped_model()
        if version == shipped.version:
            return shipped, ""
        if not version.startswith(shipped.version + "+"):
            why = f"cannot be re-derived by this version: made by {version}, this is "
            return None, why + shipped.version
        name = learned_version(version)
        if learned is None:
            return None, f"the learned model {name} is not there any more"
        if learned.version != name or not is_itself(learned):
            return None, f"the learned model {name} is not what its version says"
        if name not in self._models:
            if len(self._models) >= KEPT_MODELS:
                self._models.clear()
            self._models[name] = model_with(learned)
        return self._models[name], ""


def document(verdict: Verdict, gaps: tuple[Gap, ...]) -> bytes:
    """All that triage says of an alert, as canonical JSON."""
    return _canonical.encode(_Said(verdict=verdict, gaps=gaps))


class _Said(msgspec.Struct, frozen=True):
    verdict: Verdict
    gaps: tuple[Gap, ...]


def _derived(model: Model, dossier: Dossier) -> tuple[Verdict, tuple[Gap, ...]]:
    """The verdict on the dossier as it was before triage, and its gaps afterwards."""
    before = tuple([gap for gap in dossier.gaps if gap.step != STEP])
    given = msgspec.structs.replace(dossier, verdict=None, gaps=before)
    known = DetectionIndex(1, [dossier.detection]) if dossier.detection else NOTHING_KNOWN
    verdict, found = model.assess(given, known)
    return verdict, before + found


def _raised(judged: Judged) -> Iterator[Difference]:
    """What stands in the row is what the second opinion made of it, where there is one."""
    verdict, opinion = judged.dossier.verdict, judged.opinion
    change = opinion.change if opinion is not None else None
    if verdict is None or change is None:
        return
    if verdict.risk_score != change.risk_after:
        yield Difference(
            path="/verdict/risk_score (raised by a second opinion)",
            stored=verdict.risk_score,
            derived=change.risk_after,
        )
    if verdict.requires_human_review != change.review_after:
        yield Difference(
            path="/verdict/requires_human_review (by a second opinion)",
            stored=verdict.requires_human_review,
            derived=change.review_after,
        )


def _pointers(verdict: Verdict, dossier: Dossier) -> Iterator[Difference]:
    """Evidence that points to nothing, or to something else than it says."""
    for place, item in enumerate(verdict.evidence):
        try:
            found = value_hash(resolve(item.pointer, dossier))
        except KeyError:
            yield Difference(path=f"/verdict/evidence/{place}/pointer", stored=item.pointer)
            continue
        if found != item.value_hash:
            yield Difference(
                path=f"/verdict/evidence/{place}/value_hash", stored=item.value_hash, derived=found
            )


def _differences(path: str, stored: Any, made: Any) -> Iterator[Difference]:
    """The innermost places where two documents differ."""
    if isinstance(stored, Mapping) and isinstance(made, Mapping):
        for name in sorted(stored.keys() | made.keys()):
            if name not in stored or name not in made or stored[name] != made[name]:
                yield from _differences(f"{path}/{name}", stored.get(name), made.get(name))
    elif isinstance(stored, list) and isinstance(made, list) and len(stored) == len(made):
        for place, (one, other) in enumerate(zip(stored, made, strict=True)):
            if one != other:
                yield from _differences(f"{path}/{place}", one, other)
    else:
        yield Difference(path=path or "/", stored=_short(stored), derived=_short(made))


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str | dict | list):
        text = value if isinstance(value, str) else _canonical.encode(value).decode()
        return text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return value
