"""How well triage tells hits from look-alikes on rules' own tests.

Each line of the set is an event with the rule that was tried on it and whether it should fire. The
alert that is made of it holds the rule's words and the event, never the test's name or what was
expected. `python -m tests.quality.panther` prints the areas under the ROC curve of the model that
ships, `--learn` those of models that were learned with rules kept apart.
"""

import argparse
import asyncio
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata
from tests.known import Known
from tests.servers import ROOT

from tocsin.model import Dossier
from tocsin.pipeline import FOLLOW_UPS, STEPS
from tocsin.ports import Resources
from tocsin.settings import load

FILE = ROOT.parent / "shared" / "data" / "panther_unit_tests" / "panther_tests.jsonl"
RECEIVED = datetime(2026, 3, 4, 12, tzinfo=UTC)
APART = timedelta(hours=2)  # each is a case of its own, and no repeat of the one before
SHUFFLE = 5  # in the file hits stand before look-alikes, which what came before would give away
BATCH = 500
BOOTSTRAPS = 1000
KINDS = ("rule",)  # a policy's test expects compliance, a scheduled rule's event is a placeholder


class Pair(NamedTuple):
    """An event with a rule, and whether the rule's author says that it is a hit."""

    rule: str
    hit: bool
    log_type: str
    about: dict[str, Any]  # what an alert says of its rule
    event: dict[str, Any]

    @property
    def develops(self) -> bool:
        """Whether the rule is of the half that may be looked at."""
        return hashlib.sha256(self.rule.encode()).digest()[0] % 2 == 0


def pairs(path: Path = FILE) -> list[Pair]:
    """The tests that hold an event, in the order of the file."""
    found = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kind"] in KINDS and isinstance(row["log"], dict):
                found.append(_pair(row))
    return found


def _pair(row: dict[str, Any]) -> Pair:
    about = {
        "id": row["id"],
        "title": row["display"],
        "severity": row["severity"],
        "description": row["description"],
        "runbook": row["runbook"],
        "tags": row["tags"],
        "mitre": [name for names in (row["reports"] or {}).values() for name in names],
    }
    kept = {name: value for name, value in about.items() if value}
    log_type = (row["log_types"] or ["unknown"])[0]
    return Pair(row["id"], bool(row["expected"]), log_type, kept, row["log"])


def _around(name: str) -> Callable[[Pair], dict[str, Any]]:
    return lambda pair: {"rule": pair.about, "log_type": pair.log_type, name: pair.event}


def _flat(pair: Pair) -> dict[str, Any]:
    rule = {"rule_" + name: value for name, value in pair.about.items() if name != "severity"}
    return {**pair.event, **rule, "severity": pair.about["severity"], "log_type": pair.log_type}


def _bare(pair: Pair) -> dict[str, Any]:
    about = {name: pair.about.get(name) for name in ("title", "description", "severity")}
    return {"rule_id": pair.rule, **about, "log_type": pair.log_type, "event": pair.event}


def _titled(pair: Pair) -> dict[str, Any]:
    return {"title": pair.about["title"], "severity": pair.about["severity"], "event": pair.event}


def _text(pair: Pair) -> dict[str, Any]:
    return {"rule": pair.about, "log_type": pair.log_type, "event": json.dumps(pair.event)}


def _list(pair: Pair) -> dict[str, Any]:
    about = {"alertId": "a-1", **{("alert_" + name): value for name, value in pair.about.items()}}
    return {**about, "events": [pair.event]}


ENVELOPES: dict[str, Callable[[Pair], dict[str, Any]]] = {
    "event": _around("event"),
    "log": _around("log"),
    "data": _around("data"),
    "raw_event": _around("raw_event"),
    "text": _text,
    "flat": _flat,
    "list": _list,
    "bare": _bare,
    "titled": _titled,
}


async def _triaged(payloads: Sequence[str]) -> list[Dossier]:
    known = Known()
    known.recorded = (0, 0)  # nobody keeps an inventory
    resources = Resources(load(), known, known, known, known)  # type: ignore[arg-type]  # incidents are not asked
    works = [step.work(resources) for step in STEPS if step.name not in FOLLOW_UPS]
    order = list(range(len(payloads)))
    random.Random(SHUFFLE).shuffle(order)
    done: dict[int, Dossier] = {}
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        batch = [
            Dossier(
                alert_id=f"p-{place}",
                received_at=RECEIVED + APART * (start + index),
                payload=payloads[place],
            )
            for index, place in enumerate(places)
        ]
        for work in works:
            batch = await work(batch)
        done |= zip(places, batch, strict=True)
    return [done[place] for place in range(len(payloads))]


def judged(chosen: Iterable[Pair], envelope: str) -> list[Dossier]:
    """The pairs as alerts in one envelope, through the steps as they run in production."""
    wrap = ENVELOPES[envelope]
    return asyncio.run(_triaged([json.dumps(wrap(pair)) for pair in chosen]))


def probabilities(dossiers: Sequence[Dossier]) -> list[float]:
    """What triage says."""
    return [dossier.verdict.probability for dossier in dossiers if dossier.verdict is not None]


def area(hits: Sequence[bool], scores: Sequence[float]) -> float:
    """The area under the ROC curve: how often a hit is placed above a look-alike; ties are half."""
    truth = np.asarray(hits)
    ranks = rankdata(scores)
    positive, negative = int(truth.sum()), int((~truth).sum())
    above = ranks[truth].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def within_rules(chosen: Sequence[Pair], scores: Sequence[float]) -> float:
    """The mean area over rules that have both hits and look-alikes."""
    by_rule: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(chosen):
        by_rule[pair.rule].append(index)
    areas = []
    for places in by_rule.values():
        hits = [chosen[place].hit for place in places]
        if len(set(hits)) == 2:
            areas.append(area(hits, [scores[place] for place in places]))
    return float(np.mean(areas))


def interval(chosen: Sequence[Pair], scores: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the area, by drawing rules with replacement."""
    by_rule: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(chosen):
        by_rule[pair.rule].append(index)
    groups, dice, areas = list(by_rule.values()), random.Random(7), []
    for _ in range(BOOTSTRAPS):
        drawn = [place for group in dice.choices(groups, k=len(groups)) for place in group]
        areas.append(area([chosen[place].hit for place in drawn], [scores[p] for p in drawn]))
    low, high = np.percentile(areas, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Print the areas of both halves for each envelope."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("envelopes", nargs="*", default=["event"], metavar="ENVELOPE")
    arguments.add_argument("--all", action="store_true", help="all envelopes")
    arguments.add_argument("--learn", action="store_true", help="learn from other rules first")
    arguments.add_argument("--seed", type=int, default=0, help="of the folds")
    given = arguments.parse_args()
    every = pairs()
    if given.learn:
        from tests.quality import panther_learning  # which imports this

        for envelope in ENVELOPES if given.all else given.envelopes:
            panther_learning.report(every, envelope, given.seed)
        return
    for envelope in ENVELOPES if given.all else given.envelopes:
        scores = probabilities(judged(every, envelope))
        for name, keep in (("developed on", True), ("held back", False)):
            places = [index for index, pair in enumerate(every) if pair.develops is keep]
            chosen = [every[place] for place in places]
            some = [scores[place] for place in places]
            low, high = interval(chosen, some)
            print(
                f"{envelope:10} {name:13} {len(chosen)} events: AUC "
                f"{area([pair.hit for pair in chosen], some):.3f} ({low:.3f} to {high:.3f}), "
                f"within rules {within_rules(chosen, some):.3f}"
            )


if __name__ == "__main__":
    main()
