"""`tocsin decide`: say what an alert was, one or many, and take it back."""

import asyncio
import os
import pwd
import sys
from typing import Annotated

import msgspec
import typer

from tocsin.api.decisions import Filter, filter_of, named
from tocsin.app import Store, open_store
from tocsin.cli.look import console, plain, progress, table
from tocsin.errors import InputError, NotFoundError
from tocsin.model import Disposition
from tocsin.settings import Settings, load
from tocsin.store.bulk_decisions import Match
from tocsin.store.queries import AlertFilter

WORDS = ", ".join(Disposition)
FIELDS = ", ".join(Filter.__struct_fields__)


def decide(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ALERT_ID] DISPOSITION", help=f"Dispositions: {WORDS}."),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why; shown to whoever looks at the alert next.")
    ] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=VALUE", help=f"Instead of ALERT_ID; repeat. Fields: {FIELDS}."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what --where matches.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deciding many.")] = False,
    undo: Annotated[
        str | None, typer.Option(metavar="ID", help="Undo a decision, or a bulk decision.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")
    ] = None,
) -> None:
    """Decide what alerts were, and take decisions back.

    true_positive, benign_positive (the rule was right, the activity is allowed) and false_positive
    close the alert; undetermined leaves it open. Decisions move the priors of the same rule,
    machine, addresses and account at once. A later decision supersedes an earlier one; undoing it
    brings the earlier one back.

    \b
    Examples:
      tocsin decide 0198c2… false_positive --reason "the backup job, every night"
      tocsin decide false_positive --where rule_id=2019401 --where host_name=scan-1 --preview
      tocsin decide false_positive --where rule_id=2019401 --where host_name=scan-1 \\
        --reason "our own scanner" --yes
      tocsin decide --undo 5f0c…
    """
    settings = load(database=database)
    given = what or []
    if undo is not None:
        if given or where:
            raise InputError("--undo takes the id of a decision, and nothing beside it")
        asyncio.run(_undo(settings, undo))
    elif where:
        if len(given) != 1:
            raise InputError("give one disposition beside --where, and no alert id")
        disposition = _disposition(given[0])
        asyncio.run(_many(settings, _filter(where), disposition, reason, preview, yes))
    elif len(given) == 2:
        asyncio.run(_one(settings, given[0], _disposition(given[1]), _said(reason)))
    else:
        raise InputError("give ALERT_ID DISPOSITION, or --where, or --undo; see: --help")


def actor() -> str:
    """Who works here, for histories and the audit trail."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


async def _one(settings: Settings, alert_id: str, disposition: Disposition, reason: str) -> None:
    named(alert_id, NotFoundError("there is no such alert"))
    async with open_store(settings) as store:
        done = await store.decisions.decide(alert_id, disposition, reason, actor=actor())
    before = f", superseding {done.superseded.value}" if done.superseded else ""
    typer.echo(
        f"{alert_id} is {disposition.value}{before}; decision {done.order.disposition_id}\n"
        f"undo it with: tocsin decide --undo {done.order.disposition_id}"
    )


async def _many(
    settings: Settings,
    wanted: AlertFilter,
    disposition: Disposition,
    reason: str,
    preview: bool,
    yes: bool,
) -> None:
    async with open_store(settings) as store:
        match = await store.bulk_decisions.match(wanted)
        if preview or not yes:
            _show(match)
        if preview:
            return
        reason = _said(reason)
        if match.count == 0:
            raise InputError("--where matches no alert that can be decided")
        if not yes and not _confirmed(match.count, disposition):
            typer.echo("nothing was decided")
            return
        await _apply(store, wanted, match, disposition, reason)


async def _apply(
    store: Store, wanted: AlertFilter, match: Match, disposition: Disposition, reason: str
) -> None:
    bulks, who = store.bulk_decisions, actor()
    bulk_id, ids = await bulks.begin(wanted, match.token, disposition, reason, actor=who)
    decided = 0
    with progress() as bar:
        task = bar.add_task("decide", total=len(ids))
        async for count in bulks.portions(bulk_id, ids, disposition, reason, actor=who):
            decided += count
            bar.advance(task, count)
    typer.echo(
        f"{decided} alerts are {disposition.value}; bulk decision {bulk_id}\n"
        f"undo it with: tocsin decide --undo {bulk_id}"
    )


async def _undo(settings: Settings, name: str) -> None:
    named(name, NotFoundError("there is no such decision"))
    async with open_store(settings) as store:
        try:
            alert_id = await store.decisions.undo(name, actor=actor())
        except NotFoundError:
            await _undo_many(store, name)
        else:
            typer.echo(f"undone; alert {alert_id} is as it was before")


async def _undo_many(store: Store, name: str) -> None:
    undone = 0
    try:
        with progress() as bar:
            task = bar.add_task("undo", total=None)
            async for count in store.bulk_decisions.undo(name, actor=actor()):
                undone += count
                bar.advance(task, count)
    except NotFoundError as error:
        raise NotFoundError(f"there is no decision and no bulk decision {name}") from error
    typer.echo(f"undone; {undone} alerts are as they were before")


def _show(match: Match) -> None:
    screen = console()
    screen.print(f"{match.count} alerts match")
    for title, counts in (
        ("by rule", match.by_rule),
        ("by source", match.by_source),
        ("by verdict", match.by_verdict),
        ("decided before, to be superseded", match.decided),
    ):
        if counts:
            listed = ", ".join(f"{name or '-'} {count}" for name, count in counts.items())
            screen.print(f"{title}: {plain(listed)}")
    if not match.sample:
        return
    shown = table("alert id", "verdict", "risk", "rule", "host", "title")
    for one in match.sample:
        shown.add_row(
            one.alert_id,
            one.verdict.value if one.verdict else "-",
            f"{one.risk_score or 0:.1f}",
            plain(one.rule_id or "-"),
            plain(one.host_name or "-"),
            plain(one.title or "-"),
        )
    screen.print(shown)


def _confirmed(count: int, disposition: Disposition) -> bool:
    if not sys.stdin.isatty():
        raise InputError("this decides many alerts at once: give --yes, or --preview to look first")
    return typer.confirm(f"Decide that these {count} alerts are {disposition.value}?")


def _disposition(word: str) -> Disposition:
    try:
        return Disposition(word)
    except ValueError as error:
        raise InputError(f"{word!r} is no disposition; there are: {WORDS}") from error


def _said(reason: str) -> str:
    if not reason.strip():
        raise InputError("--reason: say why, in a few words; it is shown to whoever looks next")
    return reason


def _filter(where: list[str]) -> AlertFilter:
    given: dict[str, str] = {}
    for pair in where:
        name, equals, value = pair.partition("=")
        if not equals or name in given:
            raise InputError(f"--where {pair}: give FIELD=VALUE, each field once")
        given[name] = value
    try:
        fields = msgspec.convert(given, Filter, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"--where: {error}; fields: {FIELDS}") from error
    return filter_of(msgspec.structs.asdict(fields))
