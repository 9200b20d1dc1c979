"""The installation's signing key: Ed25519 (RFC 8032), made on first use, readable by its owner.

`cryptography` is imported where it is used, since few commands need it.
"""

import base64
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.errors import BundleError, InputError, SettingsError
from tocsin.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

KEY_FILE = "signing.key"
PREFIX = "sha256:"
MOST_KEY_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key; `public` is the public one as PEM, `fingerprint` the SHA-256 of its bytes."""

    key: "Ed25519PrivateKey"
    public: bytes
    fingerprint: str

    def sign(self, content: bytes) -> bytes:
        """The signature, as one line of base64."""
        return base64.b64encode(self.key.sign(content)) + b"\n"


def key_path(settings: Settings) -> Path:
    """Where the installation's signing key is."""
    return settings.signing_key or settings.data / KEY_FILE


def open_signer(settings: Settings) -> Signer:
    """The installation's key; it is made on first use, in the data folder alone.

    Raises:
        SettingsError: the file that the setting names is not there, others may read the key, or it
            is no Ed25519 key without a password.
    """
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_private_key,
    )

    path = key_path(settings)
    if not path.exists():
        if settings.signing_key is not None:
            raise SettingsError(f"TOCSIN_SIGNING_KEY: there is no file {path}")
        _create(path)
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise SettingsError(f"{path} can be read by everybody; do: chmod 600 {path}")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:  # TypeError: it wants a password
        raise SettingsError(f"{path} is no private key in PEM without a password") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SettingsError(f"{path} is no Ed25519 key (openssl genpkey -algorithm ed25519)")
    public = key.public_key()
    return Signer(key, _pem(public), _fingerprint(public))


def _create(path: Path) -> None:
    """Write a new key where none is; of two processes that do so at once, the first wins."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see above

    content = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.link(aside, path)
        except FileExistsError:
            return
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"the signing key {path} cannot be made: {error.strerror}") from error


def public_key_of(pem: bytes) -> "Ed25519PublicKey":
    """A public key from its PEM.

    Raises:
        BundleError: it is none of Ed25519.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BundleError("the public key is no key in PEM") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise BundleError("the public key is not of Ed25519")
    return key


def is_signed(content: bytes, signature: bytes, pem: bytes) -> bool:
    """Whether this key made this signature (a line of base64) of the content.

    Raises:
        BundleError: it is no key of Ed25519.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above

    key = public_key_of(pem)
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), content)
    except (ValueError, InvalidSignature):
        return False
    return True


def fingerprint_of(pem: bytes) -> str:
    """`sha256:` and the SHA-256 of the 32 bytes of a public key.

    Raises:
        BundleError: it is no key of Ed25519.
    """
    return _fingerprint(public_key_of(pem))


def known_fingerprint(given: str) -> str:
    """The fingerprint that somebody names: itself, or a file with the public key.

    Raises:
        InputError: it is neither.
    """
    bare = given.strip().lower().removeprefix(PREFIX)
    if len(bare) == 64 and all(c in "0123456789abcdef" for c in bare):
        return PREFIX + bare
    try:
        with Path(given).open("rb") as file:
            return fingerprint_of(file.read(MOST_KEY_BYTES))
    except (OSError, ValueError) as error:
        raise InputError(
            "--public-key: give a fingerprint (sha256: and 64 hexadecimal digits) or a file with "
            "the key (from: tocsin export --public-key)"
        ) from error


def _fingerprint(key: "Ed25519PublicKey") -> str:
    return PREFIX + hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _pem(key: "Ed25519PublicKey") -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see above

    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
