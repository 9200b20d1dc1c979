"""`tocsin normalize`: what Tocsin makes of alerts, without storing anything."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from tocsin.cli import files
from tocsin.errors import InputError, PayloadError
from tocsin.ingest import Limits
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
) -> None:
    """Print one normalised alert a line (NDJSON), in input order.

    A record that cannot be used is printed as {"error": …, "index": n}; the exit code is then 1.

    Example: tocsin normalize samples/suricata.ndjson --format ecs
    """
    if source != "auto" and source not in source_names():
        raise InputError(f"--source: auto or one of {', '.join(source_names())}")
    settings = load()
    limits = Limits(settings.max_alert_bytes, settings.max_depth)
    failed, index = 0, 0
    for name in files.expand(file):
        for record in files.read(name):
            line = _line(record, index, None if source == "auto" else source, form, limits)
            failed += line.startswith(b'{"error"')
            sys.stdout.buffer.write(line + b"\n")
            index += 1
    sys.stdout.buffer.flush()
    raise typer.Exit(1 if failed else 0)


def _line(
    record: files.Record, index: int, source: str | None, form: Form, limits: Limits
) -> bytes:
    item = record.item(limits)
    if isinstance(item, PayloadError):
        return _encoder.encode({"error": str(item), "reason": item.code, "index": index})
    now = datetime.now(UTC)
    name, alert, gaps = normalize_payload(item.payload, source, now)
    if form is Form.ECS:
        return _encoder.encode(to_ecs(alert, source=name))
    plain = {"index": index, "source": name, "alert": alert, "gaps": gaps}
    return _encoder.encode(plain)
