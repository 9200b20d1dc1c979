"""What a message's sender, subject and attachment show. The sender writes it, so it only raises."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage import hosts
from tocsin.triage.case import Case
from tocsin.triage.commands.text import folded
from tocsin.triage.evidence import quoted
from tocsin.triage.words import words

CACHED_LENGTH = 512
SHORTEST_LABEL = 5  # letters of a domain's name in which one wrong letter is no accident

_DOMAIN = re.compile(r"@\s?([\w-]{1,63}(?:\.[\w-]{1,63}){1,20})")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,20}")
_FREE = words("free_mail")
_FREE_ADDRESS = tuple(["@" + domain for domain in _FREE])
_EXECUTIVE = re.compile(
    r"(?<![a-z])(?:ceo|cfo|coo|cto|ciso|president|chairman|managing director|chief executive"
    r"|chief financial"
    r"|geschäftsführer|geschaeftsfuehrer|vorstand|directeur|director general|direttore|payroll"
    r"|human resources"
    r"|finance dep|accounts payable|it support|it help ?desk|service desk|system administrator"
    r"|mail admin)"
)
_URGENT = re.compile(
    r"urgent|immediate|within 24|within 48|expire|suspend|final notice|last warning"
    r"|action required|overdue"
    r"|asap|today only|locked|deactivat|terminat|dringend|sofort|umgehend|gesperrt|läuft ab"
    r"|urgente|inmediat"
    r"|suspendid|bloquead|immédiat|expirera|bloqué|urgence|scade|bloccat|срочно|заблокирован"
    r"|緊急|至急|紧急|立即"
)
_ACCOUNT = re.compile(
    r"password|passwort|kennwort|contraseña|mot de passe|senha|пароль|密码|パスワード|verify|verif"
    r"|credential"
    r"|account|konto|cuenta|compte|log ?in|sign ?in|anmeld|mailbox|quota|mfa|2fa|authenticator"
    r"|unusual activity"
    r"|security alert|invoice|payment|wire|transfer|gift ?card|bank|überweisung|rechnung"
    r"|factura|facture|payroll"
)
_PAYMENT = re.compile(
    r"invoice|remittance|wire transfer|bank details|payment|purchase order|gift ?card|rechnung"
    r"|überweisung|factura"
    r"|facture|fattura|rib |iban|ach |payroll|direct deposit|outstanding balance"
)
_ATTACHED = re.compile(
    r"\.(?:exe|scr|com|pif|bat|cmd|js|jse|vb[se]|wsf|hta|lnk|ps1|jar|iso|img|vhdx?|one|html?"
    r"|shtml|svg|xht"
    r"|docm|xlsm|xlam|dotm|pptm|slk|iqy|xll|msi|chm|cpl|url|library-ms|ace|cab|r\d\d|7z|rar"
    r"|appinstaller)"
)


def mail(case: Case) -> Sequence[Evidence]:
    """The sender passes for another, the subject presses, or the attachment can run code."""
    email = case.alert.email
    if not email.sender and not email.subject:
        return ()
    found: list[Evidence] = []
    if email.sender:
        ours = tuple(sorted(_domains(" ".join(email.recipients).lower())))
        kept = len(email.sender) <= CACHED_LENGTH
        signs = (_cached_sender if kept else _of_sender)(email.sender.lower(), ours)
        found += _entries(case, "/email/sender", email.sender, "The sender ", signs)
    if email.subject:
        kept = len(email.subject) <= CACHED_LENGTH
        signs = (_cached_subject if kept else _of_subject)(email.subject.lower())
        found += _entries(case, "/email/subject", email.subject, "The subject ", signs)
    for path, name in (("/file/name", case.alert.file.name), ("/file/path", case.alert.file.path)):
        if name and _ATTACHED.search(name.lower()):
            signs = (("attachment", "can run code", "T1566.001"),)
            found += _entries(case, path, name, "The attachment ", signs)
            break
    return found


def _entries(
    case: Case, path: str, value: str, who: str, signs: Sequence[tuple[str, str, str]]
) -> list[Evidence]:
    return [
        case.on_alert(
            "mail." + key,
            who + quoted(value, 80) + " " + what + ".",
            path,
            value,
            case.weights.mail[key].weight,
            tainted=True,
            technique=technique,
        )
        for key, what, technique in signs
    ]


def _domains(text: str) -> set[str]:
    return {hit.group(1) for hit in _DOMAIN.finditer(text)}


def _of_sender(text: str, ours: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    found: dict[str, tuple[str, str, str]] = {}
    for domain in _domains(text):
        if own := look_alike(domain, ours):
            what = "has a domain that looks like " + quoted(own, 60)
            found["look_alike"] = ("look_alike", what, "T1566")
        for key, what, technique in hosts.faults(domain):
            if key in ("punycode", "brand", "dynamic_name"):
                found.setdefault(key, (key, "has a domain that " + what, technique))
    if len({address.rpartition("@")[2] for address in _ADDRESS.findall(text)}) > 1:
        what = "shows another address than its own"
        found["display_name"] = ("display_name", what, "T1656")
    if "brand" not in found and "@" in text:
        shown = _ADDRESS.sub(" ", text)
        brand = next((name for name in hosts.BRANDS if name in shown), "")
        if brand and not all(hosts.owns(brand, domain) for domain in _domains(text)):
            what = "carries the name of " + brand + " and another's domain"
            found["brand"] = ("brand", what, "T1566")
    if _EXECUTIVE.search(text) and any(word in text for word in _FREE_ADDRESS):
        what = "names an executive and uses a free mail service"
        found["executive"] = ("executive", what, "T1656")
    return tuple(found.values())


_cached_sender = lru_cache(maxsize=4096)(_of_sender)


def _of_subject(text: str) -> tuple[tuple[str, str, str], ...]:
    found = []
    spelled = (text,) if text.isascii() else (text, folded(text))
    if any(_URGENT.search(one) and _ACCOUNT.search(one) for one in spelled):
        found.append(("urgency", "presses, and speaks of accounts or money", "T1566"))
    if any(_PAYMENT.search(one) for one in spelled):
        found.append(("payment", "is about a payment", "T1566"))
    return tuple(found)


_cached_subject = lru_cache(maxsize=4096)(_of_subject)


def look_alike(domain: str, ours: Sequence[str]) -> str:
    """The one of our domains that this one looks like without being it; empty when none.

    A domain looks like another when one of its labels is the other's name, or one letter away from
    it, also with letters of other scripts and with digits for letters.
    """
    if any(("." + domain).endswith("." + own) or own.endswith("." + domain) for own in ours):
        return ""
    for own in ours:
        name = hosts.domain_of(own).partition(".")[0]
        if len(name) < SHORTEST_LABEL or any(own.startswith(free) for free in _FREE):
            continue
        if any(_near(label, name) for label in hosts.spelled(domain).split(".")):
            return own
    return ""


def _near(label: str, name: str) -> bool:
    """Whether two labels are the same up to one wrong, missing, added or swapped letter."""
    if name in label:
        return True
    if abs(len(label) - len(name)) > 1:
        return False
    begin = 0
    for one, other in zip(label, name, strict=False):
        if one != other:
            break
        begin += 1
    left, right = label[begin:], name[begin:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[2:] == right[2:] and left[:2] == right[1::-1])
    )
