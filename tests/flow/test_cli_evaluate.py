"""`tocsin evaluate` and `tocsin triage --learn-from`, as processes on files."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.servers import tocsin

NOWHERE = Path("/nonexistent")

HOUR = 3600
START = 1_770_000_000


def alert(number: int, *, attack: bool, hour: int) -> dict[str, Any]:
    """An alert of a made-up detector, of a rule that is mostly right or mostly wrong."""
    dice = random.Random(number)
    rule = dice.choice(
        ["Shadow copies deleted", "Credential dump"] if attack else ["Update", "Scan"]
    )
    return {
        "time": START + hour * HOUR + number % HOUR,
        "name": rule,
        "host": f"host-{dice.randrange(12)}",
        "ip": f"192.0.2.{dice.randrange(1, 200)}",
        "number": number,
    }


def labelled(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Alerts of which a quarter are attacks; one in twenty is labelled the wrong way round."""
    found = []
    for number in range(first, first + count):
        attack = number % 4 == 0
        named = attack if number % 20 else not attack
        found.append(
            {
                "alert": alert(number, attack=attack, hour=number // 20),
                "disposition": "true_positive" if named else "false_positive",
            }
        )
    return found


def write(path: Path, rows: list[Any]) -> str:
    """The rows as lines of JSON."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command to its end, its output as text."""
    done = tocsin(NOWHERE, *arguments)
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def measured(*arguments: str) -> dict[str, Any]:
    """The report of an evaluation that must work."""
    done = run("evaluate", *arguments, "--json", "-")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_was_learned_ranks_better_than_severity_and_says_so(tmp_path: Path) -> None:
    lessons = write(tmp_path / "lessons.ndjson", labelled(400))
    tests = write(tmp_path / "tests.ndjson", labelled(200, 1000))
    page = tmp_path / "report.html"
    found = measured(tests, "--learn-from", lessons, "--html", str(page), "--perturb")
    assert found["alerts"] == found["scored"] == 200
    assert found["measures"]["roc_auc"]["value"] > 0.8
    assert found["baselines"]["severity"]["roc_auc"] == 0.5
    low, high = found["measures"]["roc_auc"]["low"], found["measures"]["roc_auc"]["high"]
    assert low - 1e-9 <= found["measures"]["roc_auc"]["value"] <= high + 1e-9
    assert found["measures"]["ece"]["value"] < 0.15
    assert "signature" in found["baselines"]
    assert found["changed"]["verdicts_changed"] < 0.2
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "Attacks placed lowest" in text


def test_triage_learns_first_and_then_judges_by_it(tmp_path: Path) -> None:
    lessons = write(tmp_path / "lessons.ndjson", labelled(400))
    alerts = [alert(5000 + n, attack=n % 2 == 0, hour=300) for n in range(40)]
    file = write(tmp_path / "new.ndjson", [*alerts, {"broken": "\ud800"}])
    done = run("triage", file, "--learn-from", lessons, "--format", "ndjson")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == 41
    good = [result for result in results if "error" not in result]
    assert "learned from" in done.stderr
    assert all("+" in result["model_version"].removeprefix("expert-1+") for result in good)
    chances = [result["probability"] for result in good[:40]]
    attacks, harmless = chances[0::2], chances[1::2]
    assert sum(attacks) / 20 > sum(harmless) / 20 + 0.3
    assert any(item["name"].startswith("learned.") for item in good[0]["evidence"])


def test_groups_are_scored_by_their_greatest(tmp_path: Path) -> None:
    rows = [
        {
            "time": START + n,
            "name": "Update",
            "host": f"h{n % 5}",
            "truth": "attack" if n == 7 else "-",
        }
        for n in range(50)
    ]
    file = write(tmp_path / "alerts.ndjson", rows)
    found = measured(file, "--labels", "truth", "--group-by", "host,hour(time)")
    assert (found["alerts"], found["scored"], found["attacks"]) == (50, 5, 1)


def test_folds_keep_a_field_together(tmp_path: Path) -> None:
    rows = [{**row["alert"], "truth": row["disposition"]} for row in labelled(300)]
    file = write(tmp_path / "alerts.ndjson", rows)
    found = measured(file, "--labels", "truth", "--folds", "3", "--by", "host")
    assert found["alerts"] == 300
    assert found["examples"] > 0


def test_alerts_that_were_learned_from_are_not_tested_on(tmp_path: Path) -> None:
    file = write(tmp_path / "same.ndjson", labelled(80))
    done = run("evaluate", file, "--learn-from", file)
    assert done.returncode == 2
    assert "also in the file that is learned from" in done.stderr


def test_the_label_is_taken_out_before_triage_sees_it(tmp_path: Path) -> None:
    rows = [{**alert(n, attack=False, hour=1), "truth": n % 2 == 0} for n in range(60)]
    file = write(tmp_path / "alerts.ndjson", rows)
    lessons = write(
        tmp_path / "lessons.ndjson",
        [{**alert(900 + n, attack=False, hour=9), "truth": n % 2 == 0} for n in range(60)],
    )
    found = measured(file, "--labels", "truth", "--learn-from", lessons)
    assert 0.2 < found["measures"]["roc_auc"]["value"] < 0.8


@pytest.mark.parametrize("word", ["{}", "%s", "maybe\u202e", "x" * 100_000])
def test_a_label_that_is_not_known_ends_the_run(tmp_path: Path, word: str) -> None:
    rows = [{"name": "Update", "truth": "attack"}, {"name": "Scan", "truth": word}]
    done = run("evaluate", write(tmp_path / "alerts.ndjson", rows), "--labels", "truth")
    assert done.returncode == 2
    assert "not known as labels" in done.stderr
    assert len(done.stderr) < 2000


def test_one_kind_alone_measures_nothing(tmp_path: Path) -> None:
    rows = [{"name": f"Update {n}", "truth": "benign"} for n in range(5)]
    done = run("evaluate", write(tmp_path / "alerts.ndjson", rows), "--labels", "truth")
    assert done.returncode == 2
    assert "both kinds are needed" in done.stderr


def test_labels_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    file = write(tmp_path / "alerts.ndjson", [alert(n, attack=n < 5, hour=1) for n in range(20)])
    words = tmp_path / "labels.txt"
    words.write_text("\n".join("tp" if n < 5 else "fp" for n in range(20)), encoding="utf-8")
    assert measured(file, "--labels", str(words))["attacks"] == 5
