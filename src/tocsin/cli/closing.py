"""`tocsin autoclose`: close alerts within a bound that is proven, and stop at once."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer

from tocsin.app import Store, open_store
from tocsin.cli.closing_tables import show_outcomes, show_preview, show_report
from tocsin.cli.decide import actor
from tocsin.cli.look import console, plain, table
from tocsin.closing import Autoclose, look_size
from tocsin.closing.bounds import samples_needed
from tocsin.errors import InputError, NotFoundError
from tocsin.model import ClosingRules
from tocsin.settings import load

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    help="Close alerts without a person, within a bound that random samples prove.\n\n"
    "classes, then shadow (draws samples, closes nothing), then samples (judge them), then preview "
    "(what would it have closed?), then enable; disable is the kill switch.",
)

Database = Annotated[str | None, typer.Option(help="Database URL; default TOCSIN_DATABASE.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Alerts = Annotated[int, typer.Option(min=1, help="Newest alerts to look at.")]


@app.command("show")
def show(database: Database = None, json: Json = False) -> None:
    """Show the policy: its state, what is proven for each class, and how near drift is.

    Example: tocsin autoclose show
    """
    report = _with(database, lambda autoclose, _: autoclose.report())
    if json:
        _print_json(report)
    else:
        show_report(report)


@app.command("classes")
def classes(
    alerts: Alerts = 20_000,
    rows: Annotated[int, typer.Option(min=1, help="Classes to list.")] = 40,
    database: Database = None,
    json: Json = False,
) -> None:
    """List the classes SOURCE/KIND of the newest triaged alerts, largest first, to choose from.

    Senders may name sources as they like, and each name makes classes of its own; small classes
    never get the samples that a proof takes. Choose before people have judged samples: choosing by
    what they said would void the bound.

    Example: tocsin autoclose classes --alerts 50000
    """
    found = _with(database, lambda autoclose, _: autoclose.classes(alerts))
    largest = found.most_common(rows)
    if json:
        _print_json(dict(largest))
    else:
        shown = table("class", "alerts", "share (%)")
        for name, count in largest:
            shown.add_row(plain(name), str(count), f"{100 * count / found.total():.1f}")
        console().print(shown)
    if len(found) > len(largest):
        left = found.total() - sum(count for _, count in largest)
        typer.echo(
            f"… and {len(found) - len(largest)} smaller classes with {left} alerts; see --rows",
            err=True,
        )


@app.command("shadow")
def shadow(
    names: Annotated[
        list[str], typer.Option("--class", help="SOURCE/KIND; repeat for several.", metavar="CLASS")
    ],
    alpha: Annotated[
        float, typer.Option(help="Largest share of attacks among closed alerts of a class, 0–1.")
    ] = 0.01,
    delta: Annotated[
        float, typer.Option(help="Chance that a bound does not hold, over all classes, 0–1.")
    ] = 0.05,
    sample_rate: Annotated[
        float, typer.Option(help="Share drawn at random for people, 0.01–1.")
    ] = 0.05,
    ceiling: Annotated[float, typer.Option(help="No threshold is above it, up to 0.5.")] = 0.25,
    samples: Annotated[
        int, typer.Option(help="Samples of a class for the first look; 0: the fewest that can do.")
    ] = 0,
    looks: Annotated[int, typer.Option(help="How often samples may be looked at, 1–8.")] = 1,
    rules: Annotated[
        str | None,
        typer.Option(help="More rules as JSON (docs/autoclose.md)", metavar="JSON"),
    ] = None,
    database: Database = None,
) -> None:
    """Begin a new policy in shadow mode: it draws random samples and closes nothing.

    With samples 0 a class is proven only when all of the fewest samples are clean. More samples
    allow for a few attacks among them, and find lower thresholds.

    \b
    Examples:
      tocsin autoclose shadow --class suricata/policy
      tocsin autoclose shadow --class suricata/policy --class wazuh/routine --samples 1000
    """
    given = {
        "classes": names,
        "alpha": alpha,
        "delta": delta,
        "sample_rate": sample_rate,
        "ceiling": ceiling,
        "samples": samples,
        "looks": looks,
    }
    try:
        more = msgspec.json.decode(rules, type=dict[str, object]) if rules else {}
        wanted = msgspec.convert(given | more, ClosingRules)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InputError(f"the rules cannot work: {error}") from error
    _with(database, lambda autoclose, _: autoclose.begin(wanted, actor=actor()))
    fewest = samples_needed(wanted.alpha, wanted.level)
    typer.echo(
        f"shadow mode: nothing is closed. Each class is looked at after {look_size(wanted, 1)} "
        f"judged samples ({fewest} clean ones are the fewest that can show at most "
        f"{wanted.alpha:.2%} attacks with confidence {1 - wanted.level:.2%}). Judge them: "
        "tocsin autoclose samples"
    )


@app.command("samples")
def samples(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most samples to list.")] = 50,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that would stay open whatever is proven.")
    ] = False,
    database: Database = None,
    json: Json = False,
) -> None:
    """List the random samples that wait for people, oldest first: what is proven waits for them.

    Example: tocsin autoclose samples --limit 20
    """

    async def find(_: Autoclose, store: Store) -> list[object]:
        state = await store.closing.state()
        version = 0 if state is None else state.policy.version
        return list(await store.closing.queue(version, limit=limit, everything=everything))

    found = _with(database, find)
    if json:
        _print_json(found)
        return
    shown = table("alert", "class", "p", "risk", "drawn at (UTC)", "rule", "host", "title")
    for line in msgspec.to_builtins(found):
        sample = line["sample"]
        shown.add_row(
            plain(sample["alert_id"]),
            plain(sample["class"]),
            f"{sample['probability']:.3f}",
            "-" if line["risk_score"] is None else f"{line['risk_score']:.1f}",
            sample["at"][:16],
            *(plain(line[name] or "-")[:60] for name in ("rule_id", "host_name", "title")),
        )
    console().print(shown)


@app.command("preview")
def preview(alerts: Alerts = 20_000, database: Database = None, json: Json = False) -> None:
    """Show what the policy would close, and what it would have closed of the newest alerts.

    Lists every alert among them that people call an attack, and prints the digest that enabling
    takes. Closes nothing. Exit code 1 if nothing is proven for any class.

    Example: tocsin autoclose preview --alerts 50000
    """
    found = _with(database, lambda autoclose, _: autoclose.preview(actor=actor(), alerts=alerts))
    if json:
        _print_json(found)
    else:
        show_preview(found)
    raise typer.Exit(0 if found.ready else 1)


@app.command("enable")
def enable(
    digest: Annotated[str, typer.Argument(help="From: tocsin autoclose preview.")],
    database: Database = None,
) -> None:
    """Let the policy close what the preview with this digest showed.

    Example: tocsin autoclose enable 0123456789abcdef
    """
    _with(database, lambda autoclose, _: autoclose.enable(digest, actor=actor()))
    typer.echo("on: running servers close from the next batch. Stop: tocsin autoclose disable")


@app.command("disable")
def disable(
    reason: Annotated[str, typer.Option(help="Why; shown to everybody.")] = "switched off",
    database: Database = None,
) -> None:
    """Kill switch: when this returns no alert is closed any more, in any process.

    Example: tocsin autoclose disable --reason "an attack was closed"
    """
    changed = _with(database, lambda autoclose, _: autoclose.disable(reason, actor=actor()))
    typer.echo("off: nothing is closed any more" if changed else "off: it was off already")


@app.command("reopen")
def reopen(
    alert_id: Annotated[str, typer.Argument(help="An alert that was closed.")],
    database: Database = None,
) -> None:
    """Give an alert that the policy closed back to people.

    Example: tocsin autoclose reopen 0195b0a0-5d3e-7cc1-8c7a-2f4c1f1f2a77
    """
    done = _with(database, lambda _, store: store.dossiers.reopen(alert_id, actor=actor()))
    if not done:
        raise NotFoundError(f"the policy has not closed {alert_id}, or people decided on it")
    typer.echo(f"reopened {plain(alert_id)}")


@app.command("simulate")
def simulate(
    histories: Annotated[int, typer.Option(min=100, help="Synthetic histories.")] = 10_000,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.2, help="As in shadow.")] = 0.01,
    delta: Annotated[float, typer.Option(min=0.0001, max=0.5, help="As in shadow.")] = 0.05,
    samples: Annotated[int, typer.Option(min=1, help="Judged samples of a class.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    json: Json = False,
) -> None:
    """Try the bound on synthetic histories: where it holds, and where an assumption is broken.

    Runs the functions that the server runs. Exit code 1 if the bound breaks more often than delta
    where all assumptions hold.

    Example: tocsin autoclose simulate --histories 10000 --alpha 0.01 --delta 0.05
    """
    from tocsin.closing.simulation import all_outcomes  # noqa: PLC0415  # numpy costs memory

    holding, broken = all_outcomes(
        histories=histories, alpha=alpha, delta=delta, samples=samples, seed=seed
    )
    failed = any(outcome.broken > delta for outcome in holding)
    if json:
        _print_json(
            [
                {
                    "world": o.world.name,
                    "text": o.world.text,
                    "holds": o in holding,
                    "bound_broken": o.broken,
                    "proven": o.proven,
                    "closed": o.closed,
                    "refused": o.refused,
                    "noticed": o.noticed,
                    "delay_alerts": None if o.delay != o.delay else o.delay,
                }
                for o in (*holding, *broken)
            ]
        )
        raise typer.Exit(1 if failed else 0)
    show_outcomes(
        f"{histories} histories, α = {alpha:.2%}, δ = {delta:.2%}, {samples} judged samples each",
        (f"All assumptions hold: broken must be at most {delta:.2%}", holding),
        ("One assumption is broken", broken),
    )
    raise typer.Exit(1 if failed else 0)


def _with(database: str | None, act: Callable[[Autoclose, Store], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_store(load(database=database)) as store:
            return await act(Autoclose(store.closing), store)

    return asyncio.run(run())


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
