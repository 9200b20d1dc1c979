"""Proof of verdicts: worked out anew from what is stored, and packed so that others can do so."""

from tocsin.proof.audit_rows import AuditFinding, check_rows
from tocsin.proof.bundle import Contents, contents_of, pack
from tocsin.proof.derive import Deriver, learned_version
from tocsin.proof.reading import Finding, examine
from tocsin.proof.signing import KEY_FILE, Signer, fingerprint_of, key_path, open_signer

__all__ = [
    "KEY_FILE",
    "AuditFinding",
    "Contents",
    "Deriver",
    "Finding",
    "Signer",
    "check_rows",
    "contents_of",
    "examine",
    "fingerprint_of",
    "key_path",
    "learned_version",
    "open_signer",
    "pack",
]
