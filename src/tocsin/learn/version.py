"""The version of a model: what it says, hashed."""

import hashlib

import msgspec

from tocsin.model import Learned

_encoder = msgspec.json.Encoder(order="deterministic")


def versioned(learned: Learned) -> Learned:
    """The model under the version that its content has: 16 hexadecimal digits of a SHA-256."""
    bare = msgspec.structs.replace(learned, version="")
    digest = hashlib.sha256(_encoder.encode(bare)).hexdigest()[:16]
    return msgspec.structs.replace(learned, version=digest)
