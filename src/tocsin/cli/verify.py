"""`tocsin verify`: derive stored verdicts anew, or check an evidence bundle offline."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tocsin.app import Store, open_store
from tocsin.cli.look import plain, progress
from tocsin.errors import InputError, NotFoundError
from tocsin.model import Learned, Proof, ProofOutcome
from tocsin.proof import AuditFinding, Deriver, Finding, examine, learned_version
from tocsin.settings import Settings, load

SHOWN = 50  # verdicts that are named when all are checked
_encoder = msgspec.json.Encoder()


def verify(
    alerts: Annotated[
        list[str] | None, typer.Argument(help="As given when they were sent.", metavar="ALERT_ID…")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every alert with a verdict.")] = False,
    since: Annotated[
        str | None,
        typer.Option(help="Every alert received since: 2026-03-04 or 2026-03-04T12:00:00+01:00."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="With --all or --since: the newest ones only.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Check this evidence bundle; needs no database.")
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            help="With --bundle: the key that must have signed it, as a file or a fingerprint."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each verdict.")] = False,
    database: Annotated[
        str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")
    ] = None,
) -> None:
    """Derive stored verdicts anew from what they were made from, and compare them byte by byte.

    Every pointer of the evidence is followed, and the hash of what it points to is checked. Of a
    bundle, so are its signature and the hashes of its rows of the audit trail; where these were
    made with a key, it is read from TOCSIN_AUDIT_KEY.

    \b
    Examples:
      tocsin verify 01a212e1-0097-724e-a7c4-c774b8d82395
      tocsin verify --all
      tocsin verify --since 2026-03-01 --limit 1000
      tocsin verify --bundle evidence.zip --public-key sha256:3f9a…

    Exit code 0: all reproduced; 1: a verdict differs or cannot be derived by this version, or a
    bundle is not what was signed, or its audit rows not what was written; 2: there is no such
    alert, or the bundle cannot be read.
    """
    if sum((bool(alerts), every or since is not None, bundle is not None)) != 1:
        raise InputError("give alert ids, or --all or --since, or --bundle; see: tocsin verify -h")
    if public_key is not None and bundle is None:
        raise InputError("--public-key goes with --bundle")
    if limit is not None and alerts:
        raise InputError("--limit goes with --all or --since")
    settings, moment = load(database=database), _moment(since)
    if bundle is not None:
        keys = settings.audit_key.get_secret_value()
        raise typer.Exit(0 if _offline(bundle, public_key, keys, json=json) else 1)
    good = asyncio.run(_stored(settings, alerts or [], moment, limit, json=json))
    raise typer.Exit(0 if good else 1)


def _moment(text: str | None) -> datetime | None:
    """A point in time; one without a zone is in UTC."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError("--since: a date or a time like 2026-03-04T12:00:00Z") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


async def _stored(
    settings: Settings, alerts: list[str], since: datetime | None, limit: int | None, *, json: bool
) -> bool:
    """Check what is in the database; whether all was reproduced."""
    counts: Counter[ProofOutcome] = Counter()
    pointers = 0
    async with open_store(settings) as store:
        total = len(alerts) or await store.proofs.count(since)
        with progress() as bar:
            task = bar.add_task("verify", total=min(total, limit or total))
            async for proof in _proofs(store, alerts, since, limit):
                counts[proof.outcome] += 1
                pointers += proof.pointers
                bar.advance(task)
                if json:
                    sys.stdout.buffer.write(_encoder.encode(proof) + b"\n")
                elif alerts or _is_shown(proof, counts):
                    _say(proof, typer.echo)
    sys.stdout.buffer.flush()
    _sum_up(counts, pointers, err=json)
    return set(counts) <= {ProofOutcome.REPRODUCED}


def _is_shown(proof: Proof, counts: Counter[ProofOutcome]) -> bool:
    bad = counts.total() - counts[ProofOutcome.REPRODUCED]
    return proof.outcome is not ProofOutcome.REPRODUCED and bad <= SHOWN


async def _proofs(
    store: Store, alerts: list[str], since: datetime | None, limit: int | None
) -> AsyncIterator[Proof]:
    deriver, learned = Deriver(), dict[str, Learned | None]()
    async for ids in _given(alerts) if alerts else store.proofs.portions(since, limit):
        found = await store.proofs.judged(ids)
        if alerts and len(found) < len(ids):
            there = {judged.dossier.alert_id for judged in found}
            missing = next(alert_id for alert_id in ids if alert_id not in there)
            raise NotFoundError(f"there is no alert {missing} in this database")
        for judged in found:
            verdict = judged.dossier.verdict
            name = None if verdict is None else learned_version(verdict.model_version)
            if name is not None and name not in learned:
                learned[name] = await store.proofs.learned(name)
            yield deriver.prove(judged, None if name is None else learned[name])


async def _given(alerts: list[str]) -> AsyncIterator[list[str]]:
    yield list(dict.fromkeys(alerts))


def _say(proof: Proof, say: Callable[[str], None]) -> None:
    detail = f": {proof.detail}" if proof.detail else f", {proof.pointers} pointers of evidence"
    version = f" (model {proof.model_version})" if proof.model_version else ""
    say(plain(f"{proof.alert_id} {proof.outcome.value}{detail}{version}"))
    for one in proof.differences:
        say(plain(f"  {one.path}"))
        say(plain(f"    stored:  {_value(one.stored)}"))
        say(plain(f"    derived: {_value(one.derived)}"))


def _value(value: object) -> str:
    return "nothing" if value is None else _encoder.encode(value).decode()


def _sum_up(counts: Counter[ProofOutcome], pointers: int, *, err: bool) -> None:
    told = ", ".join(f"{counts[o]} {o.value.replace('_', ' ')}" for o in ProofOutcome if counts[o])
    typer.echo(
        f"{counts.total()} verdicts: {told or 'none'}; {pointers} pointers of evidence followed",
        err=err,
    )


def _offline(path: Path, public_key: str | None, keys: str, *, json: bool) -> bool:
    found = examine(path, public_key, keys)
    if json:
        sys.stdout.buffer.write(_encoder.encode(found) + b"\n")
    else:
        _report(found)
    proof = found.proof
    reproduced = proof is not None and proof.outcome is ProofOutcome.REPRODUCED
    genuine = not found.tampered and found.signer_known is not False
    return genuine and reproduced and found.audit is not None and not found.audit.wrong


def _report(found: Finding) -> None:
    manifest, proof, audit = found.manifest, found.proof, found.audit or AuditFinding()
    typer.echo(plain(f"alert {found.alert_id}, packed {manifest.created_at.isoformat()}"))
    typer.echo(plain(f"by {manifest.software}, model {manifest.model_version}"))
    typer.echo(f"strictest marking of indicators in it: TLP:{(manifest.tlp or 'none').upper()}")
    typer.echo(f"signing key {found.key}")
    if found.tampered:
        for line in found.tampered:
            typer.echo(plain(f"  {line}"))
        typer.echo("TAMPERED WITH: nothing in it can be relied on")
        return
    typer.echo("proven:")
    typer.echo("  all parts are as the holder of that key signed them")
    if found.signer_known:
        typer.echo("  that key is the one you named")
    if proof is not None and proof.outcome is ProofOutcome.REPRODUCED:
        typer.echo("  the verdict follows, byte for byte, from the alert and what was known of it")
        typer.echo(f"  all {proof.pointers} pointers of evidence lead to the values they name")
    if audit.right:
        typer.echo(
            f"  {audit.right} of {audit.rows} rows of the audit trail carry the hash of what they "
            f"say; {audit.linked} follow from a row in the bundle"
        )
    typer.echo("not proven:")
    if found.signer_known is None:
        typer.echo("  whose key it is: give --public-key with what its owner told you")
    if proof is not None and proof.outcome is not ProofOutcome.REPRODUCED:
        _say(proof, lambda line: typer.echo("  " + line))
    typer.echo("  that the alert is true, and that what was known of hosts and people was right")
    for line in audit.wrong:
        typer.echo(plain(f"  the audit trail: {line}"))
    if audit.unchecked:
        typer.echo(
            f"  {audit.unchecked} rows of the audit trail, hashed with a key or changed: give the "
            "key as TOCSIN_AUDIT_KEY"
        )
    typer.echo("  that no row is missing from the audit trail: tocsin audit verify does that")
    typer.echo(_conclusion(found))


def _conclusion(found: Finding) -> str:
    if found.signer_known is False:
        return "SIGNED BY ANOTHER KEY than the one you named"
    if found.proof is None or found.proof.outcome is not ProofOutcome.REPRODUCED:
        return "as it was signed, but the verdict was NOT REPRODUCED"
    if found.audit is not None and found.audit.wrong:
        return "as it was signed, but rows of the AUDIT TRAIL ARE NOT WHAT WAS WRITTEN"
    told = "verified" if found.signer_known else "internally consistent, signer not verified"
    unchecked = 0 if found.audit is None else found.audit.unchecked
    return told + (f"; {unchecked} rows of the audit trail unchecked" if unchecked else "")
