"""Where secrets stand in command lines, URLs and texts: spans, found by shape and by neighbours.

Every expression is bounded or cannot backtrack, so that a hostile text costs linear time.
"""

import re
from collections.abc import Iterator

_WORDS = (
    "pass(?:word|wd|phrase|code)|secret|token|api[-_]?key|access[-_]?key(?:[-_]?id)?|"
    "account[-_]?key|shared[-_]?access[-_]?(?:key|signature)|private[-_]?key|authorization|"
    "credentials?|x-amz-(?:signature|credential)|session[-_]?id|cookie|connection[-_]?string|"
    "(?<![a-z0-9])(?:pass|pwd|pw|auth|sig|session|bearer|otp)"
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
    r"\b(?:npm|hf|dckr_pat|dop_v1)_[A-Za-z0-9_-]{16,255}",  # npm, Hugging Face, Docker
    r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}",  # SendGrid
    r"\b(?:hvs|hvb|s)\.[A-Za-z0-9_-]{20,255}",  # Vault
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
        # docker login -u NAME -p SECRET, evil-winrm, sqlcmd -U … -P …; a number is a port
        (
            r"(?<!\S)(?:-u|-l|--user(?:name)?)[\s=]{1,3}\S{1,256}[^\n|;&]{0,200}?\s-p\s?"
            rf"(?!\d{{1,5}}(?!\S)){_VALUE}"
        ),
        # ldapsearch -w …, redis-cli -a …, openssl … -k …, schtasks /rp …
        rf"\bldap(?:search|modify|add|delete|whoami)\b[^\n|;&]{{0,400}}?\s-w\s?{_VALUE}",
        rf"\bredis-cli\b[^\n|;&]{{0,400}}?\s-a\s?{_VALUE}",
        rf"\bopenssl\b[^\n|;&]{{0,400}}?\s-k\s{{1,3}}{_VALUE}",
        rf"\bschtasks\b[^\n|;&]{{0,400}}?\s/rp\s{{1,3}}{_VALUE}",
        # htpasswd -b FILE NAME PASSWORD, aws configure set aws_secret_access_key SECRET
        rf"\bhtpasswd\s+-[A-Za-z]{{0,8}}b[A-Za-z]{{0,8}}\s+\S{{1,256}}\s+\S{{1,256}}\s+{_VALUE}",
        rf"\baws_(?:secret_access_key|session_token)\s{{1,3}}{_VALUE}",
        # reg add … /v DefaultPassword … /d PASSWORD
        rf"\breg\b[^\n|;&]{{0,400}}?password\b[^\n|;&]{{0,200}}?\s/d\s{{1,3}}{_VALUE}",
        # DOMAIN/NAME:PASSWORD@HOST, as tools for Windows' networks are told it
        (
            r"(?<![^\s\"'])(?!(?:mailto|sips?|acct|xmpp):)(?:[\w.-]{1,64}[/\\])?[\w.$-]{1,64}:"
            r"(?!//)([^\s@\"']{3,256})@(?=[\w.-]{1,253})"
        ),
        # chat services that take messages from whoever knows the path
        r"\bhooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{8,255})",
        r"\bdiscord(?:app)?\.com/api/webhooks/([0-9]{8,32}/[A-Za-z0-9_-]{8,255})",
        # scheme://NAME:PASSWORD@HOST
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,256}:([^\s/@\"']{1,1024})@",
        # ConvertTo-SecureString '…' -AsPlainText, '…' | ConvertTo-SecureString
        rf"\bconvertto-securestring\s+(?:-string\s+)?(?!-){_VALUE}",
        r"(\"[^\"\n]{1,4096}\"|'[^'\n]{1,4096}')\s{0,3}\|\s{0,3}convertto-securestring\b",
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
