"""What came shortly before an alert, by the clock of the events themselves.

One process remembers the last hour of what it has worked on. Replicas each see their own share, and
a start forgets; what was seen is stored with the alert, so a verdict can be worked out again.
"""

from collections import OrderedDict, deque

from tocsin.context.keys import NO_ALERT, address_text, lowered, rule_of
from tocsin.model import Activity, Dossier
from tocsin.model.incident import moment

WINDOW = 3600.0  # seconds
MOST_HOSTS = 20_000
MOST_PAIRS = 100_000  # of a rule and a machine whose last time is remembered
MOST_TIMES = 5_000  # of one machine; beyond it, counts stand still


class Window:
    """The times of one subject's alerts within the last hour, with the rule of each."""

    __slots__ = ("_counts", "_times")

    def __init__(self) -> None:
        self._times: deque[tuple[float, str]] = deque()
        self._counts: dict[str, int] = {}

    def before(self, now: float, rule: str) -> tuple[int, int, int]:
        """How many alerts of this rule, how many in all, and how many other rules.

        A clock that jumps back by more than the window begins anew: it is another recording.
        """
        times, counts = self._times, self._counts
        if times and times[-1][0] > now + WINDOW:
            times.clear()
            counts.clear()
        oldest = now - WINDOW
        while times and times[0][0] < oldest:
            _, gone = times.popleft()
            if counts[gone] == 1:
                del counts[gone]
            else:
                counts[gone] -= 1
        of_rule = counts.get(rule, 0)
        return of_rule, len(times), len(counts) - (of_rule > 0)

    def add(self, now: float, rule: str) -> None:
        """Remember one alert."""
        if len(self._times) < MOST_TIMES:
            self._times.append((now, rule))
            self._counts[rule] = self._counts.get(rule, 0) + 1


class RecentActivity:
    """The last hour of every machine, the least used ones forgotten first."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, Window] = OrderedDict()
        self._everywhere = Window()
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()

    def observe(self, dossier: Dossier) -> Activity:
        """What came before this alert, which then counts for the next."""
        alert = dossier.alert or NO_ALERT
        now = moment(alert.event.time, dossier.received_at).timestamp()
        rule = rule_of(dossier) or alert.title[:128]
        machine = alert.host
        host = (
            lowered(machine.name)
            or lowered(machine.id)
            or address_text(machine.ip)
            or address_text(alert.source.ip)
        )
        _, everywhere, _ = self._everywhere.before(now, "")
        self._everywhere.add(now, "")
        if not host:
            return Activity(everywhere=everywhere)
        window = self._hosts.get(host)
        if window is None:
            window = self._hosts[host] = Window()
            if len(self._hosts) > MOST_HOSTS:
                self._hosts.popitem(last=False)
        else:
            self._hosts.move_to_end(host)
        of_rule, on_host, rules = window.before(now, rule)
        window.add(now, rule)
        return Activity(
            rule=of_rule,
            host=on_host,
            everywhere=everywhere,
            rules=rules,
            since=self._since((rule, host), now),
        )

    def _since(self, pair: tuple[str, str], now: float) -> float | None:
        last = self._last.pop(pair, None)
        self._last[pair] = now
        if len(self._last) > MOST_PAIRS:
            self._last.popitem(last=False)
        return None if last is None or last > now else round(now - last, 3)
