"""What files, addresses and clients show. Attackers choose all of it, so all of it raises."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted

READ = 4096  # characters of each field that are looked at
CACHED_LENGTH = 256

_DOUBLE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|txt|jpe?g|png|gif|html?|csv|zip|mp[34])[\s_]{0,64}"
    r"\.(?:exe|scr|com|pif|bat|cmd|js|vbs|hta|lnk|ps1|jar|iso)"
)
_PROGRAM = re.compile(r"\.(?:exe|dll|scr|com|pif|bat|cmd|jse?|vb[se]|hta|ps1|lnk|jar|wsf)")
_SCRIPT = re.compile(r"\.(?:hta|jse|vb[se]|wsf|scr|pif|lnk|iso|ps1)")
_TEMPORARY = re.compile(
    r"\\te?mp\\|\\appdata\\local\\temp|\\downloads\\|\\users\\public\\|\\programdata\\"
    r"|\$recycle\.bin|/(?:var/)?tmp/|/dev/shm/"
)
_EXPLOIT = re.compile(
    r"\.\./\.\.|\.\.%2f|%2e%2e|union[\s+%20/*]{1,12}(?:all[\s+%20/*]{1,12})?select|\$\{jndi:"
    r"|<script|%3cscript|' ?or ?'?1|sleep\(\d|benchmark\(|/etc/passwd|php://|xp_cmdshell|\(\)\s?\{"
)
_COMMAND = re.compile(
    r"[?&;|](?:cmd|exec|command|c|shell)=\S{0,40}(?:whoami|id|cat|ls|dir|net|powershell|wget|curl)"
    r"|(?:;|\||%7c|%3b|`|\$\()\s?(?:wget|curl|bash|nc|id|uname|cat)[\s+%]"
)
_AGENTS = (
    "sqlmap",
    "nikto",
    "nmap",
    "masscan",
    "zgrab",
    "nuclei",
    "dirbuster",
    "gobuster",
    "wpscan",
    "hydra",
    "acunetix",
    "metasploit",
    "${jndi:",
    "() {",
)
_BARE_PROGRAM = re.compile(
    r"h(?:tt|xx)ps?://\d{1,3}(?:\[?\.\]?\d{1,3}){3}(?::\d{1,5})?/\S{0,512}?"
    r"\.(?:exe|dll|scr|ps1|hta|bat|vbs|sh|elf|bin|jar|msi)"
)
_URL_SIGNS = (
    ("exploit_text", _EXPLOIT.search, "carries text that breaks into applications", "T1190"),
    ("command_text", _COMMAND.search, "carries a system command", "T1190"),
    ("program_download", _BARE_PROGRAM.match, "fetches a program from a bare address", "T1105"),
)


def files(case: Case) -> Sequence[Evidence]:
    """A file that pretends to be another kind, or a program where none belongs."""
    file = case.alert.file
    if not file.name and not file.path:
        return ()
    found: list[Evidence] = []
    for path, value in (("/file/name", file.name), ("/file/path", file.path)):
        if value:
            _file(case, path, value, found)
    return found


def _file(case: Case, path: str, value: str, found: list[Evidence]) -> None:
    text, weights = value[:READ].lower(), case.weights.file
    signs = (
        ("double_extension", _DOUBLE.search(text), "pretends to be a document", "T1036.007"),
        (
            "temporary_program",
            _PROGRAM.search(text) and _TEMPORARY.search(text),
            "is a program in a folder for temporary or shared files",
            "T1204.002",
        ),
        ("script", _SCRIPT.search(text), "is of a kind that attackers like to send", "T1204.002"),
    )
    for key, present, what, technique in signs:
        name = "file." + key
        if present and all(entry.name != name for entry in found):
            statement = "The file " + quoted(value, 80) + " " + what + "."
            found.append(
                case.on_alert(
                    name,
                    statement,
                    path,
                    value,
                    weights[key].weight,
                    tainted=True,
                    technique=technique,
                )
            )


def web(case: Case) -> Sequence[Evidence]:
    """A request that carries an attack, or a client that names itself as a tool for one."""
    url, agent = case.alert.url, case.alert.http.user_agent
    found: list[Evidence] = []
    if url:
        text = url[:READ].lower()
        for key, shows, what, technique in _URL_SIGNS:
            if shows(text):
                statement = "The request for " + quoted(url, 80) + " " + what + "."
                found.append(_web(case, key, statement, on="/url", value=url, technique=technique))
    if agent and (_short(agent) if len(agent) <= CACHED_LENGTH else _names_tool(agent)):
        statement = "The client calls itself " + quoted(agent, 60) + "."
        found.append(
            _web(
                case,
                "tool_agent",
                statement,
                on="/http/user_agent",
                value=agent,
                technique="T1595.002",
            )
        )
    return found


def _names_tool(agent: str) -> bool:
    text = agent[:READ].lower()
    return any(name in text for name in _AGENTS)


_short = lru_cache(maxsize=1024)(_names_tool)  # few clients make most of the requests


def _web(case: Case, key: str, statement: str, *, on: str, value: str, technique: str) -> Evidence:
    return case.on_alert(
        "web." + key,
        statement,
        on,
        value,
        case.weights.web[key].weight,
        tainted=True,
        technique=technique,
    )
