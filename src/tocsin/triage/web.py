"""What a requested address and its client show. Attackers choose both, so all of it raises."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage import hosts
from tocsin.triage.case import Case
from tocsin.triage.commands.rewrite import percents
from tocsin.triage.evidence import quoted
from tocsin.triage.words import words

CACHED_LENGTH = 512

_EXPLOIT = re.compile(
    r"\.\./\.\.|\.\.\\\.\.|union[\s+/*()]{1,12}(?:all[\s+/*()]{1,12})?select|\$\{(?:jndi|lower"
    r"|upper|env|:)"
    r"|<script|javascript:|onerror\s?=|' ?or ?'?1|\" ?or ?\"?1|sleep\(\d|benchmark\("
    r"|waitfor delay|extractvalue\("
    r"|information_schema|/etc/passwd|/etc/shadow|/proc/self/|win\.ini|boot\.ini|php://"
    r"|file:///|expect://"
    r"|phar://|gopher://|xp_cmdshell|\(\)\s?\{|\{\{.{0,40}\}\}|<%=|%\{.{0,20}ognl"
    r"|class\.module\.classloader"
    r"|/\.git/|/\.env|/\.aws/|/wp-config|/actuator/|/_ignition/|/cgi-bin/.{0,40}(?:sh|bash|;)"
    r"|169\.254\.169\.254"
    r"|autodiscover\.json.{0,40}powershell|/vpns/|/dana-na/|/owa/auth/x\.js|/solr/admin"
    r"|/invoker/jmx|/\.\./|%00"
)
_COMMAND = re.compile(
    r"[?&;|](?:cmd|exec|execute|command|c|shell|run|ping)=\S{0,80}"
    r"(?:whoami|powershell|wget|curl|uname|nslookup|/bin/|certutil|cmd\.exe|/etc/passwd)"
    r"|[?&;|](?:cmd|exec|execute|command|shell)=(?:id|cat|ls|dir|net|ping|type|bash|sh|nc)"
    r"|(?:;|\||`|\$\(|&&)\s?(?:wget|curl|bash|nc|id|uname|cat|sh|ping|nslookup|powershell"
    r"|certutil)[\s+`;|(/]"
)
_DOUBLE_ENCODED = re.compile(
    r"%25(?:2e|2f|5c|3c|27|22)|%c0%a[ef]|%c1%(?:9c|1c|8s)|%u00|%uff|%e0%80%a|\.%2e|%2e\."
    r"|%2e%2e|%252e"
    r"|%5c%2e|\.\.%2f|\.\.%5c|\.\.;/|%09|%0d%0a"
)
_AGENTS = words("scanners")
_BARE = re.compile(
    r"(?:://|^|\s)(?:[^/\s@?#]{0,256}@)?"
    r"(?!10\.|127\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|0\.)"
    r"(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[[0-9a-f:]{2,40}\]|0x[0-9a-f]{8}|\d{8,10})"
)
_BARE_PROGRAM = re.compile(
    r"h(?:tt|xx)ps?://\d{1,3}(?:\[?\.\]?\d{1,3}){3}(?::\d{1,5})?/\S{0,512}?"
    r"\.(?:exe|dll|scr|ps1|hta|bat|vbs|sh|elf|bin|jar|msi|mips|arm|x86|iso|lnk|js|wsf|apk|py)"
)
_CREDENTIALS = re.compile(r"://[^/\s@?#]{1,256}@[\w\[]")
_REDIRECT = re.compile(
    r"[?&](?:url|u|redirect|redirect_uri|redirect_url|redir|next|return|returnurl|return_to"
    r"|goto|dest|destination"
    r"|continue|target|link|out|rurl|forward)=(?:https?(?::|%3a)|//|%2f%2f|hxxp)"
)
_HOST = re.compile(r"://(?:[^/\s@?#]{0,256}@)?([\w.-]{3,260})")
_LEADING = re.compile(r"(?:^|\s)([\w-]{1,63}(?:\.[\w-]{1,63}){1,20})(?::\d{1,5})?(?:[/?#]|$)")
_SHARING = words("sharing")
_PANELS = re.compile(
    r"/(?:gate|panel|fre|admin_panel|loader|bot|tasks?|checkin|beacon|c2|cnc)\.php"
    r"|/submit\.php\?id=|/api/v\d/c2"
    r"|/(?:pixel|__utm)\.gif\?.{0,40}(?:id|sid)=|/five/fre|/logs/.{0,20}\.php\?"
    r"|/wp-content/.{0,60}\.exe"
)

Sign = tuple[str, str, str]


def web(case: Case) -> Sequence[Evidence]:
    """A request that carries an attack, a name that looks like another, a client that is a tool."""
    url, agent = case.alert.url, case.alert.http.user_agent
    if not url and not agent:
        return ()
    found: list[Evidence] = []
    if url:
        shown = _cached_url(url) if len(url) <= CACHED_LENGTH else _of_url(url)
        found = [
            _web(
                case,
                key,
                "The request for " + quoted(url, 80) + " " + what + ".",
                "/url",
                url,
                code,
            )
            for key, what, code in shown
        ]
    if agent:
        statement = "The client calls itself " + quoted(agent, 60) + "."
        found += [
            _web(case, key, statement, "/http/user_agent", agent, technique)
            for key, technique in (_cached_agent if len(agent) <= CACHED_LENGTH else _of_agent)(
                agent
            )
        ]
    return found


def _web(case: Case, key: str, statement: str, on: str, value: str, technique: str) -> Evidence:
    return case.on_alert(
        "web." + key,
        statement,
        on,
        value,
        case.weights.web[key].weight,
        tainted=True,
        technique=technique,
    )


def _of_url(url: str) -> tuple[Sign, ...]:
    text = url.lower()
    bare = percents(text) if "%" in text else text
    spaced = bare.replace("+", " ") if "+" in bare else bare
    found: dict[str, Sign] = {}
    for key, expression, what, technique in _URL_SIGNS:
        if (
            expression.search(text)
            or (bare is not text and expression.search(bare))
            or (spaced is not bare and expression.search(spaced))
        ):
            found[key] = (key, what, technique)
    if any(word in text for word in _SHARING):
        found["file_sharing"] = ("file_sharing", "goes to where anybody leaves files", "T1608.001")
    for name in _hosts(bare):
        for key, what, technique in hosts.faults(name):
            found.setdefault(key, (key, "is for a name that " + what, technique))
    return tuple(found.values())


_URL_SIGNS = (
    ("exploit_text", _EXPLOIT, "carries text that breaks into applications", "T1190"),
    ("command_text", _COMMAND, "carries a system command", "T1190"),
    ("encoded_path", _DOUBLE_ENCODED, "is encoded in a way that goes past filters", "T1027"),
    ("program_download", _BARE_PROGRAM, "fetches a program from a bare address", "T1105"),
    ("bare_address", _BARE, "goes to an address without a name", "T1204.001"),
    (
        "credentials",
        _CREDENTIALS,
        "has something before an @ that passes for the server",
        "T1566.002",
    ),
    ("redirect", _REDIRECT, "sends on to another address", "T1566.002"),
    ("panel", _PANELS, "asks for a path that malware reports to", "T1071.001"),
)
_cached_url = lru_cache(maxsize=4096)(_of_url)


def _hosts(text: str) -> list[str]:
    """The names in an address: each behind `://`, and the one that a bare address begins with."""
    found = dict.fromkeys(hit.group(1).strip(".-") for hit in _HOST.finditer(text))
    found.update((hit.group(1), None) for hit in _LEADING.finditer(text))
    return [name for name in found if "." in name]


def _of_agent(agent: str) -> tuple[tuple[str, str], ...]:
    text = agent.lower()
    found = []
    if any(name in text for name in _AGENTS):
        found.append(("tool_agent", "T1595.002"))
    return tuple(found)


_cached_agent = lru_cache(maxsize=2048)(_of_agent)  # few clients make most of the requests
