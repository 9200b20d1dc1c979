"""The life of a policy: off, shadow, on, and off again by a person or by itself."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
from msgspec import structs

from tocsin import logs
from tocsin.closing.calibration import calibrate, look_size
from tocsin.closing.decision import decide
from tocsin.closing.findings import findings
from tocsin.closing.report import ClosingPreview, Finding, KnownAttack, WouldClose
from tocsin.errors import ConflictError, InputError
from tocsin.model import (
    NOT_CLOSABLE,
    ClassBound,
    Closing,
    ClosingAction,
    ClosingMode,
    ClosingPolicy,
    ClosingRules,
    Dossier,
    PolicyState,
)
from tocsin.ports import ClosingBook

HISTORY = 20_000
"""Newest alerts that a preview looks at, unless somebody asks for another number."""
KNOWN_ATTACKS = 5_000
MOST_CLASSES = 32

log = logs.get("closing")


class Autoclose:
    """What people, and the watch, do with the policy.

    Args:
        book: what is kept.
        clock: the time now.
    """

    def __init__(self, book: ClosingBook, *, clock: "Clock | None" = None) -> None:
        self._book = book
        self._clock = clock or Clock()

    async def begin(self, rules: ClosingRules, *, actor: str) -> None:
        """Begin a new policy in shadow mode; nothing is closed until it is enabled.

        Raises:
            InputError: the rules cannot work.
        """
        check(rules)
        await self._book.begin(rules, actor=actor)
        log.info("closing.begun", classes=len(rules.classes))

    async def bounds(self, state: PolicyState) -> tuple[tuple[ClassBound, ...], str]:
        """What the samples of each class prove now, and for which version of the model."""
        policy = state.policy
        rules = policy.rules
        model = await self._book.newest_model(policy.version) if rules.same_model else ""
        scores = await self._book.scores(policy.version)
        found = []
        for name in rules.classes:
            samples = await self._book.samples(
                policy.version, name, limit=look_size(rules, rules.looks), model_version=model
            )
            passing: Counter[int] = Counter()
            for counts in scores.get(name, {}).values():
                passing.update({n: c for n, c in counts.items() if n < NOT_CLOSABLE})
            found.append(await asyncio.to_thread(calibrate, rules, name, samples, passing))
        return tuple(found), model

    async def preview(self, *, actor: str, alerts: int = HISTORY) -> ClosingPreview:
        """What the policy would close and would have closed; the thresholds are shown and, in
        shadow mode, kept, so that from then on it says of new alerts what it would close.

        Raises:
            InputError: there is no policy.
        """
        state = await self._state()
        bounds, model = await self.bounds(state)
        if state.policy.mode is ClosingMode.SHADOW and bounds != state.bounds:
            await self._book.calibrate(state.policy.revision, bounds, model, actor=actor)
        acting = _acting(state.policy, bounds, model)
        counts: Counter[tuple[str, str, ClosingAction]] = Counter()
        times = []
        async for chunk in self._book.history(alerts):
            for dossier in chunk:
                closing = decide(acting, dossier)
                counts[closing.class_name, _rule(dossier), closing.action] += 1
            times += [chunk[0].received_at, chunk[-1].received_at]
            await asyncio.sleep(0)
        attacks = await self._attacks(acting)
        return ClosingPreview(
            digest=_digest(state.policy.version, bounds, model, attacks),
            ready=any(bound.threshold is not None for bound in bounds),
            version=state.policy.version,
            bounds=bounds,
            alerts=counts.total(),
            would_close=_sum(counts, ClosingAction.CLOSED),
            drawn=_sum(counts, ClosingAction.SAMPLED),
            counts=_by_rule(counts),
            attacks=attacks,
            since=min(times, default=None),
            until=max(times, default=None),
        )

    async def enable(self, digest: str, *, actor: str) -> None:
        """Let the policy close what the preview with this digest showed.

        Raises:
            InputError: there is no policy, it is proven for no class, or it switched itself off.
            ConflictError: what it would close is not what that preview showed.
        """
        state = await self._state()
        if state.tripped:
            raise InputError(
                f"the policy switched itself off: {state.reason}. What it was calibrated on holds "
                "no more; begin a new one"
            )
        if state.policy.mode is ClosingMode.ON:
            raise InputError("the policy is on already")
        bounds, model = await self.bounds(state)
        if all(bound.threshold is None for bound in bounds):
            reasons = "; ".join(f"{bound.class_name}: {bound.why}" for bound in bounds)
            raise InputError(f"there is no class that it could close. {reasons}")
        attacks = await self._attacks(_acting(state.policy, bounds, model))
        if digest != _digest(state.policy.version, bounds, model, attacks):
            raise ConflictError(
                "what would be closed is not what that preview showed; look at a new preview"
            )
        scores = await self._book.scores(state.policy.version)
        reference = {
            name: dict(sum((Counter(counts) for counts in hours.values()), Counter()))
            for name, hours in scores.items()
        }
        revision = state.policy.revision
        if bounds != state.bounds or model != state.policy.model_version:
            await self._book.calibrate(revision, bounds, model, actor=actor)
            revision += 1
        await self._book.enable(revision, reference, actor=actor)
        log.warning("closing.enabled", version=state.policy.version)

    async def disable(self, reason: str, *, actor: str) -> bool:
        """The kill switch: when this returns, no batch closes an alert any more.

        Returns:
            Whether there was anything to switch off.
        """
        done = await self._book.switch_off(reason, actor=actor)
        log.warning("closing.disabled", changed=done)
        return done

    async def check(self) -> tuple[PolicyState | None, tuple[Finding, ...]]:
        """Look for drift, and switch the policy off when there is any.

        Returns:
            The state after it, and what was found while the policy was on.
        """
        state = await self._book.state()
        if state is None or state.policy.mode is not ClosingMode.ON:
            return state, ()
        policy, now = state.policy, self._clock.now()
        scores = await self._book.scores(policy.version)
        late = now - timedelta(days=policy.rules.review_days)
        overdue = await self._book.overdue(policy.version, late)
        samples = {
            name: await self._book.samples(
                policy.version,
                name,
                limit=1_000_000,
                model_version=policy.model_version,
                after=state.enabled_at,
            )
            for name in policy.thresholds
        }
        found = findings(state, samples, scores, overdue)
        wrong = [finding for finding in found if finding.trips]
        if wrong:
            reason = "; ".join(finding.text for finding in wrong)
            done = await self._book.switch_off(
                reason, actor="closing", revision=policy.revision, tripped=True
            )
            if done:
                log.error("closing.tripped", version=policy.version, tests=[f.test for f in wrong])
            state = await self._book.state()
        return state, found

    async def _state(self) -> PolicyState:
        state = await self._book.state()
        if state is None:
            raise InputError(
                "there is no policy yet; begin one: tocsin autoclose shadow --class SOURCE/KIND"
            )
        return state

    async def _attacks(self, acting: ClosingPolicy) -> tuple[KnownAttack, ...]:
        """Every alert that people call an attack and that the policy would have closed."""
        found = []
        for dossier in await self._book.judged(await self._book.attacks(KNOWN_ATTACKS)):
            closing = decide(acting, dossier)
            if closing.action is ClosingAction.CLOSED or _only_drawn(closing):
                found.append(
                    KnownAttack(
                        alert_id=dossier.alert_id,
                        class_name=closing.class_name,
                        rule=_rule(dossier),
                        title=dossier.alert.title if dossier.alert else "",
                        probability=closing.probability,
                        drawn=closing.action is ClosingAction.SAMPLED,
                    )
                )
        return tuple(sorted(found, key=lambda attack: attack.alert_id))


class Clock:
    """The time; tests set their own."""

    def now(self) -> datetime:
        """The time now, UTC."""
        return datetime.now(UTC)


def check(rules: ClosingRules) -> None:
    """Whether rules can work, beyond the bounds of each number.

    Raises:
        InputError: they cannot; the message says what to do.
    """
    if not rules.classes:
        raise InputError("classes: name at least one SOURCE/KIND (tocsin autoclose classes)")
    if len(rules.classes) > MOST_CLASSES or len(set(rules.classes)) != len(rules.classes):
        raise InputError(f"classes: at most {MOST_CLASSES}, each once: delta is split over them")
    for name in rules.classes:
        source, _, kind = name.partition("/")
        if not (source and kind and name.isprintable()) or not _is_unicode(name):
            raise InputError(f"classes: {name!r} is not SOURCE/KIND, e.g. suricata/policy")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _acting(
    policy: ClosingPolicy, bounds: Sequence[ClassBound], model_version: str
) -> ClosingPolicy:
    """The policy as it would be, enabled with these bounds."""
    proven = {b.class_name: b.threshold for b in bounds if b.threshold is not None}
    return structs.replace(
        policy, mode=ClosingMode.ON, thresholds=proven, model_version=model_version
    )


def _only_drawn(closing: Closing) -> bool:
    return (
        closing.action is ClosingAction.SAMPLED
        and closing.closable
        and closing.threshold is not None
        and closing.probability <= closing.threshold
    )


def _rule(dossier: Dossier) -> str:
    alert = dossier.alert
    return "" if alert is None else (alert.rule.id or alert.rule.name or alert.title)


def _digest(
    version: int, bounds: Sequence[ClassBound], model: str, attacks: Sequence[KnownAttack]
) -> str:
    """What a preview showed, in 16 hexadecimal digits; new alerts do not change it."""
    shown = (version, model, bounds, [attack.alert_id for attack in attacks])
    return sha256(msgspec.json.encode(shown, order="sorted")).hexdigest()[:16]


def _sum(counts: Counter[tuple[str, str, ClosingAction]], action: ClosingAction) -> int:
    return sum(count for (_, _, done), count in counts.items() if done is action)


def _by_rule(counts: Counter[tuple[str, str, ClosingAction]]) -> tuple[WouldClose, ...]:
    """By class and rule, those that would close most first."""
    alerts: Counter[tuple[str, str]] = Counter()
    closed: Counter[tuple[str, str]] = Counter()
    for (name, rule, action), count in counts.items():
        alerts[name, rule] += count
        closed[name, rule] += count if action is ClosingAction.CLOSED else 0
    order = sorted(alerts, key=lambda key: (-closed[key], -alerts[key], key))
    return tuple(
        WouldClose(class_name=key[0], rule=key[1], alerts=alerts[key], would_close=closed[key])
        for key in order
    )


