"""`make bench`: prints a table and writes `.bench/results.json`."""

import argparse
import json
import os
import platform
import subprocess

from rich.console import Console
from rich.table import Table
from tests.bench import embedded, services
from tests.servers import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each throughput figure")
    parser.add_argument(
        "--only", choices=("embedded", "services"), help="measure one of the two, not both"
    )
    wanted = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    if wanted.only != "services":
        results |= embedded.measure(wanted.runs)
    if wanted.only != "embedded":
        results |= services.measure(wanted.runs)
    report = {"machine": _machine(), "commit": _commit(), "results": results}
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    table = Table("figure", "value", "unit", "spread", box=None)
    for name, figure in results.items():
        low, high = figure["spread"]  # type: ignore[misc]  # always a pair
        table.add_row(name, str(figure["value"]), str(figure["unit"]), f"{low} … {high}")
    Console(soft_wrap=True).print(table)


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
