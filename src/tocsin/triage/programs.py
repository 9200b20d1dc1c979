"""Names of programs: what Windows ships and where, what attackers use, and how names are faked.

A name is found wherever it stands, and nothing looks at what follows it, so that text put around a
name hides nothing. An exemption (“this is the real one”) needs the whole text to be as it should.
"""

import re
from collections.abc import Iterable

from tocsin.triage.commands.text import folded
from tocsin.triage.words import words

# True where they live in the Windows folder itself as well.
SYSTEM_PROGRAMS = {
    **dict.fromkeys(words("system_programs"), False),
    **dict.fromkeys(words("root_programs"), True),
}
_HOME = re.compile(
    r"(?:[a-z]:|%systemdrive%|\\device\\harddiskvolume\d{1,4})?"
    r"(?:\\(?:windows|winnt)|\\?%(?:systemroot|windir)%|\\systemroot)"
    r"(?P<below>\\(?:system32|syswow64|sysnative|sysarm32|winsxs|servicing"
    r"|softwaredistribution|uus|ccm)"
    r"(?:\\[^\\/:\"]{1,100}){0,6})?\\"
)
_STARTS = re.compile(r"[a-z]:\\|%system|%windir|\\systemroot|\\device\\|\\\\\?\\|\\\?\?\\")
_PLACED = re.compile(
    r"(?<=[\\/])(?P<name>" + "|".join(sorted(SYSTEM_PROGRAMS, key=len, reverse=True)) + r")\.exe"
)
_EXECUTABLE = re.compile(r"(?:^|[\\/\s\"':;,=(])([^\\/\s\"':;,=(.]{4,24})\.exe")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"

DOCUMENT_AND_PROGRAM = re.compile(
    r"\.(?:pdf|docx?|docm|xlsx?|xlsm|pptx?|rtf|txt|jpe?g|png|gif|bmp|html?|csv|zip|rar|mp[34]"
    r"|avi|odt)"
    r"[\s_.]{0,64}\.(?:exe|scr|com|pif|bat|cmd|js|jse|vb[se]|wsf|hta|lnk|ps1|jar|iso|img|msi"
    r"|cpl|dll|url)"
)
SPACES_BEFORE_END = re.compile(r"\s{3}[^\\/]{0,8}\.(?:exe|scr|com|pif|bat|cmd|lnk)")
TURNS = re.compile("[\u202d\u202e\u2067]")
WRITABLE = re.compile(
    r"[\\/]te?mp[\\/]|\\appdata\\local\\temp|\\appdata\\roaming\\|\\downloads\\|\\users\\public\\"
    r"|\\perflogs\\|\$recycle\.bin|\\windows\\(?:tasks|debug|fonts|tracing)\\|/dev/shm/|/var/tmp/"
    r"|\\programdata\\[^\\]{1,64}\.|\\desktop\\|/downloads/|/users/shared/"
)
ATTACK_TOOLS = words("attack_tools")
RECON_TOOLS = words("recon_tools")
REMOTE_TOOLS = words("remote_tools")


def strange_place(text: str) -> str:
    """A system program's name in another folder than the system's; empty when there is none.

    `text` is lower-case.
    """
    for hit in _PLACED.finditer(text):
        if not _at_home(text, hit.start(), in_root=SYSTEM_PROGRAMS[hit["name"]]):
            return hit.group()
    return ""


def _at_home(text: str, end: int, *, in_root: bool) -> bool:
    """Whether the path that ends here is the folder of a system program."""
    for start in _STARTS.finditer(text, max(end - 400, 0), end):
        begin = start.start() + (4 if start.group()[:2] in ("\\\\", "\\?") else 0)
        home = _HOME.fullmatch(text, begin, end)
        if home is not None and (home["below"] or in_root):
            return not _WRITABLE_BELOW.search(text, begin, end)
    return False


_WRITABLE_BELOW = re.compile(r"\\(?:temp|tasks|spool|tracing|fonts|debug)\\")


def like_system(text: str) -> str:
    """A name that differs by a letter from a system program's; empty when there is none."""
    for hit in _EXECUTABLE.finditer(text):
        name = hit[1]
        if name in _FAKES or (not name.isascii() and folded(name) in SYSTEM_PROGRAMS):
            return name + ".exe"
    return ""


def disguised(text: str) -> bool:
    """Whether a name pretends to be that of a document."""
    return bool(
        DOCUMENT_AND_PROGRAM.search(text) or SPACES_BEFORE_END.search(text) or TURNS.search(text)
    )


def first_of(words: Iterable[str], text: str) -> str:
    """The first of the words that stands in the text; empty when none does."""
    for word in words:
        if word in text:
            return word
    return ""


def _one_off(name: str) -> set[str]:
    """All names that a wrong, missing, added or swapped letter makes of this one."""
    cuts = [(name[:place], name[place:]) for place in range(len(name) + 1)]
    return {
        *(left + right[1:] for left, right in cuts if right),
        *(left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1),
        *(left + letter + right[1:] for left, right in cuts if right for letter in _LETTERS),
        *(left + letter + right for left, right in cuts for letter in _LETTERS),
    }


_FAKES = (
    frozenset(fake for name in words("named_after") for fake in _one_off(name))
    - frozenset(words("not_imitations"))
    - frozenset(SYSTEM_PROGRAMS)
)
