"""Verdicts worked out anew, and bundles: what holds, what is told, and what is refused."""

import hashlib
import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from tests.unit.learned_models import itself
from tests.unit.triage_dossiers import THEIRS, dossier, listed, network_alert
from tests.unit.triage_strategies import DOSSIERS

from tocsin.errors import BundleError, InputError, SettingsError
from tocsin.model import (
    Change,
    Detection,
    Disposition,
    Dossier,
    Judged,
    Learned,
    Observable,
    Opinion,
    OpinionStatus,
    Papers,
    ProofOutcome,
    Severity,
    ThreatLevel,
    Tlp,
    inputs_of,
    risk_level,
    sightings_then,
)
from tocsin.model import ObservableRole as Role
from tocsin.model import ObservableType as Kind
from tocsin.model.proof import Inputs
from tocsin.proof import Contents, Deriver, bundle, examine, fingerprint_of, open_signer, pack
from tocsin.proof.bundle import MANIFEST, SIGNATURE
from tocsin.proof.signing import Signer
from tocsin.settings import Settings
from tocsin.triage import Model, model_with, shipped_model
from tocsin.triage.detections import NOTHING_KNOWN, DetectionIndex

DETECTION = Detection(
    catalogue="c", detection_id="2024897", name="n", level=Severity.HIGH, false_positives=("x",)
)
DIRECTORY = b"PK\x01\x02\x14\x03\x14\x00\x00"  # how an entry of an archive's directory begins
HOSTILE = "{} {0} %s %(x)s\n '; DROP TABLE alerts -- \x1b[31m\u202e"


def stored(
    seen: Dossier, model: Model | None = None, index: DetectionIndex | None = None
) -> Judged:
    """A dossier judged, written as JSON and read again, as the store would."""
    verdict, gaps = (model or shipped_model()).assess(seen, index or NOTHING_KNOWN)
    assert seen.alert is not None
    found = index.match(seen.alert) if index else None
    done = msgspec.structs.replace(
        seen,
        verdict=verdict,
        gaps=seen.gaps + gaps,
        detection=found.detection if found else None,
    )
    inputs = msgspec.json.decode(msgspec.json.encode(inputs_of(done) or Inputs()), type=Inputs)
    back = msgspec.json.decode(msgspec.json.encode(done), type=Dossier)
    assert back.alert is not None
    then = msgspec.structs.replace(
        back, intel=sightings_then(back.alert, inputs), detection=inputs.detection
    )
    return Judged(dossier=then, inputs=inputs)


def beacon() -> Dossier:
    """An alert about a listed destination whose rule a catalogue knows."""
    hit = listed(THEIRS, Role.DESTINATION, ThreatLevel.CRITICAL, tlp=Tlp.AMBER, matched=THEIRS)
    alert = network_alert(
        f"Trojan {HOSTILE}",
        outbound=True,
        observables=(Observable(type=Kind.IP, value=THEIRS, role=Role.DESTINATION),),
    )
    return dossier("suricata", alert, intel=(hit,))


@pytest.fixture
def judged() -> Judged:
    return stored(beacon(), index=DetectionIndex(1, [DETECTION]))


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return open_signer(Settings(data=tmp_path))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOSSIERS)
def test_every_verdict_is_reproduced_from_what_is_kept(seen: Dossier) -> None:
    assert seen.alert is not None
    unique = {
        (s.type, s.value, s.role): msgspec.structs.replace(s, confidence=min(s.confidence, 1.0))
        for s in seen.intel
        if s.confidence >= 0
    }
    observed = tuple(Observable(type=key[0], value=key[1], role=key[2]) for key in unique)
    whole = msgspec.structs.replace(
        seen,
        alert=msgspec.structs.replace(seen.alert, observables=observed),
        intel=tuple(unique.values()),
    )
    proof = Deriver().prove(stored(whole))
    assert proof.outcome is ProofOutcome.REPRODUCED, proof


def test_what_says_nothing_is_not_kept() -> None:
    unknown = listed(THEIRS, Role.DESTINATION, ThreatLevel.UNKNOWN)
    assert inputs_of(msgspec.structs.replace(beacon(), intel=(unknown,))) is None


def test_a_verdict_needs_its_sightings_and_its_detection(judged: Judged) -> None:
    names = {item.name for item in judged.dossier.verdict.evidence}  # type: ignore[union-attr]
    assert {"prior.detection", "intel.destination_ip_listed"} <= names
    assert Deriver().prove(judged).outcome is ProofOutcome.REPRODUCED
    for change in ({"intel": ()}, {"detection": None}):
        less = msgspec.structs.replace(
            judged, dossier=msgspec.structs.replace(judged.dossier, **change)
        )
        assert Deriver().prove(less).outcome is ProofOutcome.DIFFERS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verdict", Disposition.FALSE_POSITIVE),
        ("probability", 0.123),
        ("impact", 0.0),
        ("risk_score", 1.0),
        ("confidence", 0.01),
        ("requires_human_review", None),
        ("analysis", HOSTILE),
        ("recommended_actions", ()),
        ("evidence", ()),
    ],
)
def test_every_field_that_was_touched_is_named(judged: Judged, field: str, value: Any) -> None:
    verdict = judged.dossier.verdict
    assert verdict is not None
    if value is None:
        value = not verdict.requires_human_review
    touched = msgspec.structs.replace(verdict, **{field: value})
    changed = msgspec.structs.replace(judged.dossier, verdict=touched)
    proof = Deriver().prove(msgspec.structs.replace(judged, dossier=changed))
    assert proof.outcome is ProofOutcome.DIFFERS
    assert [d.path for d in proof.differences] == [f"/verdict/{field}"]


def test_evidence_whose_value_changed_is_named(judged: Judged) -> None:
    alert = judged.dossier.alert
    assert alert is not None
    other = msgspec.structs.replace(alert, title="Something else")
    changed = msgspec.structs.replace(judged.dossier, alert=other)
    proof = Deriver().prove(msgspec.structs.replace(judged, dossier=changed))
    assert proof.outcome is ProofOutcome.DIFFERS
    assert "/verdict/analysis" in {d.path for d in proof.differences}


def test_another_version_of_the_weights_is_an_outcome_of_its_own(judged: Judged) -> None:
    verdict = judged.dossier.verdict
    assert verdict is not None
    old = msgspec.structs.replace(verdict, model_version="expert-1+0123456789ab")
    changed = msgspec.structs.replace(judged.dossier, verdict=old)
    proof = Deriver().prove(msgspec.structs.replace(judged, dossier=changed))
    assert proof.outcome is ProofOutcome.OTHER_VERSION
    assert "cannot be re-derived by this version: made by expert-1+0123456789ab" in proof.detail


def test_a_learned_model_is_needed_and_must_be_itself() -> None:
    learned = itself(Learned(version="", base=0.5, evidence={"prior.source": 0.25}))
    made = stored(beacon(), model=model_with(learned))
    assert Deriver().prove(made, learned).outcome is ProofOutcome.REPRODUCED
    assert Deriver().prove(made).outcome is ProofOutcome.MODEL_MISSING
    forged = msgspec.structs.replace(learned, base=9.0)
    assert Deriver().prove(made, forged).outcome is ProofOutcome.MODEL_MISSING


def test_what_a_second_opinion_raised_is_set_back_first(judged: Judged) -> None:
    verdict = judged.dossier.verdict
    assert verdict is not None
    change = Change(
        risk_before=verdict.risk_score,
        risk_after=99.5,
        review_before=verdict.requires_human_review,
        review_after=True,
    )
    said = Opinion(alert_id="0195-e", status=OpinionStatus.DONE, why="w", change=change)
    raised = msgspec.structs.replace(
        verdict, risk_score=99.5, risk_level=risk_level(99.5), requires_human_review=True
    )
    made = msgspec.structs.replace(
        judged, dossier=msgspec.structs.replace(judged.dossier, verdict=raised), opinion=said
    )
    assert Deriver().prove(made).outcome is ProofOutcome.REPRODUCED
    higher = msgspec.structs.replace(raised, risk_score=99.9)
    made = msgspec.structs.replace(
        made, dossier=msgspec.structs.replace(judged.dossier, verdict=higher)
    )
    assert Deriver().prove(made).outcome is ProofOutcome.DIFFERS


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = open_signer(Settings(data=tmp_path / "a"))
    again = open_signer(Settings(data=tmp_path / "a"))
    file = tmp_path / "a" / "signing.key"
    assert first.fingerprint == again.fingerprint == fingerprint_of(first.public)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    file.chmod(0o604)
    with pytest.raises(SettingsError, match="chmod 600"):
        open_signer(Settings(data=tmp_path / "a"))
    with pytest.raises(SettingsError, match="no file"):
        open_signer(Settings(data=tmp_path, signing_key=tmp_path / "missing"))
    (tmp_path / "odd").write_bytes(b"\0\xff{}%s")
    (tmp_path / "odd").chmod(0o600)
    with pytest.raises(SettingsError, match="no private key"):
        open_signer(Settings(data=tmp_path, signing_key=tmp_path / "odd"))


def test_a_bundle_is_checked_without_anything_else(
    judged: Judged, signer: Signer, tmp_path: Path
) -> None:
    file = tmp_path / "bundle.zip"
    file.write_bytes(pack(Contents(judged=judged), signer))
    found = examine(file)
    assert (found.tampered, found.signer_known) == ((), None)
    assert found.proof is not None
    assert found.proof.outcome is ProofOutcome.REPRODUCED
    assert found.manifest.tlp is Tlp.AMBER
    (tmp_path / "key.pem").write_bytes(signer.public)
    for known in (signer.fingerprint, signer.fingerprint[7:].upper(), str(tmp_path / "key.pem")):
        assert examine(file, known).signer_known is True
    assert examine(file, "0" * 64).signer_known is False
    for wrong in ("sha256:12", "", str(tmp_path / "none"), str(file), "\0"):
        with pytest.raises(InputError):
            examine(file, wrong)


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in parts:
            archive.writestr(name, content, compresslevel=1)
    return target.getvalue()


def test_every_member_is_bound_by_the_signature(
    judged: Judged, signer: Signer, tmp_path: Path
) -> None:
    parts = members(pack(Contents(judged=judged), signer))
    file = tmp_path / "b.zip"
    other = open_signer(Settings(data=tmp_path / "other"))
    for name, content in parts.items():
        changed = {
            "manifest.sig": b"A" * 86 + b"==",
            "public_key.pem": other.public,
            "manifest.json": content.replace(b'"tlp":"amber"', b'"tlp":"clear"'),
        }.get(name, content + b" ")
        assert changed != content
        file.write_bytes(zipped(list({**parts, name: changed}.items())))
        found = examine(file)
        assert found.tampered, name
        assert found.proof is None, name


def test_a_signed_lie_does_not_follow(judged: Judged, signer: Signer, tmp_path: Path) -> None:
    verdict = judged.dossier.verdict
    assert verdict is not None
    lie = msgspec.structs.replace(verdict, verdict=Disposition.FALSE_POSITIVE, risk_score=0.0)
    told = msgspec.structs.replace(
        judged, dossier=msgspec.structs.replace(judged.dossier, verdict=lie)
    )
    file = tmp_path / "b.zip"
    file.write_bytes(pack(Contents(judged=told, papers=Papers()), signer))
    found = examine(file, signer.fingerprint)
    assert found.signer_known
    assert found.proof is not None
    assert found.proof.outcome is ProofOutcome.DIFFERS


def test_hostile_bundles_are_refused(judged: Judged, signer: Signer, tmp_path: Path) -> None:
    good = pack(Contents(judged=judged), signer)
    parts = list(members(good).items())
    bomb = [(n, b"\0" * (65 * 1024 * 1024) if n == "payload" else c) for n, c in parts]
    bombs = [(n, b"\0" * (63 * 1024 * 1024) if n.endswith("s.json") else c) for n, c in parts]
    deep = [(n, b"[" * 100_000 if n == "gaps.json" else c) for n, c in parts]
    latin = [(n, b'"\xff"' if n == "alert.json" else c) for n, c in parts]
    hostile = {
        "empty": b"",
        "no zip": b"\0\xff{}%s" * 50,
        "cut off": good[:-30],
        "cut in half": good[: len(good) // 2],
        "added to": good + b"more",
        "behind something": b"more" + good,
        "with a comment": good[:-2] + struct.pack("<H", 4) + b"more",
        "a path out": zipped([*parts, ("../../etc/passwd", b"x")]),
        "an absolute path": zipped([*parts, ("/etc/passwd", b"x")]),
        "an extra member": zipped([*parts, ("extra {} %s\n.json", b"x")]),
        "twice": zipped([*parts, ("verdict.json", b"{}")]),
        "lacks one": zipped(parts[1:]),
        "many": zipped([(f"f{n}", b"") for n in range(5000)]),
        "a bomb": zipped(bomb),
        "several bombs": zipped(bombs),
        "another method": zipped(parts, zipfile.ZIP_LZMA),
        "broken data": bytes(b ^ 0xFF if 80 < n < 300 else b for n, b in enumerate(good)),
        "encrypted": good.replace(DIRECTORY, DIRECTORY[:-1] + b"\x01"),
        "another size": _longer(good),
    }
    assert hostile["encrypted"] != good
    file = tmp_path / "b.zip"
    for name, content in hostile.items():
        file.write_bytes(content)
        with pytest.raises(BundleError):
            pytest.fail(f"{name}: {examine(file)}")
    for content in (zipped(deep), zipped(latin)):  # what is not signed is not read
        file.write_bytes(content)
        assert examine(file).tampered
    with pytest.raises(InputError):
        examine(tmp_path / "none")
    with pytest.raises(InputError):
        examine(tmp_path)


def _longer(content: bytes) -> bytes:
    """The directory says that the first member is longer than it is."""
    at = content.index(b"PK\x01\x02") + 24
    (size,) = struct.unpack_from("<I", content, at)
    return content[:at] + struct.pack("<I", size + 5) + content[at + 4 :]


def test_hostile_parts_under_a_good_signature_are_refused(
    judged: Judged, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zip_as_it_is = bundle._zipped
    file = tmp_path / "b.zip"
    for name, content in (
        ("gaps.json", b"[" * 100_000),
        ("alert.json", b'"\xff"'),
        ("alert.json", b"{}"),
        ("verdict.json", b"null"),
        ("payload", b"\xff\xfe"),
        ("context.json", b'[{"context_type":"network"}]'),
        ("inputs.json", b'{"sightings":[{"type":"{}%s"}]}'),
    ):

        def signed_again(parts: dict[str, bytes], name: str = name, made: bytes = content) -> bytes:
            manifest = msgspec.json.decode(parts["manifest.json"], type=bundle.Manifest)
            digest = bundle.Digest(sha256=hashlib.sha256(made).hexdigest(), bytes=len(made))
            said = msgspec.structs.replace(manifest, members={**manifest.members, name: digest})
            written = msgspec.json.encode(said)
            return zip_as_it_is(
                parts | {name: made, MANIFEST: written, SIGNATURE: signer.sign(written)}
            )

        monkeypatch.setattr(bundle, "_zipped", signed_again)
        file.write_bytes(pack(Contents(judged=judged), signer))
        with pytest.raises(BundleError, match=name):
            examine(file)
