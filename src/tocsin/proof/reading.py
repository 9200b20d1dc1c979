"""Checking a bundle without a database: nothing in it is trusted before it was measured.

Whoever hands over a bundle may have written every byte of it. The archive's directory is bounded
before it is read, names must be those of a bundle, and no member is unpacked beyond its limit.
"""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from tocsin.errors import BundleError, InputError, TocsinError
from tocsin.model import Judged, Proof, Record, sightings_then
from tocsin.model.dossier import Dossier
from tocsin.proof.audit_rows import AuditFinding, check_rows
from tocsin.proof.bundle import (
    FORMAT,
    MANIFEST,
    OPTIONAL,
    PAYLOAD,
    PUBLIC_KEY,
    SIGNATURE,
    TYPES,
    Manifest,
    strictest,
)
from tocsin.proof.derive import Deriver
from tocsin.proof.signing import fingerprint_of, is_signed, known_fingerprint

MOST_BYTES = 64 * 1024 * 1024  # of the file
MOST_UNPACKED = 128 * 1024 * 1024  # of all members
MOST_MEMBER = 64 * 1024 * 1024
MOST_ENTRIES = 32
MOST_DIRECTORY = 16 * 1024  # bytes of the archive's directory
NAMES = frozenset({MANIFEST, SIGNATURE, PUBLIC_KEY, PAYLOAD, *TYPES})
_END = struct.Struct("<4s4H2LH")
_manifests = msgspec.json.Decoder(Manifest)
# What a value that no installation has stored can make of triage's arithmetic.
_UNWORKABLE = (
    *(ArithmeticError, LookupError, ValueError, TypeError, AttributeError, RecursionError),
)


class Finding(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What a bundle proves.

    `tampered` says what is not as it was signed; nothing else counts then. `signer_known` is None
    where nobody said whose signature it should be. `audit` is about the rows of the audit trail.
    """

    alert_id: str
    key: str
    manifest: Manifest
    signer_known: bool | None = None
    tampered: tuple[str, ...] = ()
    proof: Proof | None = None
    audit: AuditFinding | None = None


def examine(path: Path, public_key: str | None = None, audit_keys: str = "") -> Finding:
    """Check a bundle: its signature, its hashes, and that its verdict follows from the rest.

    Args:
        path: the file.
        public_key: the fingerprint or the file of the key that must have signed it.
        audit_keys: the setting `audit_key` of who packed it, for the rows of the audit trail.

    Raises:
        BundleError: it is no bundle, or holds what no bundle holds.
        InputError: the file or the public key cannot be read.
    """
    wanted = None if public_key is None else known_fingerprint(public_key)
    members = _unpacked(_content(path))
    manifest = _decoded(_manifests, members[MANIFEST], MANIFEST)
    if manifest.format != FORMAT:
        raise BundleError(f"this bundle has another format than {FORMAT}")
    key = fingerprint_of(members[PUBLIC_KEY])
    tampered = _tampered(manifest, members, key)
    found = Finding(
        alert_id=manifest.alert_id,
        key=key,
        manifest=manifest,
        signer_known=None if wanted is None else wanted == key,
        tampered=tuple(tampered),
    )
    if tampered:
        return found
    read = _read(members)
    judged, learned = _judged(read, members[PAYLOAD]), read.get("model.json")
    if strictest(judged) is not manifest.tlp or judged.dossier.alert_id != manifest.alert_id:
        wrong = "the manifest speaks of another alert, or of another TLP, than its members"
        return msgspec.structs.replace(found, tampered=(wrong,))
    try:
        proof = Deriver().prove(judged, learned)
    except _UNWORKABLE as error:
        raise BundleError("no verdict can be worked out from what the bundle holds") from error
    audit = check_rows(read["audit.json"], audit_keys)
    return msgspec.structs.replace(found, proof=proof, audit=audit)


def _tampered(manifest: Manifest, members: dict[str, bytes], key: str) -> list[str]:
    if not is_signed(members[MANIFEST], members[SIGNATURE], members[PUBLIC_KEY]):
        return ["the signature of manifest.json is not that of the key in the bundle"]
    wrong = []
    if manifest.key != key:
        wrong.append("manifest.json names another key than the one in the bundle")
    hashed = members.keys() - {MANIFEST, SIGNATURE}
    for name in sorted(hashed ^ manifest.members.keys()):
        place = "the bundle" if name in hashed else "the manifest"
        wrong.append(f"{name[:64]} is in {place} alone")
    for name in sorted(hashed & manifest.members.keys()):
        content, said = members[name], manifest.members[name]
        if said.bytes != len(content) or said.sha256 != hashlib.sha256(content).hexdigest():
            wrong.append(f"{name} is not what was signed")
    return wrong


def _read(members: dict[str, bytes]) -> dict[str, Any]:
    """The JSON members."""
    return {
        name: _decoded(msgspec.json.Decoder(kind), members[name], name)
        for name, kind in TYPES.items()
        if name in members
    }


def _judged(read: dict[str, Any], sent: bytes) -> Judged:
    """The alert as triage saw it."""
    part, inputs = read["alert.json"], read["inputs.json"]
    try:
        payload = sent.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{PAYLOAD} is not UTF-8") from error
    dossier = Dossier(
        alert_id=part.alert_id,
        received_at=part.received_at,
        payload=payload,
        source=part.source,
        alert=part.alert,
        context=read["context.json"],
        intel=sightings_then(part.alert, inputs),
        verdict=read["verdict.json"],
        gaps=read["gaps.json"],
        detection=inputs.detection,
    )
    return Judged(dossier=dossier, inputs=inputs, opinion=read.get("opinion.json"))


def _decoded(decoder: msgspec.json.Decoder[Any], content: bytes, name: str) -> Any:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        told = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise BundleError(f"{name} is not what a bundle holds: {told}") from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MOST_BYTES:
        raise BundleError(f"the file is larger than {MOST_BYTES >> 20} MiB")
    return content


def _unpacked(content: bytes) -> dict[str, bytes]:
    """The members by name.

    Raises:
        BundleError: the archive is not one that `pack` could have made.
    """
    _measure(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_names([entry.filename for entry in entries])
            if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                raise BundleError(f"it unpacks to more than {MOST_UNPACKED >> 20} MiB")
            return {entry.filename: _member(archive, entry) for entry in entries}
    except TocsinError:
        raise
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError),
        *(ValueError, OverflowError, struct.error, LookupError),
    ) as error:
        raise BundleError(f"the archive is damaged: {str(error)[:200]}") from error


def _measure(content: bytes) -> None:
    """Look at the archive's end before its directory is read: bounded, and nothing behind it."""
    if len(content) < _END.size:
        raise BundleError("this is no zip archive, or one that was cut off")
    mark, disk, first, here, entries, size, offset, comment = _END.unpack(content[-_END.size :])
    if mark != b"PK\x05\x06" or comment or disk or first or here != entries:
        raise BundleError("this is no zip archive, or one that was cut off or added to")
    if entries > MOST_ENTRIES or size > MOST_DIRECTORY:
        raise BundleError(f"the archive has more than {MOST_ENTRIES} members")
    if offset + size + _END.size != len(content):
        raise BundleError("the archive has something before or behind it")


def _check_names(names: Collection[str]) -> None:
    for name in sorted(set(names) - NAMES):
        raise BundleError(f"{name[:64]!a} is no member of a bundle")
    if len(set(names)) != len(names):
        raise BundleError("the archive has two members of one name")
    for name in sorted(NAMES - OPTIONAL - set(names)):
        raise BundleError(f"the bundle lacks {name}")


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.flag_bits & 0x1:
        raise BundleError(f"{entry.filename} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"{entry.filename} is compressed in a way that no bundle is")
    if entry.file_size > MOST_MEMBER:
        raise BundleError(f"{entry.filename} is larger than {MOST_MEMBER >> 20} MiB")
    with archive.open(entry) as member:
        content = member.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise BundleError(f"{entry.filename} is not as long as the archive says")
    return content
