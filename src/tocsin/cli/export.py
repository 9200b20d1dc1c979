"""`tocsin export`: a signed evidence bundle of one alert."""

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from tocsin.app import data_folder, open_store
from tocsin.cli.look import plain
from tocsin.errors import InputError
from tocsin.proof import Contents, Signer, contents_of, open_signer, pack
from tocsin.settings import Settings, load


def export(
    alert_id: Annotated[
        str | None, typer.Argument(help="As given when the alert was sent.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; - is standard output.")
    ] = None,
    public_key: Annotated[
        bool, typer.Option("--public-key", help="Print this installation's public key instead.")
    ] = False,
    database: Annotated[
        str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data folder; default TOCSIN_DATA.")] = None,
) -> None:
    """Write everything that a verdict was made from into one signed file.

    It holds the payload, the normalised alert, context, intelligence, evidence, gaps, decisions,
    incidents, a second opinion with its ledger, and the audit trail's rows about the alert.
    Others check it with: tocsin verify --bundle FILE, without your database.

    \b
    Examples:
      tocsin export 01a212e1-0097-724e-a7c4-c774b8d82395 -o evidence.zip
      tocsin export --public-key > tocsin.pem

    The signing key is made on first use; tell those who check your bundles its fingerprint.
    """
    settings = load(database=database, data=data)
    if public_key:
        if alert_id is not None:
            raise InputError("give an alert or --public-key, not both")
        signer = _signer(settings)
        typer.echo(signer.public.decode(), nl=False)
        typer.echo(f"fingerprint {signer.fingerprint}", err=True)
        return
    if alert_id is None or output is None:
        raise InputError("give an alert and a file: tocsin export ALERT_ID -o FILE")
    contents = asyncio.run(_read(settings, alert_id))
    signer = _signer(settings)
    content = pack(contents, signer)
    if str(output) == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(output, content)
    typer.echo(
        f"{plain(str(output))}: {len(content)} bytes, signed by {signer.fingerprint}", err=True
    )


def _signer(settings: Settings) -> Signer:
    if settings.signing_key is None:
        data_folder(settings)
    return open_signer(settings)


async def _read(settings: Settings, alert_id: str) -> Contents:
    async with open_store(settings) as store:
        return await contents_of(store.proofs, alert_id)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by its owner alone."""
    aside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
