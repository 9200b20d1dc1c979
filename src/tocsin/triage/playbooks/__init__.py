"""What to do: ordered actions, bound to what they concern and to the evidence that asks for them.

Which playbook serves an alert depends on its verdict, family and techniques, and which evidence a
step is tied to on the names of the evidence; both come again with every alert of a rule, so both
are kept. Per alert only entities and pointers are filled in.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from tocsin.model import Action, Disposition, Evidence, ResponsePhase
from tocsin.triage import weights as weights_file
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.playbooks import files as playbook_files
from tocsin.triage.playbooks.entities import ENTITIES, Entity
from tocsin.triage.playbooks.files import BLANK, FALLBACK, ActionEntry, Files, StepEntry
from tocsin.triage.weights import Weights

__all__ = ["Playbooks"]

CACHED = 4096
MOST_POINTERS = 4
CHOOSING = ("prior.family.", "attack.")  # evidence of the family and of techniques


class _Step(NamedTuple):
    """An action of a playbook, its title cut where the entity goes."""

    code: str
    kind: str
    before: str
    after: str
    reason: str
    phase: ResponsePhase
    undo: str
    effort: str
    blast_radius: str
    mitigations: tuple[str, ...]
    countermeasures: tuple[str, ...]
    evidence: tuple[str, ...]


class _Plan:
    """The steps for a case; `raises`: what speaks for them is evidence of an attack.

    Compared by identity, so that it can key a cache.
    """

    __slots__ = ("raises", "steps")

    def __init__(self, steps: Iterable[_Step], *, raises: bool) -> None:
        self.steps = tuple(steps)
        self.raises = raises


class Playbooks:
    """The actions for each verdict, family and technique.

    Raises:
        SettingsError: a file cannot be read, or names what is not.
    """

    def __init__(self, weights: Weights, files: Files | None = None) -> None:
        content = files if files is not None else weights_file.playbook_files()
        actions, playbooks = playbook_files.read(content, weights.family.keys())
        self._families: dict[str, tuple[_Plan, _Plan]] = {}
        self._techniques: dict[str, tuple[_Plan, _Plan]] = {}
        self._overriding: set[str] = set()
        self._harmless: dict[Disposition, _Plan] = {}
        for playbook in playbooks.values():
            if playbook.verdict is not None:
                steps = _steps(playbook.harmless, actions)
                self._harmless[playbook.verdict] = _Plan(steps, raises=False)
                continue
            plans = (
                _Plan(_steps(playbook.attack, actions), raises=True),
                _Plan(_steps(playbook.open, actions), raises=True),
            )
            self._families.update(dict.fromkeys(playbook.families, plans))
            self._techniques.update(dict.fromkeys(playbook.techniques, plans))
            if playbook.overrides:
                self._overriding.update(playbook.techniques)
            if playbook.default:
                self._default = plans
        self._fallback = _Plan(_steps([StepEntry(FALLBACK)], actions), raises=True)
        self._select = lru_cache(maxsize=CACHED)(self._choose)
        self._tied = lru_cache(maxsize=CACHED)(_tied)

    def actions(
        self, case: Case, verdict: Disposition, evidence: Sequence[Evidence]
    ) -> tuple[Action, ...]:
        """The recommended actions, first things first; never empty."""
        plan = self._select(verdict, case.family.name, case.techniques)
        names = tuple([item.name for item in evidence])
        bound = self._bound(plan, case, names, evidence)
        return tuple(bound or self._bound(self._fallback, case, names, evidence))

    def _choose(
        self, verdict: Disposition, family: str | None, techniques: tuple[str, ...]
    ) -> _Plan:
        harmless = self._harmless.get(verdict)
        if harmless is not None:
            return harmless
        place = 0 if verdict is Disposition.TRUE_POSITIVE else 1
        named = [found for each in techniques if (found := self._serving(each))]
        for each in named:
            if each in self._overriding:
                return self._techniques[each][place]
        if family in self._families:
            return self._families[family][place]
        return self._techniques[named[0]][place] if named else self._default[place]

    def _serving(self, technique: str) -> str | None:
        """The technique, or else its parent, if a playbook names it."""
        parent = technique.partition(".")[0]
        return next((each for each in (technique, parent) if each in self._techniques), None)

    def _bound(
        self, plan: _Plan, case: Case, names: tuple[str, ...], evidence: Sequence[Evidence]
    ) -> list[Action]:
        """The actions whose entity the alert names."""
        entities: dict[str, Entity | None] = {}
        pointers: dict[tuple[int, ...], tuple[str, ...]] = {(): ()}
        found: list[Action] = []
        for step, tied in zip(plan.steps, self._tied(plan, names), strict=True):
            kind = step.kind
            if kind in entities:
                entity = entities[kind]
            else:
                entity = entities[kind] = ENTITIES[kind](case)
            if entity is None:
                continue
            if tied not in pointers:  # steps of one plan share what they are tied to
                pointers[tied] = _speaking(plan, tied, evidence)
            found.append(
                Action(
                    action=step.code,
                    title=step.before + quoted(entity[1]) + step.after,
                    entity_type=entity[0],
                    entity=entity[1],
                    reason=step.reason,
                    priority=len(found) + 1,
                    phase=step.phase,
                    evidence=pointers[tied],
                    undo=step.undo,
                    effort=step.effort,
                    blast_radius=step.blast_radius,
                    mitigations=step.mitigations,
                    countermeasures=step.countermeasures,
                )
            )
        return found


def _speaking(plan: _Plan, tied: tuple[int, ...], evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Where the evidence at these places stands, of that which speaks for the plan's steps.

    Several findings in one command line stand in one place, which is named once.
    """
    pointers = {
        item.pointer: None
        for place in tied
        if ((item := evidence[place]).weight > 0) is plan.raises and item.weight
    }
    return tuple(pointers)[:MOST_POINTERS]


def _steps(entries: Iterable[StepEntry], actions: Mapping[str, ActionEntry]) -> Iterable[_Step]:
    for entry in entries:
        action = actions[entry.action]
        before, _, after = action.title.partition(BLANK)
        yield _Step(
            entry.action,
            action.entity,
            before,
            after,
            entry.why or action.reason,
            action.phase,
            action.undo,
            action.effort,
            action.blast_radius,
            action.mitigations,
            action.countermeasures,
            entry.evidence or action.evidence,
        )


def _tied(plan: _Plan, names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """For each step the places of the evidence that it is tied to.

    That is what the step itself names, or else what the playbook was chosen by.
    """
    chosen_by = tuple(place for place, name in enumerate(names) if name.startswith(CHOOSING))
    return tuple(
        tuple(place for place, name in enumerate(names) if name.startswith(step.evidence))
        or chosen_by
        if step.evidence
        else ()
        for step in plan.steps
    )
