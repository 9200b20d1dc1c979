"""The life of a policy: off, shadow, on, and off again by a person or by itself."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from tocsin import logs
from tocsin.closing.calibration import calibrate, look_size
from tocsin.closing.decision import class_of, decide
from tocsin.closing.findings import findings
from tocsin.closing.preview import by_rule, digest_of, enabled, known_attacks, rule_of, total
from tocsin.closing.report import (
    ClassReport,
    ClosingPreview,
    ClosingReport,
    Finding,
    KnownAttack,
)
from tocsin.closing.rules import check
from tocsin.errors import ConflictError, DataQualityError, InputError
from tocsin.model import (
    NOT_CLOSABLE,
    ClassBound,
    ClosingAction,
    ClosingMode,
    ClosingPolicy,
    ClosingRules,
    PolicyState,
)
from tocsin.ports import ClosingBook

HISTORY = 20_000
"""Newest alerts that a preview looks at, unless somebody asks for another number."""
KNOWN_ATTACKS = 5_000
RECENT = timedelta(days=7)
"""The scores of so long are compared with those of before."""

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
        """What the policy would close, and would have closed.

        In shadow mode the thresholds are kept, so that from then on it says of new alerts what it
        would close.

        Raises:
            InputError: there is no policy.
        """
        state = await self._state()
        bounds, model = await self.bounds(state)
        if state.policy.mode is ClosingMode.SHADOW and bounds != state.bounds:
            await self._book.calibrate(state.policy.revision, bounds, model, actor=actor)
        acting = enabled(state.policy, bounds, model)
        counts: Counter[tuple[str, str, ClosingAction]] = Counter()
        times = []
        async for chunk in self._book.history(alerts):
            for dossier in chunk:
                closing = decide(acting, dossier)
                counts[closing.class_name, rule_of(dossier), closing.action] += 1
            times += [chunk[0].received_at, chunk[-1].received_at]
            await asyncio.sleep(0)
        attacks = await self._attacks(acting)
        return ClosingPreview(
            digest=digest_of(state.policy.version, bounds, model, attacks),
            ready=any(bound.threshold is not None for bound in bounds),
            version=state.policy.version,
            bounds=bounds,
            alerts=counts.total(),
            would_close=total(counts, ClosingAction.CLOSED),
            drawn=total(counts, ClosingAction.SAMPLED),
            counts=by_rule(counts),
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
        attacks = await self._attacks(enabled(state.policy, bounds, model))
        if digest != digest_of(state.policy.version, bounds, model, attacks):
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

    async def report(self) -> ClosingReport:
        """The policy as it stands, after a look for drift."""
        try:
            state, found = await self.check()
        except DataQualityError as error:
            return ClosingReport(reason=str(error))
        if state is None:
            return ClosingReport()
        policy = state.policy
        shadow = policy.mode is ClosingMode.SHADOW
        bounds = (await self.bounds(state))[0] if shadow else state.bounds
        waiting = await self._book.outstanding(policy.version)
        scores = await self._book.scores(policy.version)
        closed, reopened, missed = await self._book.totals(policy.version)
        return ClosingReport(
            mode=policy.mode,
            version=policy.version,
            revision=policy.revision,
            rules=policy.rules,
            classes=tuple(
                ClassReport(
                    bound=bound,
                    outstanding=waiting[bound.class_name],
                    arrived=sum(
                        sum(hour.values()) for hour in scores.get(bound.class_name, {}).values()
                    ),
                )
                for bound in bounds
            ),
            drift=found,
            reason=state.reason or await self._idle(policy),
            tripped=state.tripped,
            model_version=policy.model_version,
            closed=closed,
            reopened=reopened,
            missed=missed,
            changed_at=state.changed_at,
            changed_by=state.changed_by,
            enabled_at=state.enabled_at,
        )

    async def classes(self, alerts: int = HISTORY) -> Counter[str]:
        """How many of the newest alerts each class has; what people decided plays no part."""
        found: Counter[str] = Counter()
        async for chunk in self._book.history(alerts):
            found.update(class_of(dossier) for dossier in chunk)
            await asyncio.sleep(0)
        return found

    async def check(self) -> tuple[PolicyState | None, tuple[Finding, ...]]:
        """Look for drift, and switch the policy off when there is any.

        Returns:
            The state after it, and what was found while the policy was on.
        """
        state = await self._book.state()
        if state is None or state.policy.mode is not ClosingMode.ON:
            return state, ()
        policy, now = state.policy, self._clock.now()
        scores = await self._book.scores(policy.version, now - RECENT)
        late = now - timedelta(days=policy.rules.review_days)
        overdue = await self._book.overdue(policy.version, late)
        samples = {
            name: await self._book.samples(
                policy.version,
                name,
                limit=1_000_000,
                model_version=policy.model_version,
                after=state.enabled_at,
                judged=True,
            )
            for name in policy.thresholds
        }
        found = await asyncio.to_thread(findings, state, samples, scores, overdue)
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

    async def _idle(self, policy: ClosingPolicy) -> str:
        """Why a policy that is on closes nothing now; empty when it does."""
        if policy.mode is not ClosingMode.ON or not policy.model_version:
            return ""
        newest = await self._book.newest_model(policy.version)
        if newest == policy.model_version:
            return ""
        return (
            f"nothing is closed: alerts are judged by model {newest}, and what is proven holds for "
            f"{policy.model_version}; begin a new policy to calibrate the new model"
        )

    async def _state(self) -> PolicyState:
        state = await self._book.state()
        if state is None:
            raise InputError(
                "there is no policy yet; begin one: tocsin autoclose shadow --class SOURCE/KIND"
            )
        return state

    async def _attacks(self, acting: ClosingPolicy) -> tuple[KnownAttack, ...]:
        """Every alert that people call an attack and that the policy would have closed."""
        dossiers = await self._book.judged(await self._book.attacks(KNOWN_ATTACKS))
        return known_attacks(acting, dossiers)


class Clock:
    """The time; tests set their own."""

    def now(self) -> datetime:
        """The time now, UTC."""
        return datetime.now(UTC)
