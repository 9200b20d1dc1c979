"""`make bench`: prints a table and writes `.bench/results.json`."""

import argparse
import json
import os
import platform
import subprocess

from rich.console import Console
from rich.table import Table
from tests.bench import embedded, million, retention, services
from tests.bench.figures import Figure
from tests.servers import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each throughput figure")
    parser.add_argument(
        "--only",
        choices=("embedded", "services", "million", "retention"),
        help="measure one of them, not all",
    )
    parser.add_argument(
        "--stored", type=int, default=million.STORED, help="alerts that million fills up to"
    )
    wanted = parser.parse_args()
    measures = {
        "embedded": lambda: embedded.measure(wanted.runs),
        "services": lambda: services.measure(wanted.runs),
        "million": lambda: million.measure(wanted.stored),
        "retention": retention.measure,
    }
    results: dict[str, Figure] = {}
    for name, measure in measures.items():
        if wanted.only in (None, name):
            results |= measure()
            write(results)
    table = Table("figure", "value", "unit", "spread", box=None)
    for name, figure in results.items():
        low, high = figure["spread"]  # type: ignore[misc]  # always a pair
        table.add_row(name, str(figure["value"]), str(figure["unit"]), f"{low} … {high}")
    Console(soft_wrap=True).print(table)


def write(results: dict[str, Figure]) -> None:
    """Write what is known so far, beside what was measured of the same commit before."""
    path = ROOT / ".bench" / "results.json"
    path.parent.mkdir(exist_ok=True)
    report = {"machine": _machine(), "commit": _commit(), "results": results}
    if path.is_file():
        before = json.loads(path.read_text())
        if all(before.get(name) == report[name] for name in ("machine", "commit")):
            report["results"] = before["results"] | results
    path.write_text(json.dumps(report, indent=2) + "\n")


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


main()
