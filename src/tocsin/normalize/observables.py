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

Found = dict[tuple[ObservableType, str], Observable]


def observables_of(alert: Alert, related: Mapping[str, Sequence[str]]) -> tuple[Observable, ...]:
    """Collect the observables of an alert; each value once, in its most specific role.

    `related` holds values without a field of their own, as `related.ip`, `related.hash` …
    Values that somebody wrote (URLs, command lines, subjects, names asked of DNS) are tainted;
    what a sensor measured (addresses, hashes) is not.
    """
    found: Found = {}
    _take_network(alert, found)
    _take_file(alert, found)
    url = alert.url
    if url is not None:
        _take_url(url, ObservableRole.URL, found)
    if (question := alert.dns.question) is not None:
        _add(_observable(ObservableType.DOMAIN, question, ObservableRole.DNS, True), found)
    if (sender := alert.email.sender) is not None:
        _take_email(sender, ObservableRole.SENDER, True, found)
    for recipient in alert.email.recipients[:MAX_OBSERVABLES]:
        _take_email(recipient, ObservableRole.RECIPIENT, False, found)
    if (address := alert.user.email) is not None:
        _add(_observable(ObservableType.EMAIL, address, ObservableRole.USER, False), found)
    if related:
        for name, kind, role in _RELATED:
            for value in related.get(name, ()):
                _add(_observable(kind, value, role, False), found)
    _take_mentions(alert, found)
    return tuple(found.values())[:MAX_OBSERVABLES]


def _take_network(alert: Alert, found: Found) -> None:
    source, destination = alert.source, alert.destination
    if source.ip is not None:
        _add(_observable(ObservableType.IP, source.ip, ObservableRole.SOURCE, False), found)
    if destination.ip is not None:
        _add(
            _observable(ObservableType.IP, destination.ip, ObservableRole.DESTINATION, False), found
        )
    if alert.host.ip is not None:
        _add(_observable(ObservableType.IP, alert.host.ip, ObservableRole.HOST, False), found)
    if source.domain is not None:
        _add(_observable(ObservableType.DOMAIN, source.domain, ObservableRole.SOURCE, False), found)
    if destination.domain is not None:
        _add(
            _observable(
                ObservableType.DOMAIN, destination.domain, ObservableRole.DESTINATION, True
            ),
            found,
        )


def _take_file(alert: Alert, found: Found) -> None:
    hashes = alert.file.hash
    if hashes.sha256 is None and hashes.sha1 is None and hashes.md5 is None:
        return
    of_process = alert.file.path is None and alert.process.executable is not None
    role = ObservableRole.PROCESS if of_process else ObservableRole.FILE
    for value in (hashes.sha256, hashes.sha1, hashes.md5):
        if value is not None:
            _add(_observable(ObservableType.HASH, value, role, False), found)


def _take_url(text: str, role: ObservableRole, found: Found) -> None:
    url = _observable(ObservableType.URL, text, role, True)
    if url is None:
        return
    _add(url, found)
    _add(_host_of(url.value, role), found)
    query = text.partition("?")[2]
    if query and ("://" in query or "%3A%2F%2F" in query or "%3a%2f%2f" in query):
        _add_mentions(unquote(query[:MAX_TEXT], errors="replace").replace("&", " "), found)


def _take_email(text: str, role: ObservableRole, tainted: bool, found: Found) -> None:
    address = _observable(ObservableType.EMAIL, text, role, tainted)
    if address is None:
        return
    _add(address, found)
    if role is ObservableRole.SENDER:
        domain = address.value.rpartition("@")[2]
        _add(_observable(ObservableType.DOMAIN, domain, role, tainted), found)


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
        key = (kind, value)
        if key not in found:
            mention = _observable(kind, value, ObservableRole.MENTION, True)
            if mention is not None:
                found[key] = mention
                if kind is ObservableType.URL:
                    _add(_host_of(value, ObservableRole.MENTION), found)


def _add(observable: Observable | None, found: Found) -> None:
    if observable is not None:
        found.setdefault((observable.type, observable.value), observable)


def _observable(
    kind: ObservableType, value: str, role: ObservableRole, tainted: bool
) -> Observable | None:
    """The observable of a raw value, or None when the value is none of its kind.

    Records are immutable, so equal ones can be one object; that also saves the canonical form.
    """
    if len(value) <= MAX_CACHED:
        return _shared(kind, value, role, tainted)
    return _shared.__wrapped__(kind, value, role, tainted)


@lru_cache(maxsize=32_768)
def _shared(
    kind: ObservableType, value: str, role: ObservableRole, tainted: bool
) -> Observable | None:
    text = canonical(kind, value)
    if text is None and kind is ObservableType.DOMAIN and ip_address(value.strip()) is not None:
        kind, text = ObservableType.IP, canonical(ObservableType.IP, value)
    if text is None:
        return None
    return Observable(type=kind, value=text, role=role, tainted=tainted)


def _host_of(url: str, role: ObservableRole) -> Observable | None:
    parts = split_url(url)
    if parts is None:
        return None
    kind = ObservableType.IP if domain_name(parts[1]) is None else ObservableType.DOMAIN
    return _observable(kind, parts[1], role, True)
