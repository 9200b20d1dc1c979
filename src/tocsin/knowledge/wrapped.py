"""Exports that wrap their alerts: a page of an API, a file of a cloud's log, hits of a search."""

import re
from collections.abc import Iterator

import msgspec

LISTS = frozenset(
    {"records", "value", "results", "findings", "alerts", "incidents", "items", "offenses", "hits"}
    | {"rows", "entries", "objects", "resources", "issues", "data"}
)
HITS = "hits"  # Elasticsearch has them in an object of the same name, beside their total
SOURCE = "_source"
RESULT = "result"  # Splunk's, one in a line, beside `preview`
# What pages and answers say of themselves. Beside anything else the list is a part of one alert.
OF_PAGES = frozenset(
    {"took", "timedout", "shards", "total", "totalcount", "maxscore", "count", "odatacontext"}
    | {"odatanextlink", "odatacount", "odatatype", "nextlink", "nexttoken", "next", "previous"}
    | {"page", "pagesize", "pages", "perpage", "size", "limit", "offset", "hasmore", "preview"}
    | {"initoffset", "messages", "fields", "highlighted", "responsemetadata", "scrollid", "lastrow"}
    | {"startat", "maxresults", "pagination", "meta", "errors", "links"}
)
OF_HITS = frozenset({"index", "id", "score", "type", "sort", "version", "fields", "highlight"})
DEPTH = 3
_HINT = re.compile(
    rb'"(?:records|value|results?|findings|alerts|incidents|items|offenses|hits|rows|entries'
    rb'|objects|resources|issues|data|_source)"\s*:\s*[\[{]',
    re.IGNORECASE,
)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def alerts_in(payload: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The alerts that a document wraps, each as it stands; the document itself if it is one.

    A document is a wrapper where all its members but one say something of a page or an answer, and
    that one holds objects. An alert that lists its events has a title or a time beside them.
    """
    inside = _inside(payload) if depth and _HINT.search(payload) else None
    if inside is None:
        yield payload
        return
    for part in inside:
        yield from alerts_in(part, depth - 1)


def _inside(payload: bytes) -> list[bytes] | None:
    try:
        members = _members.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if SOURCE in members:
        hit = {_plain(name) for name in members if name != SOURCE} <= OF_HITS
        return _one(bytes(members[SOURCE])) if hit else None
    named = {_plain(name): name for name in members}
    holders = named.keys() - OF_PAGES
    if len(holders) != 1 or len(named) != len(members):
        return None
    (holder,) = holders
    held = bytes(members[named[holder]])
    if holder in LISTS and held[:1] == b"[":
        return _objects(held)
    if holder == HITS or (holder == RESULT and "preview" in named):
        return _one(held)
    return None


def _one(held: bytes) -> list[bytes] | None:
    return [held] if held[:1] == b"{" else None


def _objects(held: bytes) -> list[bytes] | None:
    try:
        parts = [bytes(part) for part in _elements.decode(held)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return parts if parts and all(part[:1] == b"{" for part in parts) else None


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
