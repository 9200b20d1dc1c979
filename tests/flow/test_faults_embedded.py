"""A full disk and a clock that jumps under one process on SQLite."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flow.questions import has_no_trouble, query
from tests.flow.test_services import alert
from tests.servers import Server, serving

from tocsin.pipeline import FOLLOW_UPS

QUICK = {"sweep_interval": "1", "sweep_after": "2"}
HOUR = 3600


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "fault.json"


@pytest.fixture
def spoilable(tmp_path: Path, control: Path) -> Iterator[Server]:
    module = ("tests.faulty", str(control))
    with serving(tmp_path / "data", module=module, **QUICK) as server:
        yield server


def send(server: Server, numbers: range) -> list[str]:
    """Alerts in batches of 50, until one is not accepted."""
    ids: list[str] = []
    with server.client() as client:
        for start in range(numbers.start, numbers.stop, 50):
            body = [alert(number) for number in range(start, start + 50)]
            answer = client.post("/api/v1/alerts", json=body)
            if answer.status_code != 202:
                assert answer.status_code == 503, answer.text
                break
            ids += [sent["alert_id"] for sent in answer.json()["alerts"]]
    return ids


def is_whole(server: Server, ids: list[str]) -> None:
    for table in ("alerts", "triage_results"):
        stored = [row[0] for row in query(server.database, f"SELECT alert_id FROM {table}")]
        assert sorted(stored) == sorted(ids), table
    waiting = query(server.database, "SELECT step FROM alert_work")
    assert {row[0] for row in waiting} <= FOLLOW_UPS
    has_no_trouble(server)


def test_a_full_disk_is_answered_503_and_work_goes_on_when_there_is_room(
    spoilable: Server, control: Path
) -> None:
    ids = send(spoilable, range(2000))
    control.write_text(json.dumps({"full": True}))
    time.sleep(0.2)
    ids += send(spoilable, range(10_000, 40_000))
    with spoilable.client() as client:
        refused = client.post("/api/v1/alerts", json=[alert(n) for n in range(50_000, 51_000)])
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "10"
    assert "no room" in refused.json()["detail"]
    time.sleep(2)
    control.unlink()
    started = time.monotonic()
    ids += send(spoilable, range(60_000, 60_100))
    spoilable.settle(60)
    print(f"{len(ids)} alerts, caught up in {time.monotonic() - started:.1f} s")
    assert len(ids) > 2000
    is_whole(spoilable, ids)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_jumps_holds_nothing_up(spoilable: Server, control: Path, jump: int) -> None:
    ids = send(spoilable, range(1000))
    control.write_text(json.dumps({"clock": jump}))
    ids += send(spoilable, range(1000, 2000))
    spoilable.settle(30)
    control.unlink()
    ids += send(spoilable, range(2000, 3000))
    spoilable.settle(30)
    is_whole(spoilable, ids)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_what_was_written_before_a_jump_is_taken_up_after_a_restart(
    tmp_path: Path, control: Path, jump: int
) -> None:
    module = ("tests.faulty", str(control))
    control.write_text(json.dumps({"clock": jump}))
    with serving(tmp_path / "data", module=module, **QUICK) as before:
        ids = send(before, range(3000))
        before.kill()
    control.unlink()
    with serving(tmp_path / "data", module=module, **QUICK) as after:
        after.settle(30)
        is_whole(after, ids)
