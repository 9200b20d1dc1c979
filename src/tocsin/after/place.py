"""Which incident an alert goes into: the strongest links first, within bounds.

The links of a batch are worked on in the order of their strength, whatever the order of the
alerts. Across batches the order of arrival shows in three places: where an incident is full or
would span too long, where two incidents are not tied strongly enough to become one, and where an
alert could have gone into either of two.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from tocsin.model import Disposition, Link, RiskLevel
from tocsin.ports import Extent, Move, Placed

MOST_ALERTS = 300
LONGEST = timedelta(days=14)
MERGING = 0.6  # a link that makes one incident out of two
SMALL = 5  # alerts up to which one link is enough
STRONG = 0.5  # … or a link of this strength; else two alerts of the incident must be tied to it
SERIOUS = frozenset({RiskLevel.HIGH, RiskLevel.CRITICAL})


def place(
    links: Mapping[str, Sequence[Link]],
    placed: Mapping[str, Placed],
    extents: Mapping[str, Extent],
    parted: Collection[tuple[str, str]],
) -> list[Move]:
    """See `ports.Grouping.place`."""
    state = _State(links, placed, extents, parted)
    edges: dict[tuple[str, str], tuple[str, Link]] = {}
    for alert_id, tied in sorted(links.items()):
        for link in tied:
            if link.alert_id in placed:
                edges.setdefault(_pair(alert_id, link.alert_id), (alert_id, link))
    for (one, two), (alert_id, link) in sorted(
        edges.items(), key=lambda item: (-item[1][1].score, item[0])
    ):
        state.tie(one, two, alert_id, link)
    for alert_id in sorted(links):
        state.open_alone(alert_id)
    return state.moves


@dataclass
class _State:
    links: Mapping[str, Sequence[Link]]
    placed: Mapping[str, Placed]
    extents: Mapping[str, Extent]
    parted: Collection[tuple[str, str]]

    def __post_init__(self) -> None:
        self.moves: list[Move] = []
        self._where = {one.alert_id: one.incident_id for one in self.placed.values()}
        self._extents = dict(self.extents)
        self._taken_out = {alert_id for _, alert_id in self.parted}
        self._members: dict[str, list[str]] = {}
        for alert_id, incident in self._where.items():
            if incident:
                self._members.setdefault(incident, []).append(alert_id)

    def tie(self, one: str, two: str, alert_id: str, link: Link) -> None:
        first, second = self._where[one], self._where[two]
        if (first is None and one in self._taken_out) or (
            second is None and two in self._taken_out
        ):
            return
        if first is None and second is None:
            self._begin(one, two, alert_id, link)
        elif first is None or second is None:
            newcomer = one if first is None else two
            self._join(newcomer, first or second or "", alert_id, link)
        elif first != second:
            self._merge(first, second, link)

    def open_alone(self, alert_id: str) -> None:
        """A serious attack is an incident even when nothing is tied to it."""
        alert = self.placed[alert_id]
        real = alert.verdict is Disposition.TRUE_POSITIVE and alert.risk_level in SERIOUS
        if self._where[alert_id] is None and real and alert_id not in self._taken_out:
            incident = _name(alert_id)
            self._open(incident, [alert_id])
            self._move(alert_id, incident, None)

    def _begin(self, one: str, two: str, alert_id: str, link: Link) -> None:
        pair = sorted((one, two), key=lambda each: (self.placed[each].at, each))
        incident = _name(*pair)
        apart = self.placed[pair[1]].at - self.placed[pair[0]].at
        if apart > LONGEST:
            return
        self._open(incident, pair)
        other = two if alert_id == one else one
        self._move(alert_id, incident, link)
        back = Link(
            alert_id=alert_id,
            at=self.placed[alert_id].at,
            score=link.score,
            reasons=link.reasons,
        )
        self._move(other, incident, back)

    def _join(self, newcomer: str, incident: str, alert_id: str, link: Link) -> None:
        extent = self._extents[incident]
        wider = _with(extent, self.placed[newcomer])
        if not extent.open or not _fits(wider) or (incident, newcomer) in self.parted:
            return
        if extent.alerts >= SMALL and link.score < STRONG:
            if newcomer != alert_id:  # the member was found to be tied to the newcomer
                return
            tied = [each for each in self.links[alert_id] if self._in(each.alert_id, incident)]
            if len(tied) < 2:
                return
        if newcomer != alert_id:
            link = Link(
                alert_id=alert_id,
                at=self.placed[alert_id].at,
                score=link.score,
                reasons=link.reasons,
            )
        self._extents[incident] = wider
        self._move(newcomer, incident, link)

    def _merge(self, first: str, second: str, link: Link) -> None:
        one, two = self._extents[first], self._extents[second]
        if not (one.open and two.open) or link.score < MERGING:
            return
        keeps, goes = sorted((one, two), key=self._precedence)
        if goes.held or (keeps.held and goes.incident_id in self.extents):
            return
        if any(
            (keeps.incident_id, each) in self.parted for each in self._members[goes.incident_id]
        ):
            return
        whole = _together(keeps, goes)
        if not _fits(whole):
            return
        self._extents[keeps.incident_id] = whole
        self._extents[goes.incident_id] = goes._replace(open=False, alerts=0)
        self.moves.append(Move("", keeps.incident_id, goes.incident_id, None))
        for alert_id in self._members.pop(goes.incident_id, []):
            self._where[alert_id] = keeps.incident_id
            self._members.setdefault(keeps.incident_id, []).append(alert_id)

    def _precedence(self, extent: Extent) -> tuple[bool, datetime, str]:
        """Which of two incidents keeps its name: what people have shaped, then the earlier."""
        return not extent.held, extent.first_at, extent.incident_id

    def _in(self, alert_id: str, incident: str) -> bool:
        return self._where.get(alert_id) == incident

    def _open(self, incident: str, alerts: Sequence[str]) -> None:
        times = [self.placed[each].at for each in alerts]
        self._extents[incident] = Extent(
            incident, len(alerts), min(times), max(times), open=True, held=False
        )

    def _move(self, alert_id: str, incident: str, link: Link | None) -> None:
        self._where[alert_id] = incident
        self._members.setdefault(incident, []).append(alert_id)
        self.moves.append(Move(alert_id, incident, None, link))


def _together(keeps: Extent, goes: Extent) -> Extent:
    """The extent of both together, under the first one's name."""
    return keeps._replace(
        alerts=keeps.alerts + goes.alerts,
        first_at=min(keeps.first_at, goes.first_at),
        last_at=max(keeps.last_at, goes.last_at),
    )


def _with(extent: Extent, alert: Placed) -> Extent:
    return extent._replace(
        alerts=extent.alerts + 1,
        first_at=min(extent.first_at, alert.at),
        last_at=max(extent.last_at, alert.at),
    )


def _fits(extent: Extent) -> bool:
    return extent.alerts <= MOST_ALERTS and extent.last_at - extent.first_at <= LONGEST


def _pair(one: str, two: str) -> tuple[str, str]:
    return (one, two) if one < two else (two, one)


def _name(*alerts: str) -> str:
    """The id of the incident that began with these alerts; the same whoever works it out."""
    return str(uuid5(NAMESPACE_OID, "incident " + " ".join(alerts)))
