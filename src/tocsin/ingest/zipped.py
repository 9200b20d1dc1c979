"""Compressed request bodies: every gzip member of them, and never more than the limit."""

import zlib

from tocsin.errors import PayloadError

CHUNK = 64 * 1024
MOST_MEMBERS = 10_000


def unzip(body: bytes, limit: int) -> bytes:
    """The plain body; several gzip members one after the other are one body.

    The size is checked while unpacking, so a small body that would become a huge one costs no
    more memory than `limit`. Bytes of zero behind the last member are padding.

    Raises:
        PayloadError: the body is not gzip, ends too early, or is too large when unpacked.
    """
    plain = bytearray()
    member = None
    members = 0
    for start in range(0, len(body), CHUNK):
        chunk = body[start : start + CHUNK]
        while chunk:
            if member is None:
                chunk = chunk.lstrip(b"\0") if members else chunk
                if not chunk:
                    break
                members += 1
                if members > MOST_MEMBERS:
                    raise PayloadError("invalid_encoding", "the body has too many gzip members")
                member = zlib.decompressobj(wbits=31)
            try:
                plain += member.decompress(chunk, limit + 1 - len(plain))
            except zlib.error as error:
                raise PayloadError("invalid_encoding", f"the body is not gzip: {error}") from error
            if len(plain) > limit:
                raise PayloadError("too_large", f"the body may have {limit} bytes when unpacked")
            chunk, member = member.unused_data, None if member.eof else member
    if member is not None or not members:
        raise PayloadError("invalid_encoding", "the gzip body ends too early")
    return bytes(plain)
