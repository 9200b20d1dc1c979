"""Alerts of rules that nobody has decided on, from which a model learns how high those score."""

from collections import Counter
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import AlertStatus
from tocsin.store.tables import alerts

NEWEST = 100_000  # alerts that are looked at
OF_A_RULE = 20
JUDGED = (AlertStatus.TRIAGED.value, AlertStatus.CLOSED.value)


def undecided(connection: Connection, decided: Collection[str], limit: int) -> list[str]:
    """The newest alerts of each rule that is not among `decided`, up to 20 of each.

    Rules are named as the history names them: by the source and its id, or else its name.
    """
    a = alerts.c
    newest = (
        sa.select(a.alert_id, a.source, a.rule_id, a.rule_name)
        .where(a.status.in_(JUDGED))
        .order_by(a.received_at.desc(), a.alert_id.desc())
        .limit(NEWEST)
    )
    found: list[str] = []
    seen: Counter[str] = Counter()
    for alert_id, source, rule_id, rule_name in connection.execute(newest):
        if len(found) >= limit:
            break
        rule = f"{source or 'unknown'}:{rule_id or rule_name or ''}"
        if rule not in decided and seen[rule] < OF_A_RULE:
            seen[rule] += 1
            found.append(alert_id)
    return found
