"""Alerts to measure with: six formats, values that differ, nothing random."""

import json
from typing import Any

MIX = ("suricata", "suricata", "suricata", "wazuh", "windows", "cef", "guardduty", "generic")


def alert(number: int) -> dict[str, Any]:
    """The alert of this number; the mix is 3/8 Suricata and 1/8 of each other format."""
    return _MAKERS[MIX[number % len(MIX)]](number)


def batch(start: int, count: int) -> bytes:
    """A JSON array of consecutive alerts."""
    return json.dumps([alert(number) for number in range(start, start + count)]).encode()


def _time(number: int) -> str:
    seconds = number // 50
    return (
        f"2026-03-{1 + seconds // 86400 % 28:02}T{seconds // 3600 % 24:02}:"
        f"{seconds // 60 % 60:02}:{seconds % 60:02}.{number % 50 * 20000:06}"
    )


def _inside(number: int) -> str:
    return f"10.20.{number // 200 % 20}.{number % 200 + 1}"


def _outside(number: int) -> str:
    return f"198.51.100.{number * 7 % 250 + 1}"


def _suricata(n: int) -> dict[str, Any]:
    return {
        "timestamp": _time(n) + "+0000",
        "flow_id": 10_000_000 + n,
        "in_iface": "eth0",
        "event_type": "alert",
        "src_ip": _inside(n),
        "src_port": 1024 + n % 60000,
        "dest_ip": _outside(n),
        "dest_port": 80,
        "proto": "TCP",
        "app_proto": "http",
        "alert": {
            "action": "allowed",
            "gid": 1,
            "signature_id": 2_010_000 + n % 150,
            "rev": 3,
            "signature": f"ET POLICY Example outbound request pattern {n % 150}",
            "category": "Potentially Bad Traffic",
            "severity": 1 + n % 3,
        },
        "http": {
            "hostname": f"www{n % 90}.example.com",
            "url": f"/download/{n}/file.bin?id={n}",
            "http_user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
            "http_method": "GET",
            "protocol": "HTTP/1.1",
            "status": 200,
            "length": 1200 + n % 900,
        },
        "flow": {"pkts_toserver": 4, "pkts_toclient": 3, "bytes_toserver": 640,
                 "bytes_toclient": 1800, "start": _time(n) + "+0000"},
    }  # fmt: skip


def _wazuh(n: int) -> dict[str, Any]:
    return {
        "timestamp": _time(n)[:23] + "+0000",
        "rule": {
            "level": 5 + n % 8,
            "description": "sshd: authentication failed.",
            "id": str(5700 + n % 40),
            "firedtimes": n % 10,
            "mail": False,
            "groups": ["syslog", "sshd", "authentication_failed"],
            "mitre": {"id": ["T1110.001"], "tactic": ["Credential Access"]},
        },
        "agent": {"id": f"{n % 400:03}", "name": f"srv-{n % 400}", "ip": _inside(n)},
        "manager": {"name": "wazuh.example.com"},
        "id": f"1772600000.{n}",
        "full_log": f"Mar  4 10:00:00 srv-{n % 400} sshd[{n % 30000}]: Failed password for "
        f"user{n % 300} from {_outside(n)} port {1024 + n % 60000} ssh2",
        "decoder": {"name": "sshd"},
        "data": {"srcip": _outside(n), "srcport": str(1024 + n % 60000),
                 "dstuser": f"user{n % 300}"},
        "location": "/var/log/auth.log",
    }  # fmt: skip


def _windows(n: int) -> dict[str, Any]:
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": _time(n) + "Z"}},
                "EventRecordID": n,
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Computer": f"pc-{n % 400}.example.com",
            },
            "EventData": {
                "UtcTime": _time(n)[:23].replace("T", " "),
                "ProcessId": 1000 + n % 9000,
                "Image": "C:\\Windows\\System32\\cmd.exe",
                "CommandLine": f'cmd.exe /c "dir C:\\Users\\user{n % 300}\\{n}"',
                "User": f"EXAMPLE\\user{n % 300}",
                "Hashes": f"SHA256={n % 500:064X}",
                "ParentImage": "C:\\Windows\\explorer.exe",
                "ParentCommandLine": "C:\\Windows\\explorer.exe",
                "ParentProcessId": 900,
            },
        },
        "sigma": {
            "id": f"00000000-0000-4000-8000-{n % 60:012}",
            "title": f"Example suspicious shell pattern {n % 60}",
            "level": ("low", "medium", "high")[n % 3],
            "tags": ["attack.execution", "attack.t1059.003"],
        },
    }


def _cef(n: int) -> dict[str, Any]:
    return {
        "message": f"CEF:0|Example|Firewall|7.1|{100 + n % 40}|Connection denied by policy|"
        f"{n % 10}|rt=1772600000{n % 1000:03} src={_outside(n)} spt={1024 + n % 60000} "
        f"dst={_inside(n)} dpt=22 proto=TCP act=blocked suser=user{n % 300} "
        f"dhost=srv-{n % 400}.example.com cnt=1"
    }


def _guardduty(n: int) -> dict[str, Any]:
    return {
        "schemaVersion": "2.0",
        "accountId": "123456789012",
        "region": "eu-central-1",
        "id": f"{n:032x}",
        "type": "UnauthorizedAccess:EC2/SSHBruteForce",
        "severity": 2 + n % 6,
        "createdAt": _time(n)[:19] + "Z",
        "updatedAt": _time(n)[:19] + "Z",
        "title": f"198.51.100.7 is performing SSH brute force attacks against i-{n % 400:017x}.",
        "description": "An instance has been involved in SSH brute force attacks.",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {
                "instanceId": f"i-{n % 400:017x}",
                "networkInterfaces": [{"privateIpAddress": _inside(n)}],
            },
        },
        "service": {
            "serviceName": "guardduty",
            "count": n % 9,
            "action": {
                "actionType": "NETWORK_CONNECTION",
                "networkConnectionAction": {
                    "connectionDirection": "INBOUND",
                    "protocol": "TCP",
                    "localPortDetails": {"port": 22, "portName": "SSH"},
                    "remotePortDetails": {"port": 1024 + n % 60000, "portName": "Unknown"},
                    "remoteIpDetails": {"ipAddressV4": _outside(n)},
                },
            },
        },
    }


def _generic(n: int) -> dict[str, Any]:
    return {
        "alert_type": "malware",
        "severity": ("low", "medium", "high")[n % 3],
        "title": f"Connection {n} to a watched address",
        "timestamp": _time(n) + "Z",
        "source_ip": _inside(n),
        "destination_ip": _outside(n),
        "asset_id": f"PC-{n % 400}",
        "user_name": f"user{n % 300}",
        "file_hash": f"{n % 500:064x}",
        "rule_id": f"R-{n % 40}",
    }


_MAKERS = {
    "suricata": _suricata,
    "wazuh": _wazuh,
    "windows": _windows,
    "cef": _cef,
    "guardduty": _guardduty,
    "generic": _generic,
}
