"""`tocsin normalize`: what Tocsin makes of alerts, without storing anything."""

import sys
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Annotated

import msgspec
import typer

from tocsin.cli import files
from tocsin.cli.look import console, table
from tocsin.errors import InputError, PayloadError
from tocsin.ingest import Limits
from tocsin.model import Alert
from tocsin.normalize import normalize_payload, source_names, to_ecs
from tocsin.settings import load

_encoder = msgspec.json.Encoder()


class Form(StrEnum):
    """How a normalised alert is written."""

    JSON = "json"
    ECS = "ecs"


def normalize(
    file: Annotated[list[str], typer.Argument(help="Files, globs or - for standard input.")],
    source: Annotated[str, typer.Option(help="auto, or a source's name.")] = "auto",
    form: Annotated[
        Form, typer.Option("--format", help="Tocsin's records, or nested ECS.")
    ] = Form.JSON,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Do not print the shares of filled fields.")
    ] = False,
) -> None:
    """Print one normalised alert a line (NDJSON), in input order.

    A record that cannot be used is printed as {"error": …, "index": n}; the exit code is then 1.
    How many alerts of each source have which fields is printed to standard error at the end.

    Example: tocsin normalize samples/suricata.ndjson --format ecs
    """
    if source != "auto" and source not in source_names():
        raise InputError(f"--source: auto or one of {', '.join(source_names())}")
    settings = load()
    limits = Limits(settings.max_alert_bytes, settings.max_depth)
    failed, index, shares = 0, 0, Shares()
    for name in files.expand(file):
        for record in files.read(name):
            chosen = None if source == "auto" else source
            line = _line(record, index, chosen, form, limits, shares)
            failed += line.startswith(b'{"error"')
            sys.stdout.buffer.write(line + b"\n")
            index += 1
    sys.stdout.buffer.flush()
    if not quiet:
        shares.show()
    raise typer.Exit(1 if failed else 0)


class Shares:
    """How many alerts of each source have which fields."""

    FIELDS = (
        "rule.id", "rule.name", "event.time", "event.severity", "source.ip", "destination.ip",
        "host.name", "user.name", "process.name", "threat.techniques",
    )  # fmt: skip

    def __init__(self) -> None:
        self._alerts: Counter[str] = Counter()
        self._filled: Counter[tuple[str, str]] = Counter()
        self._get = {name: attrgetter(name) for name in self.FIELDS}

    def count(self, source: str, alert: Alert) -> None:
        """Take an alert into account."""
        self._alerts[source] += 1
        for name, get in self._get.items():
            self._filled[source, name] += bool(get(alert))

    def show(self) -> None:
        """Print the table to standard error."""
        shown = table("source", "alerts", *self.FIELDS)
        for source, count in sorted(self._alerts.items()):
            filled = (f"{self._filled[source, name] / count:.0%}" for name in self.FIELDS)
            shown.add_row(source, str(count), *filled)
        console(stderr=True).print(shown)


def _line(
    record: files.Record,
    index: int,
    source: str | None,
    form: Form,
    limits: Limits,
    shares: Shares,
) -> bytes:
    item = record.item(limits)
    if isinstance(item, PayloadError):
        return _encoder.encode({"error": str(item), "reason": item.code, "index": index})
    now = datetime.now(UTC)
    name, alert, gaps = normalize_payload(item.payload, source, now)
    shares.count(name, alert)
    if form is Form.ECS:
        return _encoder.encode(to_ecs(alert, source=name))
    plain = {"index": index, "source": name, "alert": alert, "gaps": gaps}
    return _encoder.encode(plain)
