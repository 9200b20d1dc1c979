"""Every field that a source definition can fill, with the cast that makes its value.

`related.*` are not fields of the record: values that become observables without a place of their
own.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tocsin.normalize.cast import (
    MAX_COUNT,
    Cast,
    cast_ip,
    cast_mac,
    cast_outcome,
    cast_severity,
    cast_tactics,
    cast_techniques,
    cast_time,
    cast_transport,
    domain_cast,
    hash_cast,
    lower_cast,
    text_cast,
    texts_cast,
    whole_cast,
)

# The most characters that are kept of a name, a free text, a URL and a title.
NAME, LONG, URL, TITLE = 2048, 32_768, 8192, 500

_NAMES = (
    *("event.kind", "event.id", "event.module", "event.provider", "event.category"),
    *("event.type", "event.action"),
    *("rule.id", "rule.name", "rule.category", "rule.reference", "rule.level"),
    *("host.name", "host.id", "host.os", "user.name", "user.domain", "user.id", "user.email"),
    *("process.name", "process.executable", "process.parent.name", "process.parent.executable"),
    *("file.name", "file.path", "dns.type", "email.sender", "email.message_id", "http.method"),
    *("registry.path", "registry.value", "cloud.provider", "cloud.account", "cloud.region"),
    *("cloud.service", "cloud.instance"),
)
_TEXTS = ("description", "process.command_line", "process.parent.command_line")
_URLS = ("url", "http.user_agent", "http.referrer", "email.subject")
_DOMAINS = ("source.domain", "destination.domain", "dns.question")
_ADDRESSES = ("source.ip", "destination.ip", "host.ip")
_COUNTS = (
    *("source.bytes", "destination.bytes", "network.bytes", "event.count"),
    *("process.pid", "process.parent.pid"),
)

# Fields whose values come again and again: what one was read as is worth remembering.
REPEATED = frozenset(
    {*_NAMES, *_DOMAINS, *_ADDRESSES, "title", "event.severity", "event.outcome", "tags"}
    | {"source.mac", "destination.mac", "file.hash.md5", "file.hash.sha1", "file.hash.sha256"}
    | {"threat.tactics", "threat.techniques", "network.transport", "network.protocol"}
    | {"http.user_agent", "http.status", "destination.port"}
) - {"event.id", "email.message_id"}

CASTS: Mapping[str, Cast] = MappingProxyType(
    {name: text_cast(name, NAME) for name in _NAMES}
    | {name: text_cast(name, LONG) for name in _TEXTS}
    | {name: text_cast(name, URL) for name in _URLS}
    | {name: domain_cast(name, NAME) for name in _DOMAINS}
    | dict.fromkeys(_ADDRESSES, cast_ip)
    | dict.fromkeys(("source.port", "destination.port"), whole_cast(65_535, "port"))
    | dict.fromkeys(("source.mac", "destination.mac"), cast_mac)
    | dict.fromkeys(_COUNTS, whole_cast(MAX_COUNT, "number"))
    | {
        "title": text_cast("title", TITLE, literal=True),
        "event.severity": cast_severity,
        "event.outcome": cast_outcome,
        "event.time": cast_time,
        "threat.tactics": cast_tactics,
        "threat.techniques": cast_techniques,
        "file.hash.md5": hash_cast(32),
        "file.hash.sha1": hash_cast(40),
        "file.hash.sha256": hash_cast(64),
        "email.recipients": texts_cast("email.recipients", NAME),
        "http.status": whole_cast(999, "status code"),
        "network.transport": cast_transport,
        "network.protocol": lower_cast("network.protocol", NAME),
        "tags": texts_cast("tags", 256),
        "related.ip": texts_cast("related.ip", 64),
        "related.hash": texts_cast("related.hash", 128),
        "related.domain": texts_cast("related.domain", 255),
        "related.url": texts_cast("related.url", URL),
        "related.email": texts_cast("related.email", 320),
    }
)
