"""What in a command line points to an attack: a table of expressions, each found in linear time.

An expression runs only when one of its tokens stands in the text. Repetitions are bounded, and none
looks at what follows a match, so that text put behind a command hides nothing.
"""

import re
from typing import NamedTuple


class Sign(NamedTuple):
    """One kind of suspicious command; `code` names its weight in the section `command`."""

    code: str
    what: str  # completes "The command line …"
    technique: str
    tokens: tuple[str, ...]
    pattern: re.Pattern[str]


def _sign(code: str, what: str, technique: str, tokens: str, *patterns: str) -> Sign:
    return Sign(
        code, what, technique, tuple(tokens.split()), re.compile("|".join(patterns), re.DOTALL)
    )


# The text is lower-case, without quotes, carets and backticks, its blanks folded into one.
SIGNS = (
    _sign(
        "attack_tool",
        "names an attack tool",
        "T1588.002",
        "mimikatz rubeus sharphound bloodhound cobaltstrike powersploit powerview meterpreter "
        "msfvenom lazagne crackmapexec netexec secretsdump impacket kerbrute winpeas linpeas "
        "potato printspoofer safetykatz sharpdpapi pypykatz nishang ligolo responder.py sharpup "
        "seatbelt",
        "mimikatz|rubeus|sharphound|bloodhound|cobaltstrike|powersploit|powerview|meterpreter",
        "msfvenom|lazagne|crackmapexec|netexec|secretsdump|impacket|kerbrute|winpeas|linpeas",
        "(?:juicy|god|rogue|sweet)potato|printspoofer|safetykatz|sharpdpapi|pypykatz|nishang",
        r"ligolo|responder\.py|sharpup|seatbelt\.exe",
    ),
    _sign(
        "credential_dump",
        "reads credentials",
        "T1003",
        "sekurlsa lsadump logonpasswords comsvcs lsass ntds save /etc/shadow vaultcmd cmdkey "
        "nanodump dcsync",
        r"sekurlsa|lsadump|logonpasswords|nanodump|dcsync|vaultcmd\s/list|cmdkey\s/list",
        r"comsvcs(?:\.dll)?[,\s]{1,8}(?:minidump|#?\+?24)|procdump.{0,120}lsass|lsass.{0,16}\.dmp",
        r"\breg(?:\.exe)?\ssave\shk(?:lm|ey_local_machine)\\(?:sam|system|security)",
        r"ntdsutil.{0,120}ifm|ntds\.dit|(?:cat|cp|less|tail|head)\s/etc/shadow",
    ),
    _sign(
        "backup_deletion",
        "deletes backups or restore points",
        "T1490",
        "shadow wbadmin bcdedit",
        r"vssadmin(?:\.exe)?\s(?:delete|resize)\sshadow|shadowcopy.{0,80}(?:delete|remove)",
        r"wbadmin(?:\.exe)?\sdelete|diskshadow.{0,80}delete",
        r"bcdedit.{0,120}(?:recoveryenabled\sno|ignoreallfailures)",
    ),
    _sign(
        "reverse_shell",
        "connects a shell to the network",
        "T1059",
        "/dev/tcp bash nc ncat socket sockets.tcpclient mkfifo pty.spawn socat fsockopen",
        r"/dev/tcp/|bash\s-i\s?[>&]|\bnc(?:at|\.exe)?\s.{0,120}\s-(?:e|c|-exec)\s",
        r"socket\.socket.{0,400}(?:subprocess|/bin/(?:ba)?sh|dup2)|net\.sockets\.tcpclient",
        r"mkfifo.{0,120}\bnc|pty\.spawn|socat.{0,120}exec:|fsockopen",
    ),
    _sign(
        "miner",
        "runs a mining program",
        "T1496",
        "xmrig stratum+ donate-level minerd cryptonight",
        r"xmrig|stratum\+(?:tcp|ssl|tls)|--donate-level|\bminerd|cryptonight",
    ),
    _sign(
        "defence_off",
        "switches protection off",
        "T1562.001",
        "mppreference amsi windefend sense mpssvc sysmon firewall setenforce auditd ufw auditctl "
        "falcon iptables",
        r"set-mppreference.{0,200}-disable|add-mppreference.{0,120}-exclusion|amsi(?:utils|initfail)",
        r"\b(?:sc|net|net1)(?:\.exe)?\s(?:stop|config|delete)\s"
        r"(?:windefend|sense|wscsvc|mpssvc|sysmon)",
        r"netsh.{0,40}firewall\sset.{0,80}(?:off|disable)|setenforce\s0|ufw\sdisable",
        r"systemctl\s(?:stop|disable|mask)\s(?:auditd|falcon|firewalld|ufw|wazuh)",
        r"auditctl\s-e\s?0|iptables\s-f",
    ),
    _sign(
        "log_clearing",
        "clears logs",
        "T1070",
        "wevtutil eventlog history /var/log usn histfile",
        r"wevtutil(?:\.exe)?\scl|(?:clear|remove|limit)-eventlog|history\s-c",
        r"(?:rm|shred|truncate)\s.{0,120}/var/log|usn\sdeletejournal|unset\shistfile",
        r"(?:rm|>)\s.{0,40}\.bash_history",
    ),
    _sign(
        "download",
        "fetches something and runs or stores it",
        "T1105",
        "download webclient webrequest restmethod bitstransfer curl wget iwr irm",
        r"download(?:string|file|data)|net\.webclient|invoke-(?:webrequest|restmethod)",
        r"start-bitstransfer|\b(?:iwr|irm)\s.{0,200}\biex|\biex\b.{0,40}\b(?:iwr|irm)",
        r"\b(?:curl|wget)\s[^|;]{0,400}\|\s?(?:sudo\s)?(?:ba|z|k|da)?sh",
        r"\b(?:curl|wget)\s.{0,200}-o\s?.{0,40}(?:/tmp/|/dev/shm/|\\temp\\|%temp%)",
    ),
    _sign(
        "borrowed_binary",
        "lets a system program run foreign code",
        "T1218",
        "regsvr32 rundll32 mshta certutil bitsadmin installutil cmstp odbcconf msiexec mavinject "
        "pcalua msxsl regasm wmic",
        r"regsvr32.{0,120}(?:/i:http|scrobj)|rundll32.{0,120}(?:javascript:|url\.dll|\\temp\\|http)",
        r"mshta(?:\.exe)?\s(?:http|javascript:|vbscript:|\\\\)|msiexec.{0,80}https?:",
        r"certutil.{0,80}-(?:urlcache|decode|encode|verifyctl)|bitsadmin.{0,80}/(?:transfer|addfile)",
        r"installutil.{0,80}/u|cmstp.{0,80}\.inf|odbcconf.{0,80}regsvr|mavinject.{0,80}injectrunning",
        r"pcalua.{0,40}-a|msxsl.{0,80}http|regasm.{0,80}/u|wmic.{0,120}/format:.{0,8}http",
    ),
    _sign(
        "remote_execution",
        "runs a command on another machine",
        "T1021",
        "psexec paexec /node: wmimethod -computername pssession winrs wmiexec smbexec atexec "
        "admin$",
        r"p[as]exec|wmic.{0,120}/node:|invoke-wmimethod|invoke-command.{0,80}-computername",
        r"enter-pssession|\bwinrs(?:\.exe)?\s|wmiexec|smbexec|atexec|\\admin\$",
    ),
    _sign(
        "persistence",
        "arranges to be started again",
        "T1547",
        "schtasks currentversion winlogon service create scheduledtask startup crontab /etc/cron "
        "authorized_keys eventfilter rc.local",
        r"schtasks.{0,60}/create|currentversion\\run|image file execution options|winlogon\\shell",
        r"new-service|\bsc(?:\.exe)?\s.{0,80}\bcreate\s|(?:new|register)-scheduledtask|__eventfilter",
        r"\\programs\\startup|crontab\s-|/etc/cron|authorized_keys|/etc/rc\.local",
    ),
    _sign(
        "account",
        "makes an account or grants it rights",
        "T1136",
        "/add useradd adduser localuser groupmember dsadd",
        r"\bnet1?(?:\.exe)?\s(?:user|localgroup|group)\s.{0,120}/add|useradd\s|adduser\s",
        r"new-localuser|add-(?:localgroup|adgroup)member|dsadd\suser",
    ),
    _sign(
        "exfiltration",
        "packs data or sends them out",
        "T1567",
        "rclone mega transfer.sh curl rar 7z webhook ngrok pastebin",
        r"\brclone(?:\.exe)?\s|megasync|megacmd|transfer\.sh|webhook\.site|/api/webhooks/|ngrok",
        r"curl.{0,200}(?:\s-t\s|--upload-file|\s-f\s.{0,20}@|--data-binary\s@)|pastebin\.com",
        r"\brar(?:\.exe)?\sa\s.{0,120}-hp|\b7za?(?:\.exe)?\sa\s.{0,160}\s-p\S",
    ),
    _sign(
        "discovery",
        "looks over the machine or the domain",
        "T1087",
        "whoami nltest /domain systeminfo quser dsquery adfind get-ad get-domain nmap /etc/passwd",
        r"whoami|nltest(?:\.exe)?\s/|\bnet1?\s.{0,80}/domain|systeminfo|\bquser|dsquery|adfind",
        r"get-ad(?:user|computer|group)|get-domain(?:user|controller|computer)|\bnmap\s|/etc/passwd",
    ),
    _sign(
        "hidden",
        "hides its window or goes round the script policy",
        "T1564.003",
        "hid bypass unrestricted -nop",
        r"[-/]w[a-z]{0,12}\shid|[-/]e[a-z]{0,16}\s(?:bypass|unrestricted)|\s[-/]nop",
    ),
)

# Programs by the beginning of their names.
OFFICE = ("winword", "excel", "powerpnt", "outlook", "onenote", "msaccess", "mspub", "acrord32")
WEB_SERVERS = ("w3wp", "httpd", "apache", "nginx", "tomcat", "php", "node", "java", "caddy")
SHELLS = (
    "cmd",
    "powershell",
    "pwsh",
    "wscript",
    "cscript",
    "mshta",
    "rundll32",
    "regsvr32",
    "bash",
    "sh",
    "dash",
    "zsh",
    "certutil",
    "bitsadmin",
    "whoami",
)
