"""One trial: a challenger is learned, meets the champion, and is found better or not."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from tocsin.model import Decided, Dossier, Example, Learned
from tocsin.ports import Learner
from tocsin.trial.baselines import baselines
from tocsin.trial.card import Card, data_of, moved
from tocsin.trial.compare import NEEDED_SHARE, compare
from tocsin.trial.noise import thin
from tocsin.trial.split import check, split


class Verdict(NamedTuple):
    """What came of a trial: the model to store, its card, whether it may go live, and why."""

    learned: Learned
    card: Card
    better: bool
    why: str


def hold(
    learner: Learner,
    examples: Sequence[Example],
    champion: Learned | None,
    *,
    seen: Collection[str],
    now: datetime,
    seed: int = 0,
    by_rule: Mapping[str, Decided] | None = None,
    undecided: Sequence[Dossier] = (),
) -> Verdict:
    """Learn from a part of the decisions, compare on the rest, and if better learn from all.

    Args:
        learner: the mathematics.
        examples: decisions that say what an alert was.
        champion: the model that is live; None for the one that ships.
        seen: the alerts whose decisions the champion has learned from.
        now: when the decisions were read; the card carries it.
        seed: of everything random; the same seed and decisions give the same verdict.
        by_rule: how all alerts of each rule stand decided, where the examples are only some.
        undecided: alerts of rules that nobody has decided on; the challenger is to know no more of
            rules that it first meets in what is held back.

    Raises:
        NotEnough: there is too little to learn from or to compare on.
    """
    thinned = thin(examples)
    check(thinned.examples)
    parts = split(thinned.examples, seen=seen)
    held = list(chain.from_iterable(parts.held))
    others = [*undecided, *[example.dossier for example in held]]
    challenger = learner.levelled(learner.fit(parts.learned, seed=seed, by_rule=by_rule), others)
    comparison = compare(learner.assess, champion, challenger, parts.held, seed=seed)
    better = comparison.better
    final = challenger
    if better:
        final = learner.fit(thinned.examples, seed=seed, by_rule=by_rule)
        final = learner.levelled(final, undecided)
    card = Card(
        version=final.version,
        trial_version=challenger.version,
        champion_version=champion.version if champion else "shipped",
        created_at=now,
        seed=seed,
        data=data_of(examples, thinned, parts),
        challenger=learner.assess(challenger, held),
        champion=learner.assess(champion, held),
        baselines=baselines(parts.learned, held),
        comparison=comparison,
        moved=moved(champion, final),
    )
    why = (
        f"{'better' if better else 'not better'} than {card.champion_version} on {len(held)} "
        f"decisions held back: log-loss {card.challenger.log_loss:.4f} against "
        f"{card.champion.log_loss:.4f} nats, less in {100 * comparison.share_better:.1f} % of "
        f"{comparison.resamples} resamples ({100 * NEEDED_SHARE:.0f} % are needed)"
    )
    return Verdict(final, card, better, why)
