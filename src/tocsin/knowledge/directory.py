"""Rows of imported files as assets and users: which columns they may have, and in which words."""

from collections.abc import Mapping
from typing import Any, Final

from tocsin.errors import ImportRowError
from tocsin.knowledge.addresses import parse_address
from tocsin.model import AssetRecord, Criticality, UserRecord

MAX_TEXT: Final = 512
MAX_TAGS: Final = 64

# For each field the usual other names of its column, best first; compared without punctuation.
ASSET_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "asset_id": ("id", "device id", "host id", "machine id", "agent id", "ci id", "sys id",
                 "asset tag", "resource id", "instance id"),
    "hostname": ("host name", "fqdn", "dns host name", "dns name", "computer name", "device name",
                 "machine name", "server name", "asset name", "host", "computer", "machine",
                 "device", "server", "name"),
    "ip": ("ip address", "ipv4", "ipv4 address", "primary ip", "private ip", "last ip", "ips",
           "ip addresses", "ipv6", "ipv6 address"),
    "type": ("asset type", "device type", "host type", "kind", "class", "category", "role",
             "form factor"),
    "os": ("operating system", "os name", "platform", "os version"),
    "owner": ("asset owner", "owned by", "responsible", "assigned to", "primary user", "contact"),
    "department": ("business unit", "dept", "division", "team", "org unit", "cost center"),
    "location": ("site", "office", "region", "building", "city"),
    "environment": ("env", "stage", "lifecycle"),
    "criticality": ("business criticality", "asset criticality", "importance",
                    "business impact", "criticality level"),
    "exposed": ("internet facing", "is exposed", "public", "internet exposed", "external facing",
                "publicly accessible", "dmz"),
    "tags": ("tag", "labels", "label", "groups", "keywords"),
}  # fmt: skip
USER_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "user_id": ("id", "object guid", "object id", "object sid", "sid", "employee id",
                "employee number", "account id", "uid number", "aad id"),
    "user_name": ("sam account name", "login", "login name", "logon", "logon name", "account",
                  "account name", "uid", "user", "user principal name", "upn"),
    "email": ("mail", "email address", "e mail", "primary email", "mail address", "proxy address"),
    "full_name": ("display name", "name", "cn", "common name", "real name", "person"),
    "department": ("business unit", "dept", "division", "team", "org unit", "cost center"),
    "title": ("job title", "position", "job", "role"),
    "manager": ("manager name", "reports to", "supervisor", "line manager"),
    "privileged": ("admin", "is admin", "is privileged", "administrator", "is administrator",
                   "admin count", "privileged account", "superuser", "is superuser"),
    "enabled": ("active", "is active", "is enabled", "account enabled", "account status",
                "status", "disabled", "is disabled", "account disabled", "suspended",
                "inactive", "deleted"),
    "tags": ("tag", "labels", "label", "groups", "member of", "keywords"),
}  # fmt: skip

_CRITICALITIES = {
    Criticality.CRITICAL: ("critical", "crit", "very high", "veryhigh", "highest", "vital",
                           "mission critical", "business critical", "crown jewel", "tier 0",
                           "tier0", "severe", "5", "p0"),
    Criticality.HIGH: ("high", "important", "major", "tier 1", "tier1", "4", "p1"),
    Criticality.MEDIUM: ("medium", "med", "moderate", "normal", "standard", "average", "tier 2",
                         "tier2", "3", "p2"),
    Criticality.LOW: ("low", "very low", "verylow", "minor", "lowest", "none", "negligible",
                      "tier 3", "tier3", "1", "2", "p3", "p4"),
}  # fmt: skip
_CRITICALITY = {word: level for level, words in _CRITICALITIES.items() for word in words}

# Yes and no in any column, and the words that mean them in one column alone.
_YES = frozenset({"true", "t", "yes", "y", "1", "on", "x", "ja", "oui", "si", "sí", "✓", "✔"})
_NO = frozenset({"false", "f", "no", "n", "0", "off", "-", "none", "null", "nein", "non", "✗", "✘"})
_YES_IN: Final = {
    "exposed": frozenset({"exposed", "public", "external", "internet", "dmz"}),
    "privileged": frozenset({"admin", "administrator", "privileged", "superuser", "root"}),
    "enabled": frozenset({"enabled", "active", "activated", "provisioned", "normal", "current"}),
}
_NO_IN: Final = {
    "exposed": frozenset({"internal", "private", "not exposed"}),
    "privileged": frozenset({"user", "standard", "normal", "regular", "unprivileged", "limited"}),
    "enabled": frozenset(
        {"disabled", "inactive", "locked", "locked out", "suspended", "terminated", "deactivated",
         "deprovisioned", "deleted", "left", "expired", "staged", "pending"}
    ),
}  # fmt: skip
_NEGATED = ("disabled", "suspended", "inactive", "deleted")

Cells = Mapping[str, tuple[str, Any]]


def asset_of(number: int, cells: Cells) -> AssetRecord:
    """The asset that a row describes; without an id its host name or address is its id.

    Args:
        number: the row's number, for what is wrong with it.
        cells: our field → (the file's column, its value).

    Raises:
        ImportRowError: a cell has a value that cannot be understood, or the asset has no name.
    """
    read = _Reader(number, cells)
    hostname, ip = read.text("hostname"), read.address("ip")
    asset_id = read.text("asset_id") or hostname or ip
    if asset_id is None:
        raise ImportRowError(number, "names no asset: it has no asset_id, hostname or ip")
    return AssetRecord(
        asset_id=asset_id,
        hostname=hostname,
        ip=ip,
        type=read.text("type"),
        os=read.text("os"),
        owner=read.text("owner"),
        department=read.text("department"),
        location=read.text("location"),
        environment=read.text("environment"),
        criticality=read.criticality("criticality"),
        exposed=read.yes_or_no("exposed", default=False),
        tags=read.tags("tags"),
    )


def user_of(number: int, cells: Cells) -> UserRecord:
    """The user that a row describes; without an id the account name or e-mail is the id.

    Args:
        number: the row's number, for what is wrong with it.
        cells: our field → (the file's column, its value).

    Raises:
        ImportRowError: a cell has a value that cannot be understood, or the user has no name.
    """
    read = _Reader(number, cells)
    user_name, email = read.text("user_name"), read.email("email")
    user_id = read.text("user_id") or user_name or email
    if user_id is None:
        raise ImportRowError(number, "names no user: it has no user_id, user_name or email")
    return UserRecord(
        user_id=user_id,
        user_name=user_name,
        email=email,
        full_name=read.text("full_name"),
        department=read.text("department"),
        title=read.text("title"),
        manager=read.text("manager"),
        privileged=read.yes_or_no("privileged", default=False),
        enabled=read.yes_or_no("enabled", default=True),
        tags=read.tags("tags"),
    )


class _Reader:
    """Reads the cells of one row as the types that our fields have."""

    def __init__(self, number: int, cells: Cells) -> None:
        self._number = number
        self._cells = cells

    def text(self, field: str) -> str | None:
        """A short text; numbers and truth values are written out."""
        if field not in self._cells:
            return None
        column, value = self._cells[field]
        if isinstance(value, dict | list):
            raise self._wrong(column, value, "is a list or an object, not a text")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = _plain_text(str(value))
        if len(text) > MAX_TEXT:
            raise self._wrong(column, text, f"is longer than {MAX_TEXT} characters")
        return text or None

    def address(self, field: str) -> str | None:
        """The first IP address of a cell that may hold several."""
        if field not in self._cells:
            return None
        column, value = self._cells[field]
        texts = value if isinstance(value, list) else str(value).replace(";", ",").split(",")
        for text in texts:
            address = parse_address(str(text).partition("/")[0].strip("[] \t"))
            if address is not None:
                return str(address)
        raise self._wrong(column, value, "is not an IP address")

    def email(self, field: str) -> str | None:
        """An address of mail."""
        text = self.text(field)
        if text is not None and ("@" not in text or " " in text):
            raise self._wrong(self._cells[field][0], text, "is not an e-mail address")
        return text

    def criticality(self, field: str) -> Criticality | None:
        """One of our words, a usual other one, or a number from 1 (low) to 5 (critical)."""
        text = self.text(field)
        if text is None:
            return None
        word = " ".join(text.lower().replace("-", " ").replace("_", " ").split())
        level = _CRITICALITY.get(word) or _CRITICALITY.get(word.partition(" ")[0])
        if level is None:
            column = self._cells[field][0]
            raise self._wrong(column, text, "is not critical, high, medium, low or 1 to 5")
        return level

    def yes_or_no(self, field: str, *, default: bool) -> bool:
        """A truth value in any usual spelling; a column such as `disabled` is turned around."""
        text = self.text(field)
        if text is None:
            return default
        column, word = self._cells[field][0], text.lower()
        if word in _YES_IN[field] or word in _NO_IN[field]:
            return word in _YES_IN[field]
        if word not in _YES and word not in _NO:
            raise self._wrong(column, text, "is not yes or no")
        negated = field == "enabled" and column.lower().strip().endswith(_NEGATED)
        return (word in _YES) != negated

    def tags(self, field: str) -> tuple[str, ...]:
        """Tags from a list, or from a text with commas, semicolons or bars between them."""
        if field not in self._cells:
            return ()
        value = self._cells[field][1]
        if not isinstance(value, list):
            value = str(value).replace(";", ",").replace("|", ",").split(",")
        tags = [_plain_text(str(tag)).lower()[:MAX_TEXT] for tag in value]
        return tuple(dict.fromkeys(tag for tag in tags if tag))[:MAX_TAGS]

    def _wrong(self, column: str, value: Any, complaint: str) -> ImportRowError:
        return ImportRowError(self._number, f"column {column}: {str(value)[:80]!r} {complaint}")


def _plain_text(text: str) -> str:
    return text.replace("\0", "\ufffd").strip().encode("utf-8", "replace").decode("utf-8")
