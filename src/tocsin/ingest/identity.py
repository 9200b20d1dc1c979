"""Who an alert is: a time-ordered id for storage, a content key so that twice is once.

The id grows with time, so that the rows of an alert lie beside those of its neighbours; the key is
a hash, so that the same alert sent again is found whatever its id.
"""

import re
import time
from hashlib import blake2b
from random import Random

KEY_BYTES = 16
_VARIANTS = "89ab"
_random = Random()  # noqa: S311  # ids must differ, not be secret
_CHOSEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z")


def new_alert_id() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits.

    The bits come from a generator seeded by the system: ids must differ, not be secret, and asking
    the system for each would hand over the interpreter's lock each time.
    """
    digits = f"{time.time_ns() // 1_000_000:012x}{_random.getrandbits(74):019x}"
    return (
        f"{digits[:8]}-{digits[8:12]}-7{digits[12:15]}-"
        f"{_VARIANTS[int(digits[15], 16) & 3]}{digits[16:19]}-{digits[19:31]}"
    )


def content_digest(canonical: bytes, source: str | None) -> bytes:
    """16 bytes that stand for an alert's content and the source it was sent for."""
    return blake2b(canonical, digest_size=KEY_BYTES, key=(source or "").encode()[:64]).digest()


def chosen_key(alert_id: str) -> bytes:
    """16 bytes that stand for an id that the sender chose."""
    return blake2b(b"alert_id\0" + alert_id.encode(), digest_size=KEY_BYTES).digest()


def usable_id(value: object) -> str | None:
    """The sender's own id if it can be ours: 1–128 letters, digits and `._:@-`."""
    return value if isinstance(value, str) and _CHOSEN.match(value) else None
