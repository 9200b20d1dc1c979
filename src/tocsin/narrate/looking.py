"""Look-ups over our own store for a model: read-only, bounded, pseudonymous, written down."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from tocsin.errors import InputError, TocsinError
from tocsin.knowledge.addresses import parse_address
from tocsin.model import (
    AssetContext,
    Dossier,
    Lookup,
    LookupRequest,
    LookupTool,
    UserContext,
)
from tocsin.narrate.exhibit import SHARED, cut, encoded, facts_of, introduce_record
from tocsin.ports import EntityKey, Inventory, Lookups, PastAlert
from tocsin.redaction import Pseudonyms

ROWS = 12
EXCERPT = 2_000  # characters of the payload at once
READ = 32_768  # characters of the payload that can be read at all
LONGEST_TEXT = 240

Answer = tuple[int, Any]
"""How many rows, and what a model may read of them."""


class Looking:
    """The look-ups of one opinion.

    Args:
        dossier: the alert that it is about.
        names: the pseudonyms of this call; what look-ups bring to light is hidden by them too.
        lookups: the store's side.
        inventory: assets and users.
    """

    def __init__(
        self, dossier: Dossier, names: Pseudonyms, lookups: Lookups, inventory: Inventory
    ) -> None:
        self._dossier = dossier
        self._names = names
        self._lookups = lookups
        self._inventory = inventory
        self._told: str | None = None
        self._tools: Mapping[LookupTool, Callable[[str, LookupRequest], Awaitable[Answer]]] = {
            LookupTool.SIMILAR_ALERTS: self._similar,
            LookupTool.HOST_ALERTS: self._of_entity,
            LookupTool.USER_ALERTS: self._of_entity,
            LookupTool.ADDRESS_ALERTS: self._of_entity,
            LookupTool.INDICATOR: self._indicator,
            LookupTool.ASSET: self._asset,
            LookupTool.USER: self._user,
            LookupTool.PAYLOAD: self._payload,
        }

    async def answer(self, request: LookupRequest) -> tuple[Lookup, str]:
        """The entry for the ledger, and the result as JSON with pseudonyms.

        What cannot be answered is said in the result; nothing is raised for it.
        """
        started = time.perf_counter()
        error = None
        rows, found = 0, None
        value = request.value.strip()
        try:
            if invented := self._names.invented(value):
                raise InputError(f"{invented[0]} is not a name that was given out")
            if "\0" in value:
                raise InputError("value: nothing is named with the character NUL")
            value = self._names.restore(value)
            rows, found = await self._tools[request.tool](value, request)
        except TocsinError as trouble:
            error = str(trouble)[:200] if isinstance(trouble, InputError) else "not available now"
        seconds = time.perf_counter() - started
        shown: dict[str, Any] = {
            "tool": request.tool.value,
            "value": self._names.hide(value),
            "rows": rows,
        }
        shown |= {"error": error} if error else {"result": found}
        return Lookup(
            tool=request.tool,
            value=value[:LONGEST_TEXT],
            hours=request.hours,
            rows=rows,
            ms=round(seconds * 1000, 2),
            error=error,
        ), encoded(shown)

    async def _similar(self, _: str, request: LookupRequest) -> Answer:
        since = self._dossier.received_at - timedelta(hours=request.hours)
        return self._past(await self._lookups.similar(self._dossier, since, ROWS))

    async def _of_entity(self, value: str, request: LookupRequest) -> Answer:
        if not value:
            raise InputError("value: name the host, account or address")
        since = self._dossier.received_at - timedelta(hours=request.hours)
        return self._past(
            await self._lookups.of_entity(
                request.tool, value, since, ROWS, but=self._dossier.alert_id
            )
        )

    def _past(self, alerts: Sequence[PastAlert]) -> Answer:
        for alert in alerts:
            self._names.know("HOST", alert.host_name)
            self._names.know("USER", alert.user_name)
            self._names.know_address(alert.source_ip)
            self._names.know_address(alert.destination_ip)
        rows = [msgspec.to_builtins(alert) for alert in alerts]
        self._names.learn(text for row in rows for text in row.values() if isinstance(text, str))
        return len(rows), [
            {
                name: self._short(value) if isinstance(value, str) else value
                for name, value in row.items()
                if value is not None
            }
            for row in rows
        ]

    async def _indicator(self, value: str, _: LookupRequest) -> Answer:
        if not value:
            raise InputError("value: name the indicator")
        found = await self._lookups.indicator(value, ROWS)
        shared = [indicator for indicator in found if indicator.tlp in SHARED]
        return len(found), {
            "threat_levels": sorted({indicator.threat_level.value for indicator in found}),
            "known_to": len({indicator.source for indicator in found}),
            "details": [
                {
                    "source": self._short(indicator.source),
                    "confidence": indicator.confidence,
                    "tags": [self._short(tag) for tag in indicator.tags[:8]],
                    "description": self._short(indicator.description or ""),
                }
                for indicator in shared
            ],
        }

    async def _asset(self, value: str, _: LookupRequest) -> Answer:
        kind = "ip" if parse_address(value) else "hostname"
        keys = [EntityKey(kind, value), EntityKey("asset_id", value)]
        found = await self._inventory.assets(keys)
        for key in keys:
            if key in found:
                data = AssetContext(asset=found[key], matched_by=key.kind)
                introduce_record(data, self._names)
                return 1, facts_of(data, self._names)
        return 0, "the inventory has no such record"

    async def _user(self, value: str, _: LookupRequest) -> Answer:
        kinds = ("email",) if "@" in value else ("user_name", "user_id")
        keys = [EntityKey(kind, value) for kind in kinds]
        found = await self._inventory.users(keys)
        for key in keys:
            if key in found:
                data = UserContext(user=found[key], matched_by=key.kind)
                introduce_record(data, self._names)
                return 1, facts_of(data, self._names)
        return 0, "the directory has no such record"

    async def _payload(self, _: str, request: LookupRequest) -> Answer:
        if self._told is None:  # hidden as a whole, so that no choice of edges lays a name bare
            self._told = await asyncio.to_thread(self._names.hide, self._dossier.payload, READ)
        part = self._told[request.offset :][:EXCERPT]
        if not part:
            raise InputError(f"offset: {len(self._told)} characters can be read")
        return 1, {"characters": len(self._told), "untrusted_excerpt": part}

    def _short(self, text: str) -> str:
        return cut(self._names.hide(text), LONGEST_TEXT)
