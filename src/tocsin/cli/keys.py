"""`tocsin key`: API keys."""

import asyncio
import sys
from datetime import timedelta
from typing import Annotated

import typer

from tocsin.app import open_store
from tocsin.cli.look import console, plain, table
from tocsin.model import KeyScope
from tocsin.settings import Settings, load
from tocsin.store.accounts import ApiKey

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")

Database = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
Data = Annotated[str | None, typer.Option(help="Data folder; default TOCSIN_DATA.")]


@app.command("create")
def create(
    name: Annotated[
        str, typer.Argument(help="What the key is for, e.g. suricata-berlin.")
    ] = "unnamed",
    scope: Annotated[
        list[KeyScope] | None,
        typer.Option(help="What the key may do; repeat for several. Default: ingest and read."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until the key expires.")] = None,
    database: Database = None,
    data: Data = None,
) -> None:
    """Create a key. Piped, the key alone is on standard output.

    Example: KEY=$(tocsin key create sensor-1 --scope ingest)
    """
    lifetime = None if days is None else timedelta(days=days)
    key, secret = asyncio.run(_create(load(database=database, data=data), name, scope, lifetime))
    if sys.stdout.isatty():
        typer.echo(f"{secret}\n")
        typer.echo(f"key {key.key_id} ({', '.join(key.scopes)}): it is not shown again.", err=True)
    else:
        typer.echo(secret)


@app.command("list")
def show(database: Database = None, data: Data = None) -> None:
    """List keys: never the keys themselves."""
    keys = asyncio.run(_list(load(database=database, data=data)))
    shown = table("key id", "name", "scopes", "created", "expires", "revoked")
    for key in keys:
        moments = (key.created_at, key.expires_at, key.revoked_at)
        shown.add_row(
            key.key_id,
            plain(key.name),
            " ".join(key.scopes),
            *("-" if m is None else m.isoformat(timespec="seconds") for m in moments),
        )
    console().print(shown)


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="From: tocsin key list.")],
    database: Database = None,
    data: Data = None,
) -> None:
    """Make a key useless, for good; running servers refuse it within a second."""
    asyncio.run(_revoke(load(database=database, data=data), key_id))
    typer.echo(f"revoked {key_id}")


async def _create(
    settings: Settings, name: str, scopes: list[KeyScope] | None, lifetime: timedelta | None
) -> tuple[ApiKey, str]:
    async with open_store(settings) as store:
        return await store.accounts.create_key(
            name, scopes or [KeyScope.INGEST, KeyScope.READ], lifetime
        )


async def _list(settings: Settings) -> list[ApiKey]:
    async with open_store(settings) as store:
        return await store.accounts.list_keys()


async def _revoke(settings: Settings, key_id: str) -> None:
    async with open_store(settings) as store:
        await store.accounts.revoke_key(key_id)
