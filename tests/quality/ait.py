"""How well triage learns on labelled alerts of several recordings, each tested apart.

Learns from three recordings, tests on the fourth, all four ways round. Scored are groups of one
machine, address, name and hour, since two scanners make most of the alerts. Beside it stands the
table of signatures: the share of attacks of each name in what was learned from.
`python -m tests.quality.ait` prints the table; `--first N` keeps the first N alerts of each group.
"""

import argparse
import asyncio
import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tests.known import Known
from tests.servers import ROOT

from tocsin.evaluation import measures
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
LIMITS = Limits(1 << 20, 64)

Group = tuple[str, str, str, int]


class Line(NamedTuple):
    """One alert of a recording, with its group and truth."""

    group: Group
    alert: dict[str, Any]
    attack: bool


class Figures(NamedTuple):
    """What one way round gave; the last two are the table of signatures'."""

    recording: str
    groups: int
    attacks: int
    precision: float
    suppression: float
    ece: float
    table_precision: float
    table_suppression: float


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


def figures(recording: str, first: int = EVERY) -> Figures:
    """Learn from the other recordings and test on this one."""
    return asyncio.run(_figures(recording, first))


async def _figures(recording: str, first: int) -> Figures:
    known = Known()
    known.recorded = (0, 0)  # nobody keeps an inventory
    rehearsal = Rehearsal(Resources(load(), known, known, known, known))
    table: dict[str, set[tuple[str, Group]]] = defaultdict(set)
    hits: dict[str, set[tuple[str, Group]]] = defaultdict(set)

    def lessons() -> Iterator[tuple[Item, Disposition]]:
        for other in recordings():
            if other == recording:
                continue
            for line in lines(other, first):
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
        measures.average_precision(true, found) or 0.0,
        1 - (measures.false_positive_rate(true, found, 0.95) or 0.0),
        measures.ece(true, found),
        measures.average_precision(true, naive) or 0.0,
        1 - (measures.false_positive_rate(true, naive, 0.95) or 0.0),
    )


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
    arguments.add_argument("recordings", nargs="*", default=recordings())
    given = arguments.parse_args()
    rows = []
    print("recording        groups attacks     AP  supp95    ECE | signatures: AP  supp95")
    for name in given.recordings:
        row = figures(name, given.first)
        rows.append(row)
        print(
            f"{row.recording:16} {row.groups:6} {row.attacks:7}  {row.precision:.3f}  "
            f"{row.suppression:.3f}   {row.ece:.3f} |             {row.table_precision:.3f}  "
            f"{row.table_suppression:.3f}",
            flush=True,
        )
    means = np.mean([row[3:] for row in rows], axis=0)
    print("mean " + " ".join(f"{value:.3f}" for value in means))


if __name__ == "__main__":
    main()
