"""What processes, their places and their parents are found to show."""

import pytest
from tests.unit.triage_fields import alert, evidence_of, shown, started

from tocsin.knowledge import attack
from tocsin.model import ParentProcess, Process

SYSTEM32 = "C:\\Windows\\System32\\"


@pytest.mark.parametrize(
    ("name", "parent", "child"),
    [
        ("office_child", "WINWORD.EXE", "powershell.exe"),
        ("office_child", "C:\\Program Files\\Office\\EXCEL.EXE", SYSTEM32 + "cmd.exe"),
        ("office_child", "C:\\Program Files\\Adobe\\Reader\\AcroRd32.exe", SYSTEM32 + "cmd.exe"),
        ("office_child", "C:\\Program Files\\Office\\OUTLOOK.EXE", SYSTEM32 + "mshta.exe"),
        ("web_child", "w3wp.exe", "cmd.exe"),
        ("web_child", "/usr/sbin/nginx", "/bin/bash"),
        ("web_child", "/usr/sbin/php-fpm", "/bin/sh"),
        ("runtime_child", "C:\\Program Files\\nodejs\\node.exe", SYSTEM32 + "cmd.exe"),
        ("database_child", "C:\\Program Files\\MSSQL\\sqlservr.exe", SYSTEM32 + "cmd.exe"),
        ("database_child", "/usr/lib/postgresql/bin/postgres", "/bin/sh"),
        ("browser_child", "C:\\Program Files\\Google\\chrome.exe", SYSTEM32 + "mshta.exe"),
        ("management_child", SYSTEM32 + "wbem\\WmiPrvSE.exe", SYSTEM32 + "cmd.exe"),
        ("service_child", SYSTEM32 + "services.exe", SYSTEM32 + "cmd.exe"),
        ("script_child", SYSTEM32 + "wscript.exe", SYSTEM32 + "powershell.exe"),
        ("scheduler_child", "/usr/sbin/cron", "/bin/sh"),
        ("logon_child", SYSTEM32 + "utilman.exe", SYSTEM32 + "cmd.exe"),
        ("chat_child", "C:\\Users\\a\\Teams.exe", SYSTEM32 + "cmd.exe"),
        ("strange_parent", SYSTEM32 + "cmd.exe", SYSTEM32 + "svchost.exe"),
        ("strange_parent", "C:\\Windows\\explorer.exe", SYSTEM32 + "lsass.exe"),
        ("strange_parent", "C:\\x\\services.exe", SYSTEM32 + "svchost.exe"),
    ],
)
def test_a_parent_without_business_is_recognised(name: str, parent: str, child: str) -> None:
    item = started(parent, child)["process." + name]
    assert item.tainted
    assert item.pointer == "alerts/0195-d#/process/parent/executable"
    assert attack.technique(item.technique or "")


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("C:\\Windows\\explorer.exe", SYSTEM32 + "cmd.exe"),
        (SYSTEM32 + "services.exe", SYSTEM32 + "svchost.exe"),
        ("services.exe", "svchost.exe"),
        ("wininit.exe", "lsass.exe"),
        (SYSTEM32 + "svchost.exe", SYSTEM32 + "taskhostw.exe"),
        ("C:\\Program Files\\Windows Defender\\MsMpEng.exe", SYSTEM32 + "svchost.exe"),
        ("/usr/sbin/sshd", "/bin/bash"),
        ("/usr/lib/systemd/systemd", "/usr/sbin/nginx"),
        ("C:\\Program Files\\Office\\WINWORD.EXE", "C:\\Program Files\\Office\\splwow64x.exe"),
        ("-", SYSTEM32 + "svchost.exe"),
        ("C:\\Program Files\\Java tools\\ide.exe", SYSTEM32 + "notepad.exe"),
    ],
)
def test_an_ordinary_parent_shows_nothing(parent: str, child: str) -> None:
    process = Process(executable=child, parent=ParentProcess(executable=parent))
    assert shown(alert(process=process), "process.") == {}


@pytest.mark.parametrize(
    ("name", "executable"),
    [
        ("strange_place", "C:\\Users\\alice\\Downloads\\svchost.exe"),
        ("strange_place", "C:\\Windows\\svchost.exe"),
        ("strange_place", "C:\\Windows\\Temp\\lsass.exe"),
        ("strange_place", "C:\\Users\\x\\Windows\\System32\\svchost.exe"),
        ("strange_place", "\\Device\\HarddiskVolume3\\x\\cmd.exe"),
        ("like_system", "C:\\Windows\\System32\\svch0st.exe"),
        ("like_system", "C:\\Windows\\System32\\scvhost.exe"),
        ("like_system", "C:\\Windows\\System32\\lsasss.exe"),
        ("like_system", "C:\\Windows\\System32\\ѕvchost.exe"),
        ("disguised_name", "C:\\Users\\a\\invoice.pdf.exe"),
        ("disguised_name", "C:\\Users\\a\\Ann\u202egepj.exe"),
        ("disguised_name", "C:\\Users\\a\\report      .exe"),
        ("writable_place", "C:\\Users\\Public\\a.exe"),
        ("writable_place", "/dev/shm/a"),
        ("attack_tool", "C:\\x\\mimikatz.exe"),
    ],
)
def test_a_name_or_place_that_deceives_is_recognised(name: str, executable: str) -> None:
    item = evidence_of(alert(process=Process(executable=executable)))["process." + name]
    assert item.tainted
    assert attack.technique(item.technique or "")


@pytest.mark.parametrize(
    "executable",
    [
        "C:\\Windows\\System32\\svchost.exe",
        "c:\\windows\\syswow64\\rundll32.exe",
        "\\Device\\HarddiskVolume3\\Windows\\System32\\cmd.exe",
        "%SystemRoot%\\System32\\cmd.exe",
        "\\SystemRoot\\System32\\smss.exe",
        "C:\\Windows\\explorer.exe",
        "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
        "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe",
        "C:\\Windows\\WinSxS\\amd64_x_1.0_none_1\\explorer.exe",
        "C:\\Program Files\\Example\\service.exe",
        "C:\\Users\\alice\\AppData\\Local\\Programs\\Code\\Code.exe",
        "/usr/bin/python3",
    ],
)
def test_programs_at_home_show_nothing(executable: str) -> None:
    assert shown(alert(process=Process(executable=executable)), "process.") == {}
