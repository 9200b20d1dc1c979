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
    page = tmp_path / "report.html"
    found = measured(
        file, "--labels", "truth", "--folds", "3", "--by", "host", "--html", str(page), "--perturb"
    )
    assert found["alerts"] == 300
    assert found["examples"] > 0
    assert len(found["models"]) == 3, "every fold's model is told, not only the last one's"
    assert sum(use["alerts"] for use in found["models"]) == 300
    versions = {use["version"] for use in found["models"]}
    assert len(versions) == 3
    text = page.read_text(encoding="utf-8")
    assert all(version in text for version in versions)
    # each alert is judged by its own fold's model under its other names too
    assert found["changed"]["verdicts_changed"] < 0.2
    assert "no intervals: there are 12 independent groups" in found["remarks"][0]
    grouped = measured(
        file, "--labels", "truth", "--folds", "3", "--by", "host", "--group-by", "host,name,ip"
    )
    assert "the intervals draw single groups of --group-by: there are 12" in grouped["remarks"][0]
    assert grouped["measures"]["roc_auc"]["low"] is not None


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


def test_a_tiny_sample_has_no_intervals_and_says_why(tmp_path: Path) -> None:
    rows = [{**alert(n, attack=n < 2, hour=n), "truth": n < 2} for n in range(8)]
    file = write(tmp_path / "alerts.ndjson", rows)
    found = measured(file, "--labels", "truth")
    assert found["measures"]["roc_auc"]["value"] is not None
    assert {one["low"] for one in found["measures"].values()} == {None}
    (remark,) = found["remarks"]
    assert "no intervals" in remark
    assert "8 independent groups" in remark
    assert "2 with attacks" in remark
    shown = run("evaluate", file, "--labels", "truth", "--html", str(tmp_path / "report.html"))
    assert remark in " ".join(shown.stdout.split())
    assert remark in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_cost_does_not_count_what_only_the_first_alerts_cost(tmp_path: Path) -> None:
    rows = [{**alert(n, attack=n % 2 == 0, hour=n), "truth": n % 2 == 0} for n in range(400)]
    few = write(tmp_path / "few.ndjson", rows[:20])
    many = write(tmp_path / "many.ndjson", rows)
    costs = [measured(file, "--labels", "truth")["cpu_seconds_per_1000"] for file in (few, many)]
    assert costs[0] < 4 * costs[1], "loading the tables cost a few alerts some seconds before"


def test_alerts_without_the_fields_of_groups_and_folds_are_told_and_kept_apart(
    tmp_path: Path,
) -> None:
    rows = [{**alert(n, attack=n % 4 == 0, hour=n // 20), "truth": n % 4 == 0} for n in range(200)]
    for row in rows[:40]:
        del row["host"]
    for row in rows[:10]:
        del row["ip"]
    file = write(tmp_path / "alerts.ndjson", rows)
    found = measured(
        file, "--labels", "truth", "--group-by", "host,ip", "--folds", "4", "--by", "host"
    )
    said = " | ".join(found["remarks"])
    assert "40 of 200 alerts lack host" in said
    assert "10 of 200 alerts lack ip" in said
    assert "10 of 200 alerts have no field of --group-by" in said
    assert "40 of 200 alerts lack host: folds" in said
    sizes = [use["alerts"] for use in found["models"]]
    assert len(sizes) == 4
    assert min(sizes) >= 30, "they do not make one large fold"
    groups = {(row["host"], row["ip"]) if "host" in row else row.get("ip") for row in rows}
    assert found["scored"] == len(groups - {None}) + 10
    gone = run("evaluate", file, "--labels", "truth", "--group-by", "host,nowhere")
    assert gone.returncode == 2
    assert "--group-by nowhere: no alert has this field" in gone.stderr


def test_folds_of_one_value_leave_nothing_to_learn_from(tmp_path: Path) -> None:
    rows = [{**alert(n, attack=n % 2 == 0, hour=n), "site": "a", "truth": n % 2 == 0}
            for n in range(20)]  # fmt: skip
    file = write(tmp_path / "alerts.ndjson", rows)
    done = run("evaluate", file, "--labels", "truth", "--folds", "2", "--by", "site")
    assert done.returncode == 2
    assert "--by site: all alerts have the same value" in done.stderr


def test_labels_of_a_file_go_on_through_all_files_of_alerts(tmp_path: Path) -> None:
    rows = [alert(n, attack=n < 5, hour=1) for n in range(20)]
    first = write(tmp_path / "1.ndjson", rows[:8])
    second = write(tmp_path / "2.ndjson", rows[8:])
    words = tmp_path / "labels.txt"
    words.write_text("\n".join("tp" if n in {0, 9, 10} else "fp" for n in range(20)))
    found = measured(first, second, "--labels", str(words))
    assert (found["alerts"], found["attacks"]) == (20, 3)
    alone = run("evaluate", first, "--labels", str(words))
    assert alone.returncode == 2
    assert "it labels alert 19 (counted from 0), but only 8 were read" in alone.stderr


NO_PLACE = "line 2: an index from 0 on and a label"
NO_JSON = "row 2: is not JSON"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"index": -1, "label": "tp"}', NO_PLACE),
        ('{"index": 1}', NO_PLACE),
        ('{"index": 1e99, "label": 1}', NO_PLACE),
        ("{" * 9, NO_JSON),
        ('{"label": ' + "[" * 5000, NO_JSON),
    ],
)
def test_a_label_without_a_place_is_refused(tmp_path: Path, line: str, says: str) -> None:
    file = write(tmp_path / "alerts.ndjson", [alert(n, attack=n < 5, hour=1) for n in range(20)])
    words = tmp_path / "labels.ndjson"
    words.write_text('{"index": 0, "label": "tp"}\n' + line + "\n", encoding="utf-8")
    done = run("evaluate", file, "--labels", str(words))
    assert done.returncode == 2
    assert "labels.ndjson: " + says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    file = write(tmp_path / "alerts.ndjson", labelled(20))
    done = run("evaluate", file, "--html", str(tmp_path))
    assert done.returncode == 2
    assert "it is a folder" in done.stderr
    assert done.stdout == ""


def test_a_line_of_text_among_labelled_alerts_is_refused_and_told(tmp_path: Path) -> None:
    file = tmp_path / "alerts.ndjson"
    write(file, labelled(20))
    file.write_text(file.read_text(encoding="utf-8") + "a line of text\n", encoding="utf-8")
    found = measured(str(file))
    assert found["left_out"] == {"refused": 1, "undetermined": 0}
    assert "alert 21" in found["complaints"][0]
