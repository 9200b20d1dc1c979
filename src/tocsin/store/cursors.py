"""Where the next page of a list begins, as text that a caller brings back: nothing to rely on."""

import base64
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from tocsin.errors import InputError

Parts = TypeVar("Parts", bound=tuple[Any, ...])
FOREIGN = "the cursor is not one that this list gave out"


def cursor(*parts: str | float) -> str:
    """The text for the key of a page's last row."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def parts_of(text: str, kind: type[Parts]) -> Parts:
    """What `cursor` was made of.

    Raises:
        InputError: it was made by somebody else.
    """
    try:
        parts: Parts = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError(FOREIGN) from error
    if any(isinstance(part, str) and "\0" in part for part in parts):
        raise InputError(FOREIGN)
    return parts


def moment_of(text: str) -> datetime:
    """A part that is a time.

    Raises:
        InputError: it is none, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(FOREIGN) from error
    if moment.tzinfo is None:
        raise InputError(FOREIGN)
    return moment


def number_of(value: str | float) -> float:
    """A part that is a number.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, str):
        raise InputError(FOREIGN)
    return float(value)
