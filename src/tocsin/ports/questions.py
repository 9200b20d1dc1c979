"""What steps may ask about the organisation, its past, and what is known to be bad."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from tocsin.model import AssetRecord, Detection, Indicator, Prevalence, UserRecord


class EntityKey(NamedTuple):
    """A value to look up, with the kind of name it is.

    Kinds: `asset_id`, `hostname`, `ip` for assets; `user_id`, `user_name`, `email` for users;
    `rule`, `source_ip`, `destination_ip`, `host`, `user`, `rule_host` for the history.
    """

    kind: str
    value: str


RULE_HOST = "rule_host"


def rule_host(rule: str, host: str) -> EntityKey:
    """The key of a rule on one machine, of which only decisions are counted."""
    return EntityKey(RULE_HOST, rule + "\u001f" + host)


class Inventory(Protocol):
    """The organisation's assets and users."""

    async def assets(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, AssetRecord]:
        """The assets that answer to these keys; keys nobody answers to are left out."""
        ...

    async def users(self, keys: Sequence[EntityKey]) -> Mapping[EntityKey, UserRecord]:
        """The users that answer to these keys; keys nobody answers to are left out."""
        ...

    async def counts(self) -> tuple[int, int]:
        """How many assets and users are recorded."""
        ...


class History(Protocol):
    """What this installation has seen before."""

    async def prevalence(
        self, keys: Sequence[EntityKey], now: datetime
    ) -> Mapping[EntityKey, Prevalence]:
        """How many alerts had each value, and how people decided them.

        Every key is answered, unseen ones with zeros.
        """
        ...


class IndicatorSource(Protocol):
    """The local indicator store, read in bulk into memory."""

    async def version(self) -> int:
        """A number that changes whenever the stored indicators change; cheap to ask."""
        ...

    def scan(self, now: datetime) -> AsyncIterator[Sequence[Indicator]]:
        """All indicators that have not expired at `now`, in chunks."""
        ...


class DetectionSource(Protocol):
    """The local catalogues of detections, read in bulk into memory."""

    async def version(self) -> int:
        """A number that changes whenever the stored detections change; cheap to ask."""
        ...

    def scan(self) -> AsyncIterator[Sequence[Detection]]:
        """All detections, in chunks."""
        ...
