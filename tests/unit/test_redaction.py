"""Nothing that names somebody, and no secret, is in what a model reads; what comes back is ours."""

import base64
import json
import time
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.triage_dossiers import dossier as make_dossier

from tocsin.model import (
    Alert,
    AssetContext,
    AssetRecord,
    ContextType,
    Dossier,
    Email,
    Endpoint,
    Fact,
    Host,
    Process,
    User,
    UserContext,
    UserRecord,
)
from tocsin.narrate.exhibit import exhibit, fenced, introduce
from tocsin.redaction import Pseudonyms, Scope
from tocsin.settings import Settings
from tocsin.triage import triage

SETTINGS = Settings(internal_domains=("corp.example",))
SCOPE = Scope.of(SETTINGS)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=5, max_size=12).map(lambda w: "q" + w)
"""Names that no instruction, key or sentence of ours holds: they begin with q."""
NAMES = st.tuples(WORDS, st.sampled_from(["", "-", ".", "_"]), WORDS).map("".join)
DIGITS = st.integers(1, 254)
INTERNAL = st.tuples(DIGITS, DIGITS, DIGITS).map(lambda t: "10.{}.{}.{}".format(*t))
EXTERNAL = st.tuples(DIGITS, DIGITS).map(lambda t: "45.77.{}.{}".format(*t))
SECRETS = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=8, max_size=24).map(
    lambda s: "Zq" + s
)

HIDINGS = {
    "plain": lambda name: name,
    "upper": str.upper,
    "percent": lambda name: "".join(f"%{ord(c):02x}" for c in name),
    "unicode": lambda name: "".join(f"\\u{ord(c):04x}" for c in name),
    "hex escapes": lambda name: "".join(f"\\x{ord(c):02x}" for c in name),
    "entities": lambda name: "".join(f"&#{ord(c)};" for c in name),
    "base64": lambda name: base64.b64encode(f"whoami /user {name} now".encode()).decode(),
    "utf-16": lambda name: base64.b64encode(f"net use {name} x".encode("utf-16-le")).decode(),
    "hex": lambda name: f"start {name} end".encode().hex(),
    "joiners": "\u200b".join,
    "wide": lambda name: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name),
    "twice": lambda name: quote(quote(name + "@x", safe=""), safe=""),
    "within words": lambda name: f"pre{name}2024.pdf",
}


def pseudonyms() -> Pseudonyms:
    return Pseudonyms(SCOPE)


@st.composite
def dossiers(draw: st.DrawFn) -> tuple[Dossier, list[str], str]:
    """A dossier, what must not be seen of it, and a secret."""
    host, user, person, manager, asset = (draw(NAMES) for _ in range(5))
    inside, outside, secret = draw(INTERNAL), draw(EXTERNAL), draw(SECRETS)
    mailbox = f"{draw(NAMES)}@{draw(WORDS)}.example.org"
    hiding = draw(st.sampled_from(sorted(HIDINGS)))
    hidden = HIDINGS[hiding]
    command = (
        f"tool --password {secret} -t https://u:{secret}@{outside}/x?token={secret} "
        f"C:\\Users\\{user}\\a.exe {hidden(host)} {hidden(user)} {inside} {mailbox}"
    )
    alert = Alert(
        title=f"Something on {host}",
        description=f"{person} ({mailbox}) used {hidden(asset)} at {inside}",
        host=Host(name=host, id=asset, ip=inside),
        user=User(name=user, domain="qqdomain", email=mailbox),
        source=Endpoint(ip=inside),
        destination=Endpoint(ip=outside),
        process=Process(name="tool.exe", command_line=command),
        email=Email(sender=mailbox, subject=f"for {person}"),
        url=f"https://{host}.corp.example/{hidden(user)}?sig={secret}",
    )
    context = (
        Fact(
            context_type=ContextType.ASSET,
            data=AssetContext(
                asset=AssetRecord(
                    asset_id=asset, hostname=f"{host}.corp.example", ip=inside, owner=person
                ),
                matched_by="hostname",
            ),
            source="inventory",
            confidence=1.0,
        ),
        Fact(
            context_type=ContextType.USER,
            data=UserContext(
                user=UserRecord(user_id=user, full_name=person, manager=manager, email=mailbox),
                matched_by="user_name",
            ),
            source="directory",
            confidence=1.0,
        ),
    )
    plain = make_dossier("generic", alert)
    built = msgspec.structs.replace(plain, context=context)
    judged = msgspec.structs.replace(built, verdict=triage(built))
    originals = [host, user, person, asset, inside, outside, mailbox]
    return judged, originals, secret


@settings(max_examples=150, deadline=None)
@given(dossiers(), st.integers(400, 3000))
def test_no_original_value_is_in_any_byte_that_is_sent(
    drawn: tuple[Dossier, list[str], str], tokens: int
) -> None:
    dossier, originals, secret = drawn
    names = pseudonyms()
    introduce(dossier, names)
    shown = exhibit(dossier, names, tokens=tokens)
    text, _ = fenced(shown.text, "DOSSIER")
    sent = json.dumps([{"role": "user", "content": text}], ensure_ascii=False).lower()
    for value in (*originals, secret, "corp.example"):
        assert value.lower() not in sent, value
    assert secret not in str(names.mapping)


@settings(max_examples=100, deadline=None)
@given(dossiers())
def test_what_comes_back_has_the_originals_again_and_never_a_secret(
    drawn: tuple[Dossier, list[str], str],
) -> None:
    dossier, (host, user, *_), secret = drawn
    names = pseudonyms()
    introduce(dossier, names)
    said = names.hide(f"{user} on {host} used password={secret}")
    assert names.invented(said) == ()
    restored = names.restore(said.lower().replace("secret", "SECRET"))
    assert restored.lower().startswith(f"{user} on {host} used password=secret_")
    assert secret not in restored


@pytest.mark.parametrize("how", sorted(HIDINGS))
def test_a_known_name_is_found_behind_every_disguise(how: str) -> None:
    names = pseudonyms()
    names.know("HOST", "qfinance-07")
    shown = names.hide(f"run {HIDINGS[how]('qfinance-07')} now").lower()
    assert "qfinance" not in shown
    assert "qfinance" not in base64.b64decode(
        "".join(c for c in shown if c.isalnum()) + "==="
    ).decode("utf-8", "ignore")


SECRET_PLACES = {
    "flag": "app --password=XYZZYX12 --go",
    "flag and space": "app --token XYZZYX12",
    "slash": "app /pass:XYZZYX12",
    "camel": '{"dbPassword": "XYZZYX12"}',
    "yaml": "client_secret: XYZZYX12",
    "quotes": "password='XYZZYX12'",
    "userinfo": "https://bob:XYZZYX12@host.example/a",
    "query": "https://host.example/?api_key=XYZZYX12&x=1",
    "connection": "Server=db;User Id=sa;Password=XYZZYX12;",
    "postgres": "postgresql://app:XYZZYX12@db/app",
    "bearer": "Authorization: Bearer XYZZYX12abc",
    "basic": "curl -H 'Authorization: Basic XYZZYX12abc'",
    "curl": "curl -u bob:XYZZYX12 ftp://h",
    "sshpass": "sshpass -p XYZZYX12 ssh root@h",
    "mysql": "mysql -u root -pXYZZYX12 db",
    "net user": "net user bob XYZZYX12 /add",
    "net use": r"net use z: \\fs\share XYZZYX12 /user:bob",
    "secure string": "ConvertTo-SecureString 'XYZZYX12' -AsPlainText -Force",
    "piped secure string": "('XYZZYX12' | ConvertTo-SecureString -AsPlainText -Force)",
    "variable": "$pw = 'XYZZYX12'",
    "docker": "docker login -u bob -p XYZZYX12",
    "sqlcmd": "sqlcmd -S db -U sa -P XYZZYX12",
    "spraying": "crackmapexec smb 10.0.0.1 -u bob -p 'XYZZYX12' --shares",
    "winrm": "evil-winrm -i dc -u bob -p XYZZYX12",
    "ldap": "ldapsearch -x -D cn=x,dc=y -w XYZZYX12",
    "redis": "redis-cli -h h -a XYZZYX12",
    "openssl": "openssl enc -aes-256-cbc -in a -k XYZZYX12",
    "task": "schtasks /create /ru bob /rp XYZZYX12 /tn t",
    "htpasswd": "htpasswd -cb f bob XYZZYX12",
    "aws configure": "aws configure set aws_secret_access_key XYZZYX12",
    "registry": r"reg add HKLM\x /v DefaultPassword /t REG_SZ /d XYZZYX12 /f",
    "impacket": "secretsdump.py corp/bob:XYZZYX12@10.0.0.5",
    "vault": "vault login hvs.XYZZYX12aaaaaaaaaaaaaaaa",
    "npm": "npm_XYZZYX12aaaaaaaaaaaaaaaaaaaa",
    "chat": "https://hooks.slack.com/services/T0/B0/XYZZYX12",
    "sudo": "echo XYZZYX12 | sudo -S id",
    "account key": "AccountName=a;AccountKey=XYZZYX12+/abc==;",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.XYZZYX12",
    "github": "ghp_XYZZYX12aaaaaaaaaaaaaaaaaaaa",
    "aws": "AKIAXYZZYX12ABCDEFGH",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nXYZZYX12\n-----END RSA PRIVATE KEY-----",
    "half a private key": "-----BEGIN OPENSSH PRIVATE KEY-----\\nXYZZYX12",
    "cookie": "Cookie: session=XYZZYX12",
    "signature": "https://s.example/?X-Amz-Signature=XYZZYX12",
}  # fmt: skip


@pytest.mark.parametrize("place", sorted(SECRET_PLACES))
def test_a_secret_is_found_where_it_stands_and_kept_nowhere(place: str) -> None:
    names = pseudonyms()
    text = SECRET_PLACES[place]
    names.learn([text])
    assert "XYZZYX12" not in names.hide(text)
    assert "XYZZYX12" not in names.restore(names.hide(text))
    assert "XYZZYX12" not in str(names.mapping)


@pytest.mark.parametrize(
    "text",
    [
        "ssh -l bob -p 2222 host",
        "psql -U app -p 5432",
        "mailto:bob@example.com",
        "https://example.com/a:b@c",
        "ConvertTo-SecureString -AsPlainText -Force",
        "redis-cli -h cache ping",
        "openssl x509 -in a.pem -noout",
    ],
)
def test_what_is_no_secret_is_told(text: str) -> None:
    assert "SECRET" not in pseudonyms().hide(text)


@pytest.mark.parametrize("place", ["flag", "slash", "camel", "userinfo", "postgres", "net user"])
def test_a_secret_that_was_found_once_is_hidden_wherever_it_stands(place: str) -> None:
    names = pseudonyms()
    names.learn([SECRET_PLACES[place]])
    assert names.hide("and then XYZZYX12 alone") == "and then SECRET_1 alone"


def test_a_name_that_an_attacker_writes_as_a_pseudonym_is_not_taken_for_one() -> None:
    names = pseudonyms()
    names.know("HOST", "qreal-host")
    shown = names.hide("HOST_1 and qreal-host")
    assert names.restore(shown) == "HOST_1 and qreal-host"
    assert shown.count("TEXT_1") == 1


def test_a_name_that_was_never_given_out_is_noticed() -> None:
    names = pseudonyms()
    names.know("USER", "qalice")
    assert names.hide("qalice") == "USER_1"
    assert names.invented("user_1 met USER_2, HOST_01 and EXTERNAL_IP_9") == (
        "USER_2", "HOST_01", "EXTERNAL_IP_9",
    )  # fmt: skip


def test_a_pseudonym_says_whether_an_address_is_ours() -> None:
    names = pseudonyms()
    shown = names.hide("10.1.2.3 → 45.77.1.2, fe80::1, 2606:4700::1111, 127.0.0.1")
    assert shown == "INTERNAL_IP_1 → EXTERNAL_IP_1, INTERNAL_IP_2, EXTERNAL_IP_2, 127.0.0.1"


def test_what_everybody_has_is_told() -> None:
    names = pseudonyms()
    for account in ("root", "Administrator", "NT AUTHORITY\\SYSTEM", "-"):
        names.know("USER", account)
    assert names.hide("root Administrator sid:2024897 rule 5710 T1059.001 CVE-2024-3094") == (
        "root Administrator sid:2024897 rule 5710 T1059.001 CVE-2024-3094"
    )


def test_a_name_that_a_statement_cuts_is_hidden_too() -> None:
    names = pseudonyms()
    names.know("HOST", "qfinance-server-07")
    assert names.hide("it ran on qfinance-ser…") == "it ran on HOST_1..."


@pytest.mark.parametrize(
    "unit",
    ["_", "a", "-", "x@", "a.", "10.0.0.1 ", "mysql ", "%41", "\\", "::1", "password=", "/home/",
     "net use ", "-p ", "eyJ", "QUFB", "&#65;", "\\u0041", "://a:", "S-1-5-21", "…", "(E1)", "ab",
     "-u ", "-u a ", "openssl ", "reg password ", "a/b:c@", "'", '"|', "hooks.slack.com/services/"],
)  # fmt: skip
def test_hostile_texts_cost_little_time(unit: str) -> None:
    names = pseudonyms()
    for number in range(50):
        names.know("HOST", f"qhost-{number}")
    started = time.perf_counter()
    names.hide((unit * 20_000)[:20_000])
    assert time.perf_counter() - started < 2  # it is some milliseconds; the machine may be busy


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=5))
def test_any_text_can_be_hidden_and_nothing_is_invented_by_it(text: str, known: list[str]) -> None:
    names = pseudonyms()
    for value in known:
        names.know("USER", value)
    assert names.invented(names.hide(text)) == ()
