"""An evidence bundle: one zip with everything that a verdict was made from, hashed and signed."""

import hashlib
import io
import zipfile
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from tocsin import __version__
from tocsin.errors import InputError
from tocsin.model import (
    Alert,
    AuditLine,
    Fact,
    Gap,
    Inputs,
    Judged,
    Learned,
    Membership,
    Opinion,
    Papers,
    Record,
    StoredDecision,
    Tlp,
    Verdict,
)
from tocsin.proof.derive import learned_version
from tocsin.proof.signing import Signer
from tocsin.triage import shipped_model

FORMAT = "tocsin-evidence-1"
MANIFEST, SIGNATURE, PUBLIC_KEY, PAYLOAD = (
    *("manifest.json", "manifest.sig", "public_key.pem", "payload"),
)
_encoder = msgspec.json.Encoder(order="sorted")


class AlertPart(Record, frozen=True, kw_only=True):
    """`alert.json`: the normalised alert, and how it came in."""

    alert_id: str
    received_at: datetime
    alert: Alert
    source: str | None = None


class Digest(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What a member of the bundle must be."""

    sha256: str
    bytes: int


class Manifest(Record, frozen=True, kw_only=True, omit_defaults=False):
    """`manifest.json`: what is signed. `tlp` is the strictest of the indicators in the bundle."""

    format: str
    alert_id: str
    created_at: datetime
    software: str
    weights_version: str
    model_version: str
    key: str
    tlp: Tlp | None
    members: dict[str, Digest]


class Contents(Record, frozen=True, kw_only=True):
    """What goes into a bundle; `learned` is the learned model that the verdict names, if any."""

    judged: Judged
    papers: Papers = Papers()
    learned: Learned | None = None


class Proofs(Protocol):
    """Where verdicts are read with what they were made from."""

    async def one(self, alert_id: str) -> Judged:
        """One alert as triage saw it; NotFoundError if there is none."""

    async def learned(self, version: str) -> Learned | None:
        """A learned model, live or not."""

    async def papers(self, alert_id: str) -> Papers:
        """What was noted about an alert beside its verdict."""


async def contents_of(proofs: Proofs, alert_id: str) -> Contents:
    """All that belongs into an alert's bundle.

    Raises:
        NotFoundError: there is no such alert.
    """
    judged = await proofs.one(alert_id)
    verdict = judged.dossier.verdict
    name = None if verdict is None else learned_version(verdict.model_version)
    return Contents(
        judged=judged,
        papers=await proofs.papers(alert_id),
        learned=None if name is None else await proofs.learned(name),
    )


TYPES: dict[str, Any] = {
    "alert.json": AlertPart,
    "context.json": tuple[Fact, ...],
    "inputs.json": Inputs,
    "verdict.json": Verdict,
    "gaps.json": tuple[Gap, ...],
    "decisions.json": tuple[StoredDecision, ...],
    "incidents.json": tuple[Membership, ...],
    "audit.json": tuple[AuditLine, ...],
    "opinion.json": Opinion,
    "model.json": Learned,
}
"""The JSON members of a bundle."""
OPTIONAL = frozenset({"opinion.json", "model.json"})


def strictest(judged: Judged) -> Tlp | None:
    """The strictest marking of the indicators that an alert met."""
    order = list(Tlp)
    marks = [s.tlp for s in judged.inputs.sightings if s.tlp is not None]
    return max(marks, key=order.index, default=None)


def pack(contents: Contents, signer: Signer, now: datetime | None = None) -> bytes:
    """The bundle's bytes.

    Raises:
        InputError: the alert has no verdict yet.
    """
    judged = contents.judged
    dossier, verdict = judged.dossier, judged.dossier.verdict
    if verdict is None or dossier.alert is None:
        raise InputError(f"alert {dossier.alert_id} has no verdict yet; try again in a moment")
    parts: dict[str, Any] = {
        "alert.json": AlertPart(
            alert_id=dossier.alert_id,
            received_at=dossier.received_at,
            alert=dossier.alert,
            source=dossier.source,
        ),
        "context.json": dossier.context,
        "inputs.json": judged.inputs,
        "verdict.json": verdict,
        "gaps.json": dossier.gaps,
        "decisions.json": contents.papers.decisions,
        "incidents.json": contents.papers.incidents,
        "audit.json": contents.papers.audit,
    }
    if judged.opinion is not None:
        parts["opinion.json"] = judged.opinion
    if contents.learned is not None:
        parts["model.json"] = contents.learned
    members = {name: _encoder.encode(part) for name, part in parts.items()}
    members[PAYLOAD] = dossier.payload.encode()
    members[PUBLIC_KEY] = signer.public
    manifest = _encoder.encode(
        Manifest(
            format=FORMAT,
            alert_id=dossier.alert_id,
            created_at=now or datetime.now(UTC),
            software=f"tocsin {__version__}",
            weights_version=shipped_model().version,
            model_version=verdict.model_version,
            key=signer.fingerprint,
            tlp=strictest(judged),
            members={
                name: Digest(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
                for name, content in members.items()
            },
        )
    )
    return _zipped({MANIFEST: manifest, SIGNATURE: signer.sign(manifest), **members})


def _zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name)  # dated 1980, so that nothing but the content counts
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, content)
    return target.getvalue()
