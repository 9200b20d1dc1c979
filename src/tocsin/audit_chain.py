"""What the audit trail is made of: rows, heads, and the hashes that bind them.

A hash covers every column of its row and the hash of the row before it in the same chain. A head
holds where its chain ends; its seal covers that. With a key both are HMAC-SHA-256, without one
plain SHA-256.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

GENESIS = "0" * 64
"""What the register's first row has as the hash of the row before it."""

REGISTER = "register"
"""The chain that all others begin in: one row for each, so that none can vanish as a whole."""

BEGUN = "chain.begun"
"""The action of a register's row; its subject is the chain that begins."""

_bytes = msgspec.json.Encoder().encode


class AuditRow(NamedTuple):
    """One row of `audit_logs`, every column as text but the sequence."""

    writer: str
    sequence: int
    logged_at: str
    actor: str
    action: str
    subject: str
    detail: str
    previous_hash: str
    hash: str


class Head(NamedTuple):
    """One row of `audit_heads`: a chain's last row, and up to where retention removed rows."""

    writer: str
    sequence: int
    hash: str
    pruned: int
    seal: str


class Sealer:
    """Computes hashes and seals, with a key or (for an empty one) without."""

    def __init__(self, key: str = "") -> None:
        self.keyed = bool(key)
        self._digest = _keyed(key.encode("utf-8", "surrogatepass")) if key else _plain

    def hash(self, row: AuditRow) -> str:
        """The hash that the row should have; empty for values that no row can hold."""
        return self._of(row[:-1])

    def seal(self, writer: str, sequence: int, last_hash: str, pruned: int) -> str:
        """The seal that a head should have."""
        return self._of(("head", writer, sequence, last_hash, pruned))

    def head(self, writer: str, sequence: int, last_hash: str, pruned: int = 0) -> Head:
        """A sealed head."""
        seal = self.seal(writer, sequence, last_hash, pruned)
        return Head(writer, sequence, last_hash, pruned, seal)

    def _of(self, values: tuple[Any, ...]) -> str:
        try:
            return self._digest(_bytes(values))
        except (UnicodeEncodeError, OverflowError, TypeError):
            return ""


def sealers(keys: str) -> tuple[Sealer, ...]:
    """One for each of the keys in the setting, which commas separate; none for an empty one."""
    return tuple(Sealer(key.strip()) for key in keys.split(",") if key.strip())


def _plain(data: bytes) -> str:
    return sha256(data).hexdigest()


def _keyed(key: bytes) -> Callable[[bytes], str]:
    def digest(data: bytes) -> str:
        return hmac.digest(key, data, "sha256").hex()

    return digest
