"""What would be lost if the alert were true: asset, account, and how far along the attack is."""

from collections.abc import Sequence

from tocsin.knowledge import attack
from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted


def impact(case: Case, evidence: Sequence[Evidence]) -> tuple[float, list[Evidence]]:
    """The impact (0 to 1), and evidence of weight 0 that says what it is made of.

    The asset or the account, whichever matters more, and the stage of the attack share it. What is
    not known counts as rather important: unknown is not low.
    """
    asset, about_asset = _asset(case)
    user, about_user = _user(case)
    stage, about_stage = _stage(case, evidence)
    weights = case.weights.impact
    share = weights["entity_share"].weight
    total = share * max(asset, user) + (1 - share) * stage
    found = [about_asset]
    if about_user is not None:
        found.append(about_user)
    found.append(about_stage)
    if case.asset is not None and case.asset.exposed:
        total += weights["exposed"].weight
        found.append(
            case.on_context(
                "impact.exposed",
                "The asset can be reached from the internet.",
                "asset#/asset/exposed",
                True,
                0.0,
            )
        )
    return min(total, 1.0), found


def _asset(case: Case) -> tuple[float, Evidence]:
    weights, record = case.weights.impact, case.asset
    if record is None:
        statement = "Which asset is concerned is not known, so it counts as important."
        factor = weights["asset_unknown"].weight
        if case.asset_context is None:
            return factor, case.on_alert("impact.asset", statement, "/title", case.alert.title, 0.0)
        return factor, case.on_context("impact.asset", statement, "asset#", case.asset_context, 0.0)
    name = quoted(record.hostname or record.asset_id, 64)
    if record.criticality is None:
        factor = weights["asset_unrated"].weight
        statement = "Nobody has rated how critical " + name + " is, so it counts as important."
        path, value = "asset#/asset/asset_id", record.asset_id
    else:
        factor = weights["asset_" + record.criticality].weight
        statement = "The asset " + name + " is of " + record.criticality + " criticality."
        path, value = "asset#/asset/criticality", record.criticality
        if not case.declared and case.asset_context and case.asset_context.matched_by != "ip":
            # The name was found by guessing at fields, which an event's content can fill.
            factor = max(factor, weights["asset_unknown"].weight)
    return factor, case.on_context("impact.asset", statement, path, value, 0.0)


def _user(case: Case) -> tuple[float, Evidence | None]:
    weights, record = case.weights.impact, case.user
    if record is not None:
        key = "user_privileged" if record.privileged else "user_ordinary"
        kind = "privileged." if record.privileged else "an ordinary one."
        statement = "The account " + quoted(record.user_name or record.user_id, 64) + " is " + kind
        return weights[key].weight, case.on_context(
            "impact.user", statement, "user#/user/user_id", record.user_id, 0.0
        )
    user = case.alert.user
    named = (("/user/name", user.name), ("/user/id", user.id), ("/user/email", user.email))
    for path, value in named:
        if value:
            statement = "What the account " + quoted(value, 64) + " may do is not known."
            weight = weights["user_unknown"].weight
            return weight, case.on_alert("impact.user", statement, path, value, 0.0)
    return 0.0, None


def _stage(case: Case, evidence: Sequence[Evidence]) -> tuple[float, Evidence]:
    """How far along an attack the furthest of rule, tactic and command line stands."""
    tactics, unknown = case.weights.tactic, case.weights.impact["stage_unknown"].weight
    candidates: list[tuple[float, str]] = []
    if case.family.name is not None and case.family.stage is not None:
        candidates.append((case.family.stage, case.family.name.replace("_", " ")))
    candidates += [(tactics[name].stage, _name(name)) for name in case.tactics if name in tactics]
    if not candidates or not case.declared:
        candidates.append((unknown, "a stage that is not known"))
    for item in evidence:
        if item.tainted and item.technique:
            known = attack.technique(item.technique)
            candidates += [
                (tactics[name].stage, _name(name))
                for name in (known.tactics[:1] if known else ())
                if name in tactics
            ]
    stage, what = max(candidates)
    path, value = case.stage_source
    statement = "If it is real, the attack stands at: " + what + "."
    return stage, case.on_alert("impact.stage", statement, path, value, 0.0)


def _name(tactic: str) -> str:
    known = attack.tactic(tactic)
    return known.name.lower() if known else tactic
