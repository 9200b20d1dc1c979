"""How `tocsin autoclose` shows a policy, a preview and a simulation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tocsin.cli.look import console, plain, table
from tocsin.closing import ClosingPreview, ClosingReport
from tocsin.model import ClassBound, ClosingMode

if TYPE_CHECKING:  # numpy costs memory that other commands do not need
    from tocsin.closing.simulation import Outcome

SHOWN_RULES = 20


def show_report(report: ClosingReport) -> None:
    """The policy as it stands."""
    screen = console()
    style = "red" if report.tripped else "green" if report.mode is ClosingMode.ON else "bold"
    screen.print(f"autoclose: {report.mode.value}", style=style)
    if report.reason:
        screen.print(
            f"{'switched itself off' if report.tripped else 'why'}: {plain(report.reason)}"
        )
    if report.rules is None:
        return
    rules = report.rules
    screen.print(
        f"version {report.version}, changed {report.changed_at:%Y-%m-%d %H:%M} UTC by "
        f"{plain(report.changed_by or '-')}; α = {rules.alpha:.2%}, δ = {rules.delta:.2%}, "
        f"{rules.sample_rate:.0%} drawn for people\n"
        f"{report.closed} alerts closed, {report.reopened} reopened, {report.missed} called "
        "attacks afterwards\n"
    )
    _show_bounds(tuple(item.bound for item in report.classes))
    for finding in report.drift:
        screen.print(
            f"{finding.test:8} {finding.value:10.3f} of {finding.limit:.3f}  {plain(finding.text)}"
        )


def _show_bounds(bounds: tuple[ClassBound, ...]) -> None:
    shown = table(
        "class", "threshold", "samples", "needed", "to judge", "attacks", "bound (%)",
        "closes (%)", "of all attacks (%)",
    )  # fmt: skip
    for bound in bounds:
        seen = bound.look > 0
        shown.add_row(
            plain(bound.class_name),
            "-" if bound.threshold is None else f"{bound.threshold:.4f}",
            str(bound.samples),
            str(bound.needed),
            str(bound.undecided),
            f"{bound.attacks} of {bound.below}" if seen else "-",
            f"{100 * bound.bound:.3f}" if seen else "-",
            f"{100 * bound.closes:.1f}" if bound.threshold is not None else "-",
            f"≤ {100 * bound.lost:.1f}" if bound.threshold is not None else "-",
        )
    screen = console()
    screen.print(shown)
    for bound in bounds:
        if bound.why:
            screen.print(f"{plain(bound.class_name)}: {plain(bound.why)}")


def show_preview(found: ClosingPreview) -> None:
    """What it would have closed, and what enabling takes."""
    screen = console()
    _show_bounds(found.bounds)
    share = 100 * found.would_close / found.alerts if found.alerts else 0.0
    screen.print(
        f"\nOf the newest {found.alerts} alerts it would have closed {found.would_close} "
        f"({share:.1f} %) and drawn {found.drawn} for people."
    )
    shown = table("class", "rule", "alerts", "would close")
    for line in found.counts[:SHOWN_RULES]:
        shown.add_row(
            plain(line.class_name), plain(line.rule)[:60], str(line.alerts), str(line.would_close)
        )
    screen.print(shown)
    screen.print(
        f"\n{len(found.attacks)} alerts that people call attacks would have been closed"
        + (":" if found.attacks else "."),
        style="red" if found.attacks else None,
    )
    attacks = table("alert", "class", "p", "drawn", "rule", "title")
    for attack in found.attacks:
        attacks.add_row(
            plain(attack.alert_id),
            plain(attack.class_name),
            f"{attack.probability:.3f}",
            "yes" if attack.drawn else "no",
            plain(attack.rule)[:40],
            plain(attack.title)[:60],
        )
    if found.attacks:
        screen.print(attacks)
    if found.ready:
        screen.print(f"\nTo let it close: tocsin autoclose enable {found.digest}")
    else:
        screen.print("\nNothing is proven for any class, so it cannot be enabled.")


def show_outcomes(headline: str, *parts: "tuple[str, Sequence[Outcome]]") -> None:
    """What became of the histories of each world; each part has a title."""
    screen = console()
    screen.print(headline + "\n")
    for title, outcomes in parts:
        screen.print(title, style="bold")
        shown = table(
            "world", "broken (%)", "proven (%)", "closed (%)", "refused (%)", "noticed (%)",
            "after (alerts)", "what is so",
        )  # fmt: skip
        for o in outcomes:
            shares = (o.broken, o.proven, o.closed, o.refused, o.noticed)
            shown.add_row(
                o.world.name,
                *(f"{100 * share:.2f}" for share in shares),
                "-" if o.noticed == 0 else f"{o.delay:.0f}",
                o.world.text,
            )
        screen.print(shown)
        screen.print()
    screen.print(
        "broken: histories that close more attacks than α; proven: histories with a threshold; "
        "closed: alerts, on average;\nrefused: by the guard against repeats; noticed: of those "
        "proven, switched off by a drift test\nwithin 2000 judged samples of what is closed; "
        "after: median until then.",
        style="dim",
    )
