"""What may be written over a stored verdict once triage is through with it: it only rises."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.model import Change, risk_level
from tocsin.store.tables import alerts, triage_results


def raise_risk(
    connection: Connection, alert_id: str, *, risk: float, review: bool
) -> Change | None:
    """Raise a stored risk to at least `risk`, and require a review if `review` says so.

    Nothing else of the row changes, and neither of the two ever falls, whatever is given. Gives
    what was there before and after, or None if there is no verdict.
    """
    t = triage_results.c
    query = sa.select(t.risk_score, t.requires_human_review).where(t.alert_id == alert_id)
    stored = connection.execute(query.with_for_update()).first()
    if stored is None:
        return None
    before, reviewed = float(stored.risk_score), bool(stored.requires_human_review)
    made = Change(
        risk_before=before,
        risk_after=max(before, min(risk, 100.0)),
        review_before=reviewed,
        review_after=reviewed or review,
    )
    if made.risk_after != before or made.review_after != reviewed:
        change = sa.update(triage_results).where(t.alert_id == alert_id)
        connection.execute(
            change.values(
                risk_score=made.risk_after,
                risk_level=risk_level(made.risk_after).value,
                requires_human_review=made.review_after,
            )
        )
        listed = sa.update(alerts).where(alerts.c.alert_id == alert_id)  # lists are sorted by it
        connection.execute(listed.values(risk_score=made.risk_after))
    return made
