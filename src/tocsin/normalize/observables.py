"""The typed, canonical values of an alert that intelligence could know, each with its role."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote

from tocsin.knowledge.canonical import canonical, domain_name, ip_address, split_url
from tocsin.model import Alert, Observable, ObservableRole, ObservableType
from tocsin.normalize.mentions import MAX_TEXT, mentions

MAX_OBSERVABLES = 32
MAX_CACHED = 256
_RELATED = (
    ("related.hash", ObservableType.HASH, ObservableRole.FILE),
    ("related.ip", ObservableType.IP, ObservableRole.MENTION),
    ("related.domain", ObservableType.DOMAIN, ObservableRole.MENTION),
    ("related.url", ObservableType.URL, ObservableRole.MENTION),
    ("related.email", ObservableType.EMAIL, ObservableRole.MENTION),
)

Key = tuple[ObservableType, str]
Found = dict[Key, Observable]


def observables_of(alert: Alert, related: Mapping[str, Sequence[str]]) -> tuple[Observable, ...]:
    """Collect the observables of an alert; each value once, in its most specific role.

    `related` holds values without a field of their own, as `related.ip`, `related.hash` …
    Values that somebody wrote (URLs, command lines, subjects, names asked of DNS) are tainted;
    what a sensor measured (addresses, hashes) is not.
    """
    found: Found = {}
    _take_network(alert, found)
    _take_file(alert, found)
    if alert.url is not None:
        _take_url(alert.url, found)
    if alert.dns.question is not None:
        _add(found, ObservableType.DOMAIN, alert.dns.question, ObservableRole.DNS, True)
    _take_emails(alert, found)
    if related:
        for name, kind, role in _RELATED:
            for value in related.get(name, ()):
                _add(found, kind, value, role, False)
    _take_mentions(alert, found)
    return tuple(found.values())[:MAX_OBSERVABLES]


def _take_network(alert: Alert, found: Found) -> None:
    source, destination = alert.source, alert.destination
    if source.ip is not None:
        _add(found, ObservableType.IP, source.ip, ObservableRole.SOURCE, False)
    if destination.ip is not None:
        _add(found, ObservableType.IP, destination.ip, ObservableRole.DESTINATION, False)
    if alert.host.ip is not None:
        _add(found, ObservableType.IP, alert.host.ip, ObservableRole.HOST, False)
    if source.domain is not None:
        _add(found, ObservableType.DOMAIN, source.domain, ObservableRole.SOURCE, False)
    if destination.domain is not None:
        _add(found, ObservableType.DOMAIN, destination.domain, ObservableRole.DESTINATION, True)


def _take_file(alert: Alert, found: Found) -> None:
    hashes = alert.file.hash
    if hashes.sha256 is None and hashes.sha1 is None and hashes.md5 is None:
        return
    of_process = alert.file.path is None and alert.process.executable is not None
    role = ObservableRole.PROCESS if of_process else ObservableRole.FILE
    for value in (hashes.sha256, hashes.sha1, hashes.md5):
        if value is not None:
            _add(found, ObservableType.HASH, value, role, False)


def _take_url(text: str, found: Found) -> None:
    url = _add(found, ObservableType.URL, text, ObservableRole.URL, True)
    if url is None:
        return
    _add_host(url, ObservableRole.URL, found)
    query = text.partition("?")[2]
    if query and ("://" in query or "%3A%2F%2F" in query or "%3a%2f%2f" in query):
        _add_mentions(unquote(query[:MAX_TEXT], errors="replace").replace("&", " "), found)


def _take_emails(alert: Alert, found: Found) -> None:
    email = alert.email
    if email.sender is not None:
        sender = _add(found, ObservableType.EMAIL, email.sender, ObservableRole.SENDER, True)
        if sender is not None:
            domain = sender.rpartition("@")[2]
            _add(found, ObservableType.DOMAIN, domain, ObservableRole.SENDER, True)
    for recipient in email.recipients[:MAX_OBSERVABLES]:
        _add(found, ObservableType.EMAIL, recipient, ObservableRole.RECIPIENT, False)
    if alert.user.email is not None:
        _add(found, ObservableType.EMAIL, alert.user.email, ObservableRole.USER, False)


def _take_mentions(alert: Alert, found: Found) -> None:
    """Read the free texts, at most `MAX_TEXT` characters of them together."""
    left = MAX_TEXT
    for text in (
        alert.process.command_line,
        alert.process.parent.command_line,
        alert.email.subject,
        alert.http.referrer,
        alert.registry.value,
        alert.description,
    ):
        if text is not None:
            if len(text) > left:
                text = text[:left]  # noqa: PLW2901
            left -= len(text)
            _add_mentions(text, found)
            if left <= 0 or len(found) >= MAX_OBSERVABLES:
                return


def _add_mentions(text: str, found: Found) -> None:
    for kind, value in mentions(text):
        if (kind, value) not in found:
            mention = _add(found, kind, value, ObservableRole.MENTION, True)
            if mention is not None and kind is ObservableType.URL:
                _add_host(value, ObservableRole.MENTION, found)


def _add(
    found: Found, kind: ObservableType, value: str, role: ObservableRole, tainted: bool
) -> str | None:
    """Add the observable of a raw value; returns its canonical form, or None if it has none.

    Records are immutable, so equal ones can be one object; that also saves the canonical form.
    """
    if len(value) <= MAX_CACHED:
        entry = _shared(kind, value, role, tainted)
    else:
        entry = _shared.__wrapped__(kind, value, role, tainted)
    if entry is None:
        return None
    key, observable = entry
    if key not in found:
        found[key] = observable
    return key[1]


@lru_cache(maxsize=32_768)
def _shared(
    kind: ObservableType, value: str, role: ObservableRole, tainted: bool
) -> tuple[Key, Observable] | None:
    text = canonical(kind, value)
    if text is None and kind is ObservableType.DOMAIN and ip_address(value.strip()) is not None:
        kind, text = ObservableType.IP, canonical(ObservableType.IP, value)
    if text is None:
        return None
    return (kind, text), Observable(type=kind, value=text, role=role, tainted=tainted)


def _add_host(url: str, role: ObservableRole, found: Found) -> None:
    parts = split_url(url)
    if parts is not None:
        kind = ObservableType.IP if domain_name(parts[1]) is None else ObservableType.DOMAIN
        _add(found, kind, parts[1], role, True)
