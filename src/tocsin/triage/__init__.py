"""Triage: evidence that adds up to a probability, a risk, a verdict, reasons and actions.

Rules that hold here whatever the weights say: what an attacker can write never lowers, what could
not be checked never lowers, and the numbers shown are the numbers that were added.
"""

from collections.abc import Sequence
from functools import cache

import msgspec

from tocsin.model import Dossier, Gap, Learned, Verdict, risk_level
from tocsin.ports import Resources, Work
from tocsin.triage import weights as weights_file
from tocsin.triage.analysis import analysis
from tocsin.triage.case import Case
from tocsin.triage.champion import Champion
from tocsin.triage.coverage import Coverage, further_gaps
from tocsin.triage.decision import disposition, probability, review_reasons
from tocsin.triage.detections import NOTHING_KNOWN, DetectionIndex, FreshDetections
from tocsin.triage.evidence import resolve
from tocsin.triage.families import Families
from tocsin.triage.impact import Impact
from tocsin.triage.learned import Applied, decided
from tocsin.triage.playbooks import Playbooks
from tocsin.triage.precedents import precedents
from tocsin.triage.registry import EXTRACTORS
from tocsin.triage.unchecked import unchecked
from tocsin.triage.weights import Weights

__all__ = ["Model", "build", "model_with", "resolve", "shipped_model", "triage"]


class Model:
    """Weights, rule families and playbooks, checked and compiled.

    Raises:
        SettingsError: one of the three files says something that cannot work.
    """

    def __init__(self, weights: Weights, version: str, learned: Learned | None = None) -> None:
        self.weights = weights
        self.version = version if learned is None else version + "+" + learned.version
        self.learned = learned
        self._applied = Applied(learned) if learned is not None else None
        self.families = Families(weights)
        self.playbooks = Playbooks(weights)
        self.coverage = Coverage(weights)
        self.impact = Impact(weights)

    def case(self, dossier: Dossier, detections: DetectionIndex = NOTHING_KNOWN) -> Case:
        """The dossier laid open.

        Raises:
            InputError: the dossier holds no normalised alert.
        """
        return Case(dossier, self.weights, self.families, detections)

    def assess(
        self, dossier: Dossier, detections: DetectionIndex = NOTHING_KNOWN
    ) -> tuple[Verdict, tuple[Gap, ...]]:
        """The verdict on a dossier, and gaps of triage's own that it does not have yet.

        Raises:
            InputError: the dossier holds no normalised alert.
        """
        case = self.case(dossier, detections)
        evidence = [item for extract in EXTRACTORS for item in extract(case)]
        decisions = decided(case, self.learned, evidence)
        decisions += precedents(case, evidence + decisions)
        if self._applied is not None:
            evidence += self._applied.added(case, evidence)
        evidence += decisions
        chance = probability(evidence)
        loss, about_loss = self.impact.of(case, evidence)
        loss = round(loss, 4)
        risk = round(100 * chance * loss, 1)
        level = risk_level(risk)
        sure = self.coverage.confidence(case)
        verdict = disposition(case, evidence, chance, sure)
        reasons = review_reasons(case, verdict, evidence, risk, sure)
        actions = self.playbooks.actions(case, verdict, evidence)
        found = further_gaps(case)
        gaps = tuple([gap for gap in found if gap not in dossier.gaps]) if found else ()
        numbers = (chance, loss, risk, level, sure)
        return Verdict(
            verdict=verdict,
            probability=chance,
            impact=loss,
            risk_score=risk,
            risk_level=level,
            confidence=sure,
            requires_human_review=bool(reasons),
            analysis=analysis(
                case,
                verdict,
                numbers,
                evidence=evidence,
                gaps=unchecked(dossier.gaps + gaps) if gaps else case.unchecked,
                actions=actions,
                reasons=reasons,
            ),
            evidence=(*evidence, *about_loss),
            recommended_actions=actions,
            model_version=self.version,
        ), gaps


@cache
def shipped_model() -> Model:
    """The model of the files that ship with this package, loaded once."""
    return Model(*weights_file.load())


def model_with(learned: Learned) -> Model:
    """The shipped model with what was learned from decisions."""
    shipped = shipped_model()
    return Model(shipped.weights, shipped.version, learned)


def triage(dossier: Dossier) -> Verdict:
    """The verdict on one dossier by the shipped model; a pure function of the dossier.

    Raises:
        InputError: the dossier holds no normalised alert.
    """
    return shipped_model().assess(dossier)[0]


def build(resources: Resources) -> Work:
    """The step: fills `verdict` of each dossier, and adds the gaps that triage finds.

    Raises:
        SettingsError: the shipped weights cannot be used.
    """
    source, interval = resources.detections, resources.settings.indicator_refresh
    catalogues = FreshDetections(source, interval) if source else None
    champion = Champion(shipped_model(), model_with, resources.models, interval)

    async def work(batch: Sequence[Dossier]) -> list[Dossier]:
        known = await catalogues.current() if catalogues else NOTHING_KNOWN
        model = await champion.current()
        return [_judged(dossier, model, known) for dossier in batch]

    return work


def _judged(dossier: Dossier, model: Model, known: DetectionIndex) -> Dossier:
    verdict, gaps = model.assess(dossier, known)
    found = known.match(dossier.alert) if known and dossier.alert is not None else None
    return msgspec.structs.replace(
        dossier,
        verdict=verdict,
        gaps=dossier.gaps + gaps,
        detection=None if found is None else found.detection,
    )
