"""Playbooks as files: what can be recommended (`actions.toml`), and when (one file for each kind).

Everything is checked when it is read; an error names the file and the entry.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from tocsin.errors import SettingsError
from tocsin.knowledge import attack
from tocsin.model import Disposition, ResponsePhase
from tocsin.triage.playbooks.entities import ENTITIES
from tocsin.triage.weights import convert

FOLDER = "playbooks/"
ACTIONS = "actions.toml"
BLANK = "ENTITY"
FALLBACK = "investigate_alert"
HARMLESS = (Disposition.FALSE_POSITIVE, Disposition.BENIGN_POSITIVE)
_EVIDENCE = re.compile(r"[a-z_]+(\.[a-z_]+)*\.?")
_COUNTERMEASURE = re.compile(r"D3-[A-Z]{1,8}")


class ActionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that can be done; see the head of `actions.toml`."""

    phase: ResponsePhase
    entity: str
    title: str
    reason: str
    effort: str
    blast_radius: str
    undo: str = ""
    evidence: tuple[str, ...] = ()
    mitigations: tuple[str, ...] = ()
    countermeasures: tuple[str, ...] = ()


class StepEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a playbook: an action, with a reason and evidence of its own if need be."""

    action: str
    why: str = ""
    evidence: tuple[str, ...] = ()


class PlaybookFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do in one kind of case.

    It serves rule families, ATT&CK techniques of alerts whose family has none of its own (or of
    all alerts, when it `overrides`), everything else (`default`), or a harmless verdict. `attack`
    holds the steps when the alert was judged a true positive, `open` when it is undetermined.
    """

    title: str
    families: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    overrides: bool = False
    default: bool = False
    verdict: Disposition | None = None
    attack: tuple[StepEntry, ...] = ()
    open: tuple[StepEntry, ...] = ()
    harmless: tuple[StepEntry, ...] = ()


Files = Mapping[str, bytes]


def read(
    files: Files, families: Collection[str]
) -> tuple[Mapping[str, ActionEntry], Mapping[str, PlaybookFile]]:
    """Actions by code and playbooks by file name.

    Args:
        files: their content, by name.
        families: those that rules can have.

    Raises:
        SettingsError: names the file and the entry that cannot work.
    """
    if ACTIONS not in files:
        raise SettingsError("triage/" + FOLDER + ACTIONS + " is missing")
    actions = convert(files[ACTIONS], dict[str, ActionEntry], FOLDER + ACTIONS)
    wrong = [f"{FOLDER}{ACTIONS}: {fault}" for fault in _faulty_actions(actions)]
    playbooks = {
        name: convert(content, PlaybookFile, FOLDER + name)
        for name, content in files.items()
        if name != ACTIONS
    }
    for name, playbook in playbooks.items():
        wrong += [f"{FOLDER}{name}: {fault}" for fault in _faults(playbook, actions, families)]
    wrong += [FOLDER + fault for fault in _doubled(playbooks)]
    if wrong:
        raise SettingsError("triage/" + "; ".join(wrong))
    return actions, playbooks


def _faulty_actions(actions: Mapping[str, ActionEntry]) -> Iterator[str]:
    for code, action in actions.items():
        if action.entity not in ENTITIES:
            yield f"{code}: no entity {action.entity}"
        if action.title.count(BLANK) != 1:
            yield f"{code}: title needs one {BLANK}"
        yield from (f"{code}: {fault}" for fault in _faulty_evidence(action.evidence))
        for identifier in action.mitigations:
            if identifier not in attack.mitigations():
                yield f"{code}: ATT&CK has no mitigation {identifier}"
        for identifier in action.countermeasures:
            if not _COUNTERMEASURE.fullmatch(identifier):
                yield f"{code}: {identifier} is not an id of D3FEND"
    if FALLBACK not in actions or actions[FALLBACK].entity != "alert":
        yield f"lacks {FALLBACK}, for the entity alert"


def _faults(
    playbook: PlaybookFile, actions: Mapping[str, ActionEntry], families: Collection[str]
) -> Iterator[str]:
    for family in playbook.families:
        if family not in families:
            yield f"no family {family}"
    for identifier in playbook.techniques:
        found = attack.technique(identifier)
        if found is None or found.id != identifier:
            yield f"ATT&CK has no technique {identifier}"
    for name in ("attack", "open", "harmless"):
        yield from (f"{name}{fault}" for fault in _faulty_steps(getattr(playbook, name), actions))
    yield from _faulty_shape(playbook)


def _faulty_steps(steps: Sequence[StepEntry], actions: Mapping[str, ActionEntry]) -> Iterator[str]:
    for place, step in enumerate(steps, start=1):
        if step.action not in actions:
            yield f" {place}: no action {step.action}"
        yield from (f" {place}: {fault}" for fault in _faulty_evidence(step.evidence))
    codes = [step.action for step in steps]
    yield from (f": {code} twice" for code in sorted(set(codes)) if codes.count(code) > 1)


def _faulty_shape(playbook: PlaybookFile) -> Iterator[str]:
    if playbook.verdict is not None:
        if playbook.verdict not in HARMLESS or not playbook.harmless:
            yield "a verdict must be false_positive or benign_positive, with steps under harmless"
        return
    if not (playbook.families or playbook.techniques or playbook.default):
        yield "serves nothing: give families, techniques, default or verdict"
    if not playbook.attack or not playbook.open or playbook.harmless:
        yield "needs steps under attack and open, and none under harmless"


def _faulty_evidence(evidence: Sequence[str]) -> Iterator[str]:
    return (f"{each} is no beginning of a name of evidence" for each in evidence
            if not _EVIDENCE.fullmatch(each))  # fmt: skip


def _doubled(playbooks: Mapping[str, PlaybookFile]) -> Iterator[str]:
    """What two files serve, or none."""
    served: dict[str, str] = {}
    for name, playbook in playbooks.items():
        serves = [*playbook.families, *playbook.techniques]
        serves += ["default"] if playbook.default else []
        serves += [playbook.verdict.value] if playbook.verdict else []
        for each in serves:
            if each in served:
                yield f"{name}: {served[each]} serves {each} already"
            served[each] = name
    for each in ("default", *(verdict.value for verdict in HARMLESS)):
        if each not in served:
            yield f"no file serves {each}"
