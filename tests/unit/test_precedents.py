"""What was decided of the same machine, account or address raises, and never lowers."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.triage_dossiers import NOW, OURS, THEIRS, dossier

from tocsin.closing.decision import score
from tocsin.model import Alert, Endpoint, Event, Evidence, Prevalence, Rule, Severity
from tocsin.triage import resolve, shipped_model
from tocsin.triage.precedents import MOST, NAME, WORDS

ALERT = Alert(
    title="Something ran",
    rule=Rule(id="R-9", name="Something ran"),
    event=Event(time=NOW, severity=Severity.LOW),
    source=Endpoint(ip=OURS),
    destination=Endpoint(ip=THEIRS),
)
counts = st.integers(0, 10_000)


def found(*seen: Prevalence) -> tuple[float, list[Evidence]]:
    verdict, _ = shipped_model().assess(dossier("wazuh", ALERT, prevalence=seen))
    return verdict.probability, [item for item in verdict.evidence if item.name == NAME]


def of(subject: str, attacks: int, harmless: int) -> Prevalence:
    return Prevalence(subject=subject, value="x", attacks=attacks, harmless=harmless)


@given(st.lists(st.builds(of, st.sampled_from(sorted(WORDS)), counts, counts), max_size=5))
def test_no_decision_on_an_entity_lowers(seen: list[Prevalence]) -> None:
    plain, _ = found()
    moved, items = found(*seen)
    assert moved >= plain
    assert len(items) <= 1
    assert all(0 < item.weight <= MOST for item in items)


def test_the_one_that_speaks_most_for_an_attack_is_shown_with_its_pointer() -> None:
    seen = (of("source_ip", 1, 9), of("host", 8, 0), of("user", 2, 2))
    case = dossier("wazuh", ALERT, prevalence=seen)
    verdict, _ = shipped_model().assess(case)
    (item,) = [item for item in verdict.evidence if item.name == NAME]
    assert item.statement.startswith("Of 8 decided alerts of this machine, 8 were attacks")
    assert not item.tainted
    assert resolve(item.pointer, case)["attacks"] == 8


def test_few_decisions_move_little_and_more_move_more() -> None:
    weights = [found(of("host", count, 0))[1][0].weight for count in (1, 3, 10, 100)]
    assert weights == sorted(weights)
    assert weights[0] < 1


def test_closing_is_held_to_the_score_without_it() -> None:
    plain, _ = shipped_model().assess(dossier("wazuh", ALERT))
    moved, _ = shipped_model().assess(dossier("wazuh", ALERT, prevalence=(of("host", 9, 0),)))
    assert moved.probability > plain.probability
    assert abs(score(moved) - plain.probability) < 1e-9
