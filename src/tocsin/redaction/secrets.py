"""Where secrets stand in command lines, URLs and texts: spans, found by shape and by neighbours.

Every expression is bounded or cannot backtrack, so that a hostile text costs linear time.
"""

import re
from collections.abc import Iterator

_WORDS = (
    "pass(?:word|wd|phrase|code)|secret|token|api[-_]?key|access[-_]?key(?:[-_]?id)?|"
    "account[-_]?key|shared[-_]?access[-_]?(?:key|signature)|private[-_]?key|authorization|"
    "credentials?|x-amz-(?:signature|credential)|session[-_]?id|cookie|connection[-_]?string|"
    "(?<![a-z0-9])(?:pass|pwd|auth|sig|session|bearer|otp)"
)
_VALUE = r"(\"[^\"\n]{1,4096}\"|'[^'\n]{1,4096}'|[^\s&;,\"'<>|)\]}]{1,4096})"
_SHAPES = (
    # a private key, with or without its end
    (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
        r"(?:[^-]{0,16384}-----END [A-Z0-9 ]{0,40}-----|[A-Za-z0-9+/=\s\\]{0,16384})"
    ),
    r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{4,8192}(?:\.[A-Za-z0-9_-]{0,4096}){0,3}",  # JWT
    r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{12,32}\b",  # AWS
    r"\bgh[oprsu]_[A-Za-z0-9]{20,255}\b",
    r"\bgithub_pat_[A-Za-z0-9_]{20,255}\b",
    r"\bglpat-[A-Za-z0-9_-]{16,255}\b",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{8,255}\b",  # Slack
    r"\bAIza[A-Za-z0-9_-]{30,40}",  # Google
    r"\bsk-[A-Za-z0-9_-]{16,255}\b",  # model providers
    r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}\b",  # Stripe
    r"\$(?:2[aby]|5|6|y|argon2id?)\$[./A-Za-z0-9$,=+]{16,255}",  # password hashes
    r"\b[a-f0-9]{32}:[a-f0-9]{32}\b",  # LM and NT hash
)
_WHOLE = re.compile("|".join(f"(?:{shape})" for shape in _SHAPES))
# Each has one group: the secret itself.
_NEXT_TO = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # password=…, "token": "…", X-Api-Key: …, PASSWORD := …
        (
            rf"(?:{_WORDS})s?[\"']?\s{{0,3}}(?::=|[:=])\s{{0,3}}"
            rf"(?:(?:bearer|basic|digest|negotiate|ntlm|token)\s+)?{_VALUE}"
        ),
        # Authorization: Bearer …, wherever it stands
        r"(?<![A-Za-z0-9])(?:bearer|basic)\s{1,3}([A-Za-z0-9+/=._~-]{6,4096})",
        # --password …, -pw …, /pass:…, -Credential …
        rf"(?<!\S)(?:--?|/)(?:{_WORDS}|pw|passin|passout|pass|key)[\s:=]{{1,3}}{_VALUE}",
        # sshpass -p …, mysql -p…, plink -pw …, psexec -p …
        (
            r"\b(?:sshpass|mysql|mysqldump|mysqladmin|mariadb|psexec(?:64)?|plink|smbclient|xfreerdp|"
            rf"winexe|wmic|cmdkey|rar|7z|zip)\b[^\n|;&]{{0,400}}?\s[-/](?:p|P|hp|pass:)\s?{_VALUE}"
        ),
        # net user NAME PASSWORD, net use X: \\HOST\SHARE PASSWORD
        r"\bnet1?(?:\.exe)?\s+user\s+(?:\"[^\"]{1,256}\"|[^\s/]{1,256})\s+([^\s/*]{1,256})",
        r"\bnet1?(?:\.exe)?\s+use\s+[^\n|;&]{0,400}?\\\\[^\s\\]{1,256}\\\S{1,256}\s+([^\s/*]{1,256})",
        # curl -u NAME:PASSWORD, --user NAME:PASSWORD, smbclient -U NAME%PASSWORD
        (
            r"(?<!\S)(?:-u|-U|--user|--proxy-user|--http-user)[\s=]{1,3}[\"']?[^\s:%\"']{1,256}[:%]"
            r"([^\s\"']{1,1024})"
        ),
        # scheme://NAME:PASSWORD@HOST
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,256}:([^\s/@\"']{1,1024})@",
        # ConvertTo-SecureString '…' -AsPlainText
        rf"\bconvertto-securestring\s+(?:-string\s+)?{_VALUE}",
        # echo … | sudo -S
        rf"\becho\s+{_VALUE}\s*\|\s*sudo\b",
    )
)
LEAST = 3  # characters; shorter values hide nothing and would tear texts to pieces
_HARMLESS = frozenset(
    {"true", "false", "null", "none", "yes", "no", "nil", "success", "failure", "failed", "invalid"}
)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text: start and end, in no order; they may overlap."""
    for match in _WHOLE.finditer(text):
        yield match.span()
    for pattern in _NEXT_TO:
        for match in pattern.finditer(text):
            start, end = match.span(1)
            if text[start] in "\"'" and end - start > 1 and text[end - 1] == text[start]:
                start, end = start + 1, end - 1
            if end - start >= LEAST and text[start:end].lower() not in _HARMLESS:
                yield start, end
