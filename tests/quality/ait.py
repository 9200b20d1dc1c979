"""How well triage learns on labelled alerts of several recordings, each tested apart.

Learns from three recordings, tests on the fourth, all four ways round. Scored are groups of one
machine, address, name and hour, since two scanners make most of the alerts. Beside it stands the
table of signatures: the share of attacks of each name in what was learned from. Intervals (95 %)
are by bootstrap over the groups; that of the mean draws the groups of each recording anew.
`python -m tests.quality.ait` prints the table; `--first N` keeps the first N alerts of each group,
and with `--decisions N` people have decided on the first alert of N groups, drawn at random.
"""

import argparse
import asyncio
import csv
import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tests.known import Known
from tests.servers import ROOT

from tocsin.evaluation import measures
from tocsin.evaluation.measures import Numbers
from tocsin.ingest import Item, Limits, read_item
from tocsin.learn import Sample, fit_sample
from tocsin.model import Disposition, Learned
from tocsin.ports import Resources
from tocsin.rehearsal import Rehearsal
from tocsin.settings import load

FOLDER = ROOT.parent / "shared" / "data" / "ait_ads_half"
HOUR = 3600
BENIGN = "-"
BATCH = 2000
EVERY = 10**9
RESAMPLES = 1000
LIMITS = Limits(1 << 20, 64)

Group = tuple[str, str, str, int]


class Line(NamedTuple):
    """One alert of a recording, with its group and truth."""

    group: Group
    alert: dict[str, Any]
    attack: bool


class Figures(NamedTuple):
    """What one way round gave; `drawn` has precision and suppression of each resample."""

    recording: str
    groups: int
    attacks: int
    precision: float
    suppression: float
    ece: float
    table_precision: float
    table_suppression: float
    drawn: Numbers

    def interval(self, which: int) -> str:
        """The interval of precision (0) or suppression (1)."""
        return between(self.drawn[:, which])


def between(values: Numbers) -> str:
    """A 95 % interval as it is printed."""
    low, high = np.percentile(values, [2.5, 97.5])
    return f"({low:.3f}-{high:.3f})"


def recordings() -> list[str]:
    """The names of the recordings that are there."""
    return sorted(path.name.partition("_")[0] for path in FOLDER.glob("*_alerts.txt.gz"))


def lines(recording: str, first: int) -> Iterator[Line]:
    """The alerts of a recording in order, of each group the first so many."""
    seen: Counter[Group] = Counter()
    path: Path = FOLDER / f"{recording}_alerts.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            time = int(float(row["time"]))
            group = (row["host"], row["ip"], row["name"], time // HOUR)
            seen[group] += 1
            if seen[group] <= first:
                kept = {name: row[name] for name in ("name", "ip", "host", "short")}
                yield Line(group, {"time": time, **kept}, row["event_label"] != BENIGN)


def drawn_groups(others: list[str], decisions: int) -> set[tuple[str, Group]]:
    """So many groups of these recordings, by chance."""
    every = sorted({(other, line.group) for other in others for line in lines(other, 1)})
    return set(random.Random(0).sample(every, min(decisions, len(every))))


def figures(recording: str, first: int = EVERY, decisions: int | None = None) -> Figures:
    """Learn from the other recordings, or so many decisions on them, and test on this one."""
    return asyncio.run(_figures(recording, first, decisions))


async def _figures(recording: str, first: int, decisions: int | None) -> Figures:
    others = [other for other in recordings() if other != recording]
    asked = None if decisions is None else drawn_groups(others, decisions)
    known = Known()
    known.recorded = (0, 0)  # nobody keeps an inventory
    rehearsal = Rehearsal(Resources(load(), known, known, known, known))
    table: dict[str, set[tuple[str, Group]]] = defaultdict(set)
    hits: dict[str, set[tuple[str, Group]]] = defaultdict(set)

    def lessons() -> Iterator[tuple[Item, Disposition]]:
        for other in others:
            for line in lines(other, first):
                if asked is not None and (other, line.group) not in asked:
                    yield _item(line), Disposition.UNDETERMINED
                    continue
                if asked is not None:
                    asked.remove((other, line.group))
                name = line.alert["name"]
                table[name].add((other, line.group))
                if line.attack:
                    hits[name].add((other, line.group))
                kind = Disposition.TRUE_POSITIVE if line.attack else Disposition.FALSE_POSITIVE
                yield _item(line), kind

    async def fit(sample: Sample) -> Learned:
        return fit_sample(sample)

    await rehearsal.learn(lessons(), fit)
    chance: dict[Group, float] = {}
    truth: dict[Group, bool] = {}
    batch: list[Line] = []
    for line in lines(recording, first):
        batch.append(line)
        if len(batch) == BATCH:
            await _judge(rehearsal, batch, chance, truth)
            batch = []
    await _judge(rehearsal, batch, chance, truth)
    share = sum(map(len, hits.values())) / sum(map(len, table.values()))
    by_name = [
        (len(hits[g[2]]) + share) / (len(table[g[2]]) + 1) if g[2] in table else share
        for g in chance
    ]
    true = np.array([truth[group] for group in chance], dtype=np.float64)
    found, naive = np.array(list(chance.values())), np.array(by_name)
    return Figures(
        recording,
        len(true),
        int(true.sum()),
        *_quality(true, found),
        measures.ece(true, found),
        *_quality(true, naive),
        _resampled(true, found),
    )


def _quality(truth: Numbers, score: Numbers) -> tuple[float, float]:
    """Average precision, and false-positive suppression at 95 % recall."""
    kept = measures.false_positive_rate(truth, score, 0.95) or 0.0
    return measures.average_precision(truth, score) or 0.0, 1 - kept


def _resampled(truth: Numbers, score: Numbers) -> Numbers:
    """Both measures of groups drawn with replacement (Efron, 1979), a line for each resample."""
    dice = np.random.default_rng(0)
    draws = [dice.integers(len(truth), size=len(truth)) for _ in range(RESAMPLES)]
    return np.array([_quality(truth[drawn], score[drawn]) for drawn in draws])


async def _judge(
    rehearsal: Rehearsal,
    batch: list[Line],
    chance: dict[Group, float],
    truth: dict[Group, bool],
) -> None:
    dossiers = await rehearsal.triage([_item(line) for line in batch])
    for line, dossier in zip(batch, dossiers, strict=True):
        assert dossier.verdict is not None
        chance[line.group] = max(chance.get(line.group, 0.0), dossier.verdict.probability)
        truth[line.group] = truth.get(line.group, False) or line.attack


def _item(line: Line) -> Item:
    found = read_item(json.dumps(line.alert).encode(), LIMITS)
    assert isinstance(found, Item)
    return found


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--first", type=int, default=EVERY, help="alerts kept of each group")
    arguments.add_argument("--decisions", type=int, help="groups decided on; all if left out")
    arguments.add_argument("recordings", nargs="*", default=recordings())
    given = arguments.parse_args()
    rows = []
    for name in given.recordings:
        row = figures(name, given.first, given.decisions)
        rows.append(row)
        print(
            f"{row.recording:15} {row.groups} groups, {row.attacks} attacks: "
            f"AP {row.precision:.3f} {row.interval(0)}, suppression at 95 % recall "
            f"{row.suppression:.3f} {row.interval(1)}, ECE {row.ece:.3f}; signatures: "
            f"AP {row.table_precision:.3f}, suppression {row.table_suppression:.3f}",
            flush=True,
        )
    mean = np.mean([row[3:8] for row in rows], axis=0)
    drawn = np.mean([row.drawn for row in rows], axis=0)
    print(
        f"mean            AP {mean[0]:.3f} {between(drawn[:, 0])}, suppression {mean[1]:.3f} "
        f"{between(drawn[:, 1])}, ECE {mean[2]:.3f}; signatures: AP {mean[3]:.3f}, suppression "
        f"{mean[4]:.3f}"
    )


if __name__ == "__main__":
    main()
