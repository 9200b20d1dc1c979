"""A model's second opinion on the screen, with what code left out of it."""

from rich.console import Console

from tocsin.cli.look import plain
from tocsin.model import Change, CheckedClaim, LedgerStep, Opinion, OpinionStatus


def show_opinion(screen: Console, opinion: Opinion) -> None:
    """Print the opinion, or why there is none."""
    screen.print("\nSecond opinion of a language model:", style="bold")
    screen.print(f"  {opinion.status.value}: {plain(opinion.why)}")
    if opinion.error:
        screen.print(f"  {plain(opinion.error)}", style="dim")
    if opinion.status is OpinionStatus.DONE:
        _show_reply(screen, opinion)
    for step in opinion.ledger:
        _show_step(screen, step)
    if opinion.ledger:
        screen.print(
            f"  {plain(opinion.model or '-')}: {opinion.prompt_tokens} tokens read, "
            f"{opinion.completion_tokens} written, {opinion.cost_usd:.4f} USD",
            style="dim",
        )


def _show_reply(screen: Console, opinion: Opinion) -> None:
    if opinion.assessment:
        screen.print(f"  it takes the alert for: {opinion.assessment.value} (changes nothing)")
    if opinion.change:
        screen.print(f"  {_changed(opinion.change)}")
    if opinion.summary:
        screen.print(f"  {plain(opinion.summary)}")
    for claim in opinion.claims:
        _show_claim(screen, claim)
    for question in opinion.questions:
        screen.print(f"  ? {plain(question)}")
    for note in opinion.notes:
        screen.print(f"  note: {plain(note)}", style="dim")


def _show_claim(screen: Console, claim: CheckedClaim) -> None:
    cited = plain(", ".join(claim.cites))
    if claim.dropped is None:
        screen.print(f"  - {plain(claim.text)} ({cited})")
    else:
        screen.print(
            f"  left out, {plain(claim.dropped)}: {plain(claim.text)} ({cited})", style="dim"
        )


def _show_step(screen: Console, step: LedgerStep) -> None:
    told = f"  step {step.number}: {step.ms:.0f} ms, prompt sha256 {step.prompt_sha256[:16]}"
    screen.print(told + (f", {plain(step.error)}" if step.error else ""), style="dim")
    for lookup in step.lookups:
        found = lookup.error or f"{lookup.rows} rows in {lookup.ms:.1f} ms"
        screen.print(
            f"    looked up {lookup.tool.value} {plain(lookup.value)}: {plain(found)}", style="dim"
        )


def _changed(change: Change) -> str:
    parts = []
    if change.risk_after > change.risk_before:
        parts.append(f"it raised the risk from {change.risk_before:.1f} to {change.risk_after:.1f}")
    if change.review_after and not change.review_before:
        parts.append("it asked for a person to look")
    return " and ".join(parts) or "it changed nothing"
