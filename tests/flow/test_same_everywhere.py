"""The same alert gets the same words in every process, whatever its hashes are seeded with."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers import ROOT, environment


def judged(folder: Path, seed: str) -> list[Any]:
    """What triage says of all samples, without the ids that are new each time."""
    names = sorted(map(str, (ROOT / "samples").glob("windows*")))
    assert names
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "triage", *names, "--format", "ndjson"],
        env={**environment(folder), "PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        timeout=240,
        check=True,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        (
            result["title"],
            result["probability"],
            result["analysis"],
            [(item["name"], item["statement"]) for item in result["evidence"]],
        )
        for result in results
    ]


def test_verdicts_do_not_depend_on_the_seed_of_hashes(tmp_path: Path) -> None:
    first, *others = [judged(tmp_path, seed) for seed in ("0", "1", "3")]
    assert all(other == first for other in others)
