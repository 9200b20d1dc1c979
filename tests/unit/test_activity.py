"""What came in the hour before an alert, by the clocks of events."""

from datetime import UTC, datetime, timedelta

from tocsin.context.activity import RecentActivity
from tocsin.model import Alert, Dossier, Event, Host

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def dossier(minute: float, *, received: float | None = None) -> Dossier:
    at = NOON + timedelta(minutes=minute)
    arrived = at if received is None else NOON + timedelta(minutes=received)
    alert = Alert(title="a rule", event=Event(time=at), host=Host(name="ws-1"))
    return Dossier(alert_id="a", received_at=arrived, payload="{}", alert=alert)


def test_an_hour_is_remembered_by_machine_and_rule() -> None:
    recent = RecentActivity()
    assert recent.observe(dossier(0)).host == 0
    assert recent.observe(dossier(30)).rule == 1
    later = recent.observe(dossier(75))
    assert (later.rule, later.host, later.since) == (1, 1, 45 * 60.0)


def test_a_time_in_the_future_does_not_empty_the_memory() -> None:
    recent = RecentActivity()
    recent.observe(dossier(0))
    recent.observe(dossier(60 * 24 * 365, received=1))
    assert recent.observe(dossier(2)).host == 2


def test_a_recording_of_another_day_begins_anew() -> None:
    recent = RecentActivity()
    recent.observe(dossier(60 * 24))
    assert recent.observe(dossier(0)).host == 0
