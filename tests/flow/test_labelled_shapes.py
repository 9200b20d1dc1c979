"""However labels and alerts are laid out, `tocsin evaluate` and `--learn-from` find the same."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flow.test_cli_evaluate import labelled, measured, run, write

ROWS = labelled(120)
ALERTS = [row["alert"] for row in ROWS]
TRUE = [row["disposition"] == "true_positive" for row in ROWS]


def suricata(number: int) -> dict[str, Any]:
    """An alert that has an object `alert` of its own."""
    return {
        "timestamp": f"2026-03-01T10:{number % 60:02d}:00.000000+0000",
        "event_type": "alert",
        "src_ip": f"192.0.2.{number % 200 + 1}",
        "dest_ip": "198.51.100.7",
        "proto": "TCP",
        "alert": {"signature_id": 7, "signature": "EXAMPLE beacon", "severity": 1 + number % 3},
    }


def word(true: bool) -> str:
    """The usual words."""
    return "malicious" if true else "benign"


def around(alert: Any, number: int, label: Any) -> dict[str, Any]:
    """An alert with what a collection writes beside it."""
    return {
        "id": f"a-{number}",
        "group": f"part {number % 30}",
        "split": "test",
        "alert": alert,
        "label": label,
    }


SHAPES: dict[str, Callable[[dict[str, Any], int, bool], dict[str, Any]]] = {
    "beside others": lambda alert, n, true: around(alert, n, word(true)),
    "as text": lambda alert, n, true: around(json.dumps(alert), n, word(true)),
    "numbers": lambda alert, n, true: around(alert, n, int(true)),
    "numbers with a point": lambda alert, n, true: around(alert, n, float(true)),
    "truth values": around,
    "spelled": lambda alert, n, true: around(alert, n, "True-Positive" if true else "False alarm"),
    "payload": lambda alert, n, true: {"id": n, "payload": alert, "label": word(true)},
    "within": lambda alert, n, true: {**alert, "label": word(true)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_alert_is_judged_the_same_in_every_envelope(tmp_path: Path, shape: str) -> None:
    plain = measured(write(tmp_path / "plain.ndjson", ROWS))
    made = SHAPES[shape]
    rows = [made(a, n, t) for n, (a, t) in enumerate(zip(ALERTS, TRUE, strict=True))]
    found = measured(write(tmp_path / "rows.ndjson", rows), "--labels", "label")
    assert found["attacks"] == plain["attacks"] == sum(TRUE)
    assert found["reliability"] == plain["reliability"]


def test_a_field_beside_the_alert_makes_groups_and_folds(tmp_path: Path) -> None:
    rows = [around(a, n, t) for n, (a, t) in enumerate(zip(ALERTS, TRUE, strict=True))]
    file = write(tmp_path / "rows.ndjson", rows)
    found = measured(file, "--labels", "label", "--group-by", "group")
    assert (found["alerts"], found["scored"]) == (120, 30)
    folded = measured(file, "--labels", "label", "--folds", "3", "--by", "group")
    assert len(folded["models"]) == 3


@pytest.mark.parametrize("name", ["disposition", "label"])
def test_an_alert_with_an_object_called_alert_stays_whole(tmp_path: Path, name: str) -> None:
    rows = [{**suricata(n), name: word(n % 2 == 0)} for n in range(20)]
    options = [] if name == "disposition" else ["--labels", name]
    found = measured(write(tmp_path / "rows.ndjson", rows), *options)
    assert found["sources"] == {"suricata": {"attacks": 10, "harmless": 10}}


def test_a_name_with_dots_is_a_field_as_well(tmp_path: Path) -> None:
    rows = [{**a, "meta.label": word(t)} for a, t in zip(ALERTS, TRUE, strict=True)]
    found = measured(write(tmp_path / "rows.ndjson", rows), "--labels", "meta.label")
    assert found["attacks"] == sum(TRUE)


def test_a_table_is_read_by_its_header(tmp_path: Path) -> None:
    rows = [{**a, "label": word(t)} for a, t in zip(ALERTS, TRUE, strict=True)]
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    found = measured(str(path), "--labels", "label", "--group-by", "host")
    assert (found["alerts"], found["scored"]) == (120, 12)
    packed = tmp_path / "rows.txt.gz"  # no name of a table, but a header that has the label
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert measured(str(packed), "--labels", "label")["attacks"] == sum(TRUE)
    done = run("triage", str(path), "--format", "ndjson")
    titles = [json.loads(line)["title"] for line in done.stdout.splitlines()]
    assert titles == [alert["name"] for alert in ALERTS]


LABEL_FILES: dict[str, Callable[[list[str]], str]] = {
    "words": "\n".join,
    "words under a header": lambda words: "\n".join(["label", *words]),
    "table of places": lambda words: "\n".join(
        ["index,label", *(f"{n},{w}" for n, w in enumerate(words))]
    ),
    "table of ids": lambda words: "\n".join(
        ["number;disposition", *reversed([f"{n};{w}" for n, w in enumerate(words)])]
    ),
    "lines of ids": lambda words: "\n".join(
        json.dumps({"number": n, "label": w}) for n, w in enumerate(words)
    ),
    "an array": json.dumps,
}


@pytest.mark.parametrize("kind", LABEL_FILES)
def test_labels_in_a_file_of_their_own(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path / "alerts.ndjson", ALERTS)
    labels = tmp_path / "labels.txt"
    labels.write_text(LABEL_FILES[kind]([word(true) for true in TRUE]), encoding="utf-8")
    found = measured(file, "--labels", str(labels))
    plain = measured(write(tmp_path / "plain.ndjson", ROWS))
    assert found["reliability"] == plain["reliability"]


def test_learning_and_triage_read_envelopes_alike(tmp_path: Path) -> None:
    lessons = [around(a, n, int(t)) for n, (a, t) in enumerate(zip(ALERTS, TRUE, strict=True))]
    learned = write(tmp_path / "lessons.ndjson", lessons)
    bare = write(tmp_path / "bare.ndjson", ALERTS[:30])
    wrapped = write(tmp_path / "wrapped.ndjson", [{"id": 7, "alert": a} for a in ALERTS[:30]])
    judged = write(tmp_path / "judged.ndjson", ROWS[:30])
    chances = []
    for file in (bare, wrapped, judged):
        done = run("triage", file, "--learn-from", learned, "--format", "ndjson")
        assert done.returncode == 0, done.stderr
        chances.append([json.loads(line)["probability"] for line in done.stdout.splitlines()])
    assert chances[0] == chances[1] == chances[2]
    assert len(set(chances[0])) > 1


def test_a_word_for_the_harmless_makes_every_other_word_an_attack(tmp_path: Path) -> None:
    words = ["Ordinary" if n % 3 else ("DDoS", "PortScan")[n % 2] for n in range(60)]
    rows = [{**a, "class": w} for a, w in zip(ALERTS[:60], words, strict=True)]
    file = write(tmp_path / "rows.ndjson", rows)
    found = measured(file, "--labels", "class", "--harmless", "ordinary")
    assert (found["alerts"], found["attacks"]) == (60, 20)
    done = run("evaluate", file, "--labels", "class")
    assert done.returncode == 2
    assert "--harmless" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["alerts.ndjson", "--labels", "no-such.txt"], "no file has this name"),
        (["alerts.ndjson", "--labels", "truth"], "fields: time, name, host"),
        (["alerts.ndjson"], "--labels"),
        (["plain.ndjson", "--learn-from", "empty.ndjson"], "empty.ndjson"),
        (["empty.ndjson"], "empty.ndjson: the file holds no alert"),
        (["alerts.ndjson", "--labels", "odd.csv"], "odd.csv"),
    ],
)
def test_what_cannot_be_used_says_what_to_do(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    write(tmp_path / "alerts.ndjson", ALERTS)
    write(tmp_path / "plain.ndjson", ROWS)
    write(tmp_path / "empty.ndjson", [])
    (tmp_path / "odd.csv").write_text("who,what\na,b\n")
    files = [str(tmp_path / a) if "." in a else a for a in arguments]
    done = run("evaluate", *files)
    assert done.returncode == 2, done.stdout
    assert told in " ".join(done.stderr.split())


def test_a_line_without_an_alert_is_refused(tmp_path: Path) -> None:
    none = [{"alert": nothing, "disposition": "tp"} for nothing in (None, [], 5, "", True)]
    found = measured(write(tmp_path / "rows.ndjson", [*ROWS, *none]))
    assert found["left_out"]["refused"] == 5
    assert found["alerts"] == len(ROWS)
