"""What a changed key or value of the Windows registry is good for. All of it raises.

A setting that protects counts unless its new value is exactly the one that keeps the protection on,
so that text put behind a value never makes it look harmless.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.commands import signs_of
from tocsin.triage.evidence import quoted
from tocsin.triage.programs import WRITABLE

CACHED_LENGTH = 512
TELLING = 1.0  # weight from which a sign in the value counts
_ON = frozenset(
    {"1", "0x1", "0x00000001", "dword (0x00000001)", "dword:00000001", "true", "enabled"}
)
_OFF = frozenset(
    {"0", "0x0", "0x00000000", "dword (0x00000000)", "dword:00000000", "false", "disabled"}
)
_NONE = frozenset[str]()


class _Key(NamedTuple):
    """Keys that are good for the same thing; `harmless` are values that do no harm."""

    key: str
    what: str  # completes “The registry value …”
    technique: str
    words: tuple[str, ...]
    harmless: frozenset[str] = _NONE


def _key(
    key: str, what: str, technique: str, *words: str, harmless: frozenset[str] = _NONE
) -> _Key:
    return _Key(key, what, technique, words, harmless)


# Each word must stand in the lower-case path; the first kind of each `key` that fits is taken.
KEYS = (
    _key(
        "autostart", "starts something at each logon", "T1547.001",
        "\\currentversion\\run", "\\explorer\\user shell folders", "\\explorer\\shell folders",
        "\\currentversion\\policies\\explorer\\run", "\\windows nt\\currentversion\\windows\\load",
        "\\active setup\\installed components",
    ),
    _key(
        "logon_process", "changes what the logon program starts", "T1547.004",
        "\\winlogon\\shell", "\\winlogon\\userinit", "\\winlogon\\notify", "\\winlogon\\taskman",
        "\\winlogon\\mpnotify",
    ),
    _key(
        "debugger", "makes another program run in place of the one that is started", "T1546.012",
        "\\image file execution options\\", "\\silentprocessexit\\",
    ),
    _key(
        "component", "replaces a component that programs load", "T1546.015",
        "\\inprocserver32", "\\localserver32", "\\treatas", "\\scriptleturl",
    ),
    _key(
        "loaded_library", "has a library loaded into other programs", "T1546.010",
        "\\appinit_dlls", "\\appcertdlls", "\\amsi\\providers\\", "\\control\\print\\monitors\\",
        "\\netsh\\", "\\lsa\\security packages", "\\lsa\\authentication packages",
        "\\lsa\\notification packages", "\\appcompatflags\\custom\\",
        "\\appcompatflags\\installedsdb\\", "\\office test\\special\\perf",
        "\\networkprovider", "\\w32time\\timeproviders",
    ),
    _key(
        "logon_script", "runs a script at each logon", "T1037.001",
        "userinitmprlogonscript", "\\group policy\\scripts", "\\policies\\system\\scripts\\",
    ),
    _key(
        "consent_bypass", "makes a program with full rights start another", "T1548.002",
        "\\ms-settings\\shell\\open", "\\mscfile\\shell\\open", "\\delegateexecute",
        "\\exefile\\shell\\open", "\\folder\\shell\\open", "\\app paths\\control.exe",
        "\\environment\\windir", "\\environment\\systemroot",
    ),
    _key(
        "consent_bypass", "switches the question for consent off", "T1548.002",
        "\\system\\enablelua", "consentpromptbehavioradmin",
        harmless=_ON | {"2", "5", "dword (0x00000002)", "dword (0x00000005)"},
    ),
    _key(
        "protection_off", "switches protection off", "T1562.001",
        "\\amsienable", "enablevirtualizationbasedsecurity",
        "hypervisorenforcedcodeintegrity\\enabled",
        "vulnerabledriverblocklistenable", "\\lsacfgflags", "\\runasppl", "tamperprotection",
        "\\deviceguard\\", "enablesmartscreen", "\\smartscreenenabled", "puaprotection",
        harmless=_ON | {"2", "5", "dword (0x00000002)", "dword (0x00000005)", "requireadmin"},
    ),
    _key(
        "protection_off", "switches protection off", "T1562.001",
        "disableantispyware", "disableantivirus", "disablerealtimemonitoring",
        "disablebehaviormonitoring", "disableioavprotection", "disablescriptscanning",
        "disableonaccessprotection", "disableblockatfirstseen", "disableenhancednotifications",
        "disallowexploitprotectionoverride", "\\windows defender\\exclusions",
        "dontreportinfectioninformation", "submitsamplesconsent",
        harmless=_OFF,
    ),
    _key(
        "logging_off", "switches recording off", "T1562.002",
        "enablescriptblocklogging", "enablemodulelogging", "enabletranscripting",
        "processcreationincludecmdline", "\\wmi\\autologger\\", "\\winevt\\channels\\",
        "\\eventlog\\security\\", "minint", "etwenabled", "maxeventlogsize",
        harmless=_ON,
    ),
    _key(
        "recovery_off", "switches restore points off", "T1490",
        "\\systemrestore\\disableconfig", "\\systemrestore\\disablesr", "\\disablebackuptodisk",
        "\\windows nt\\systemrestore",
        harmless=_OFF,
    ),
    _key(
        "credentials_open", "keeps passwords where they can be read", "T1112",
        "uselogoncredential", "disablerestrictedadmin", "\\lsa\\nolmhash", "disabledomaincreds",
        "allowprotectedcreds",
        harmless=_OFF,
    ),
    _key(
        "remote_access", "opens the machine to others", "T1021.001",
        "fdenytsconnections", "\\fsinglesessionperuser", "\\terminal server\\wds", "\\portproxy\\",
        "\\allowtsconnections", "\\rdp-tcp\\userauthentication", "\\rdp-tcp\\portnumber",
        "nullsessionshares", "localaccounttokenfilterpolicy",
        "fallowtogethelp", "\\zonemap\\domains\\", "\\zonemap\\protocoldefaults",
    ),
    _key("hidden_account", "keeps an account off the logon screen", "T1564.002",
         "\\specialaccounts\\userlist", "\\sam\\domains\\account\\users\\names\\"),
    _key("hidden_task", "changes the store of scheduled tasks", "T1053.005",
         "\\schedule\\taskcache\\"),
    _key("traces", "touches the traces of what was typed or opened", "T1070",
         "\\explorer\\runmru", "\\explorer\\typedpaths", "\\terminal server client\\default",
         "\\recentdocs"),
    _key("safe_mode", "arranges something for safe mode", "T1562.009", "\\control\\safeboot\\"),
    _key(
        "hides_files", "hides files or what they end in", "T1564.001",
        "\\advanced\\hidden", "\\advanced\\hidefileext", "\\advanced\\showsuperhidden",
    ),
    _key(
        "user_interface", "takes notices or tools away from the user", "T1112",
        "disabletaskmgr", "disableregistrytools", "disablecmd", "useactioncenterexperience",
        "toastenabled", "disablenotificationcenter", "hidescahealth", "notification_suppress",
        "nocontrolpanel", "norun", "\\disablelockworkstation", "nologoff", "\\nodesktop",
        "shutdownwithoutlogon", "\\disablechangepassword",
        harmless=frozenset({""}),
    ),
    _key("certificate", "makes a certificate trusted for everything", "T1553.004",
         "\\systemcertificates\\root\\certificates", "\\systemcertificates\\authroot\\",
         "\\enterprisecertificates\\root\\"),
    _key(
        "macros", "lets documents run code without asking", "T1562.001",
        "\\security\\vbawarnings", "\\security\\accessvbom", "\\trusted locations\\",
        "\\trusted documents\\", "disableinternetfilesinpv", "\\security\\loadmacroprovider",
    ),
    _key("tool_trace", "shows that a tool of administrators ran for the first time", "T1588.002",
         "\\software\\sysinternals\\", "eulaaccepted"),
    _key("service", "makes or changes a service", "T1543.003",
         "\\services\\", "\\currentcontrolset\\services"),
)  # fmt: skip


def registry(case: Case) -> Sequence[Evidence]:
    """What the changed key is good for, and whether its value holds a command."""
    record = case.alert.registry
    if not record.path and not record.value:
        return ()
    path, value = record.path or "", record.value or ""
    kept = len(path) + len(value) <= CACHED_LENGTH
    weights = case.weights.registry
    found = [
        case.on_alert(
            "registry." + key,
            "The registry value " + quoted(path, 120) + " " + what + ".",
            "/registry/path",
            path,
            weights[key].weight,
            tainted=True,
            technique=technique,
        )
        for key, what, technique in (_cached_uses if kept else _uses)(path, value)
    ]
    if value:
        signs = case.weights.command
        telling = [sign for sign in signs_of(value) if signs[sign.code].weight >= TELLING]
        if telling:
            found.append(
                case.on_alert(
                    "registry.command",
                    'The registry value holds what looks like an attack ("'
                    + quoted(value, 60)
                    + '").',
                    "/registry/value",
                    value,
                    weights["command"].weight,
                    tainted=True,
                    technique="T1112",
                )
            )
    return found


def _uses(path: str, value: str) -> tuple[tuple[str, str, str], ...]:
    text, new = path.lower(), value.strip().lower()
    found: dict[str, tuple[str, str, str]] = {}
    for key, what, technique, words, harmless in KEYS:
        if key not in found and new not in harmless and any(word in text for word in words):
            found[key] = (key, what, technique)
    if "autostart" in found and WRITABLE.search(new):
        what = "starts " + quoted(value, 60) + " at each logon, from where anybody can write"
        found["autostart_writable"] = ("autostart_writable", what, "T1547.001")
    return tuple(found.values())


_cached_uses = lru_cache(maxsize=4096)(_uses)
