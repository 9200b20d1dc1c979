"""Proof of verdicts: worked out anew from what is stored, and packed so that others can do so."""

from tocsin.proof.bundle import Contents, contents_of, pack
from tocsin.proof.derive import Deriver, learned_version
from tocsin.proof.reading import Finding, examine
from tocsin.proof.signing import KEY_FILE, Signer, fingerprint_of, key_path, open_signer

__all__ = [
    "KEY_FILE",
    "Contents",
    "Deriver",
    "Finding",
    "Signer",
    "contents_of",
    "examine",
    "fingerprint_of",
    "key_path",
    "learned_version",
    "open_signer",
    "pack",
]
