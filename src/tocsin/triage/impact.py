"""What would be lost if the alert were true: asset, account, and how far along the attack is."""

from collections.abc import Sequence
from functools import lru_cache

from tocsin.knowledge import attack
from tocsin.model import Evidence
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.families import Family
from tocsin.triage.weights import Weights


class Impact:
    """The weights of assets, accounts and stages; how far along a rule stands is told once."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._rule_stage = lru_cache(maxsize=4096)(self._stage_of_rule)

    def of(self, case: Case, evidence: Sequence[Evidence]) -> tuple[float, list[Evidence]]:
        """The impact (0 to 1), and evidence of weight 0 that says what it is made of.

        The asset or the account, whichever matters more, and the stage of the attack share it.
        What is not known counts as rather important: unknown is not low.
        """
        asset, about_asset = _asset(case)
        user, about_user = _user(case)
        stage, about_stage = self._stage(case, evidence)
        weights = self._weights.impact
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

    def _stage(self, case: Case, evidence: Sequence[Evidence]) -> tuple[float, Evidence]:
        """How far along an attack the furthest of rule, tactic and command line stands."""
        furthest = self._rule_stage(case.family, case.tactics, case.declared)
        for item in evidence:
            if item.tainted and item.technique and (known := attack.technique(item.technique)):
                furthest = max([furthest, *self._stages(known.tactics[:1])])
        stage, what = furthest
        path, value = case.stage_source
        statement = "If it is real, the attack stands at: " + what + "."
        return stage, case.on_alert("impact.stage", statement, path, value, 0.0)

    def _stage_of_rule(
        self, family: Family, tactics: tuple[str, ...], declared: bool
    ) -> tuple[float, str]:
        candidates = self._stages(tactics)
        if family.name is not None and family.stage is not None:
            candidates.append((family.stage, family.name.replace("_", " ")))
        if not candidates or not declared:
            unknown = self._weights.impact["stage_unknown"].weight
            candidates.append((unknown, "a stage that is not known"))
        return max(candidates)

    def _stages(self, tactics: tuple[str, ...]) -> list[tuple[float, str]]:
        weights = self._weights.tactic
        return [(weights[name].stage, _name(name)) for name in tactics if name in weights]


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
    if value := user.name:
        path = "/user/name"
    elif value := user.id:
        path = "/user/id"
    elif value := user.email:
        path = "/user/email"
    else:
        return 0.0, None
    statement = "What the account " + quoted(value, 64) + " may do is not known."
    weight = weights["user_unknown"].weight
    return weight, case.on_alert("impact.user", statement, path, value, 0.0)


def _name(tactic: str) -> str:
    known = attack.tactic(tactic)
    return known.name.lower() if known else tactic
