"""What a file's name and place show. Attackers choose both, so all of it raises."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.programs import (
    ATTACK_TOOLS,
    DOCUMENT_AND_PROGRAM,
    RECON_TOOLS,
    REMOTE_TOOLS,
    SPACES_BEFORE_END,
    TURNS,
    WRITABLE,
    first_of,
    strange_place,
)
from tocsin.triage.words import any_of, words

CACHED_LENGTH = 512

_PROGRAM = re.compile(
    r"\.(?:exe|dll|scr|com|pif|bat|cmd|jse?|vb[se]|hta|ps1|lnk|jar|wsf|cpl|sys|msi|elf|sh|so)"
)
_SCRIPT = re.compile(r"\.(?:hta|jse|vb[se]|wsf|scr|pif|ps1|sct|wsc|cpl|xll|jar|reg|chm)")
_LURE = re.compile(
    r"\.(?:iso|img|vhdx?|lnk|one|onepkg|url|library-ms|search-ms|settingcontent-ms|rdp|docm|xlsm"
    r"|xlam|dotm|pptm|ppam|slk|iqy|svg|msc|appinstaller|msix|ace|html?\.zip|pdf\.zip)"
)
_DUMP = re.compile(
    r"lsass.{0,24}\.(?:dmp|mdmp|zip|raw|bin|7z)|(?:^|[\\/])(?:lsass|memory)\.dmp|debug\.out"
    r"|procdump.{0,24}\.dmp|minidump.{0,24}\.dmp|dumpert"
)
_STORE = re.compile(
    r"ntds\.dit|[\\/](?:sam|security|system)(?:\.(?:sav[e]?|hiv[e]?|bak|dmp|txt)|_?(?:hive"
    r"|save|bak|dump))"
    r"|\.kirbi|\.ccache|\.kdbx|\\login data|/login data|logins\.json|key4\.db"
    r"|\.aws[\\/]credentials|\.kube[\\/]config|\.ssh[\\/]id_|\.git-credentials|/etc/shadow"
    r"|\.docker[\\/]config\.json|application_default_credentials|login\.keychain|wallet\.dat"
)
_WEB_ROOT = re.compile(
    r"(?:inetpub\\wwwroot|\\htdocs\\|/var/www/|/htdocs/|webapps[\\/]|\\frontend\\httpproxy"
    r"|/public_html/"
    r"|\\template\\layouts\\|wp-content/uploads).{0,400}\.(?:aspx?|ashx|asmx|jspx?|php\d?"
    r"|phtml|cfm|war)",
    re.DOTALL,
)
# What counts most for the impact stands first, because the first one that fits is told.
_STARTED = (
    ("/etc/pam.d/", "T1556.003"),
    ("/etc/sudoers", "T1548.003"),
    ("\\programs\\startup\\", "T1547.001"),
    ("/.config/autostart/", "T1547.013"),
    ("/etc/systemd/system/", "T1543.002"),
    ("/lib/systemd/system/", "T1543.002"),
    ("/library/launchagents/", "T1543.001"),
    ("/library/launchdaemons/", "T1543.004"),
    ("authorized_keys", "T1098.004"),
    ("/etc/ld.so.preload", "T1574.006"),
    ("/etc/rc.local", "T1037.004"),
    ("/etc/init.d/", "T1037.004"),
    ("/etc/profile.d/", "T1546.004"),
    ("/.bashrc", "T1546.004"),
    ("/.bash_profile", "T1546.004"),
    ("/.zshrc", "T1546.004"),
    ("microsoft.powershell_profile.ps1", "T1546.013"),
    ("\\windowspowershell\\v1.0\\profile.ps1", "T1546.013"),
    ("\\apppatch\\custom", "T1546.011"),
    ("\\word\\startup\\", "T1137.006"),
    ("\\excel\\xlstart\\", "T1137.006"),
    ("\\windows\\system32\\tasks\\", "T1053.005"),
    ("\\windows\\tasks\\", "T1053.005"),
    ("/etc/cron", "T1053.003"),
    ("/var/spool/cron", "T1053.003"),
)
_RANSOM = re.compile(
    r"(?:how|readme|read_me|recover|restore|decrypt|unlock|ransom).{0,24}(?:decrypt|files"
    r"|recover|restore|note|instruct)"
    r".{0,24}\.(?:txt|html?|hta|bmp|png)|!{2,}.{0,24}readme|_readme\.txt|ransom"
    r"|\.(?:locked|encrypted|crypted|lockbit|blackcat|ryuk|conti|wncry|wnry|akira|clop|medusa"
    r"|cerber|locky|phobos)"
)
_MISSING = words("missing_libraries")
_SYSTEM_FILE = re.compile(r"(?<=[\\/])(?:" + any_of("system_libraries") + r")\.(?:dll|cpl)")
_OWN_PLACES = re.compile(r"[a-z]:\\(?:windows\\|program files|\$windows|msocache\\)")
_ODD = re.compile(
    r"\\recyclers?\.bin\\|\\recycler\\|\$recycle\.bin\\|\\perflogs\\|\\users\\(?:public|default)\\"
    r"|\\system volume information\\|\\windows\\(?:fonts|debug|tracing|media|help)\\|/dev/shm/"
    r"|\\intel\\logs\\|/\.{2,}/|/\. /"
)

_SIGNS = (
    ("double_extension", "pretends to be a document", "T1036.007", DOCUMENT_AND_PROGRAM.search),
    ("double_extension", "hides how it ends", "T1036.007", SPACES_BEFORE_END.search),
    ("reordered", "has a sign in its name that turns the writing", "T1036.002", TURNS.search),
    ("script", "is of a kind that attackers like to send", "T1204.002", _SCRIPT.search),
    ("lure", "is of a kind that carries programs past filters", "T1204.002", _LURE.search),
    ("memory_dump", "holds the memory of a process with credentials", "T1003.001", _DUMP.search),
    ("credential_store", "is a store of passwords or keys", "T1003", _STORE.search),
    ("web_shell", "is a script where a web server runs it", "T1505.003", _WEB_ROOT.search),
    ("ransom", "is named like what ransomware leaves", "T1486", _RANSOM.search),
)


def files(case: Case) -> Sequence[Evidence]:
    """A file that pretends to be another, a program where none belongs, or what attackers leave."""
    file = case.alert.file
    if not file.name and not file.path:
        return ()
    found: dict[str, Evidence] = {}
    for path, value in (("/file/path", file.path), ("/file/name", file.name)):
        if not value:
            continue
        kept = len(value) <= CACHED_LENGTH
        for key, what, technique in (_cached if kept else _shows)(value.lower()):
            if key not in found:
                found[key] = case.on_alert(
                    "file." + key,
                    "The file " + quoted(value, 80) + " " + what + ".",
                    path,
                    value,
                    case.weights.file[key].weight,
                    tainted=True,
                    technique=technique,
                )
    return list(found.values())


def _shows(text: str) -> tuple[tuple[str, str, str], ...]:
    found = [(key, what, technique) for key, what, technique, shows in _SIGNS if shows(text)]
    if _PROGRAM.search(text):
        if WRITABLE.search(text):
            what = "is a program in a folder for temporary or shared files"
            found.append(("temporary_program", what, "T1204.002"))
        if _ODD.search(text):
            found.append(("odd_folder", "is a program in a folder that holds none", "T1036.005"))
    for place, technique in _STARTED:
        if place in text:
            found.append(("autostart", "lies where the system starts it by itself", technique))
            break
    found += _of_names(text)
    return tuple(found)


def _of_names(text: str) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    if tool := first_of(ATTACK_TOOLS, text):
        found.append(("attack_tool", "has the name of an attack tool (" + tool + ")", "T1588.002"))
    if tool := first_of(RECON_TOOLS, text):
        found.append(("recon_tool", "belongs to a scanner or dumper (" + tool + ")", "T1046"))
    if tool := first_of(REMOTE_TOOLS, text):
        found.append(
            ("remote_tool", "belongs to a tool for remote control (" + tool + ")", "T1219")
        )
    name = strange_place(text) or _strange_library(text)
    if name:
        what = "has the name of the system's " + quoted(name, 40) + " and lies elsewhere"
        found.append(("strange_place", what, "T1574.001"))
    if library := first_of(_MISSING, text):
        what = "is a library, " + library + ", that the system looks for and does not have"
        found.append(("system_library", what, "T1574.001"))
    return found


def _strange_library(text: str) -> str:
    """A library of the system's name on a drive, outside the folders of system and programs."""
    for hit in _SYSTEM_FILE.finditer(text):
        drive = text.rfind(":\\", max(hit.start() - 400, 0), hit.start())
        if drive > 0 and not _OWN_PLACES.match(text, drive - 1):
            return hit.group()
    return ""


_cached = lru_cache(maxsize=4096)(_shows)
