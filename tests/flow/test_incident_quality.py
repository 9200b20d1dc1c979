"""How well alerts are grouped, on a day with two intrusions, noise and scanners."""

import random
from collections import Counter

from sklearn.metrics import adjusted_rand_score, homogeneity_score
from tests.following import day, drive, know_the_scanner

from tocsin.after import Rules
from tocsin.app import Store
from tocsin.settings import Settings
from tocsin.store import incident_reading

Grouped = dict[str, str | None]


async def grouped(store: Store, ids: list[str]) -> Grouped:
    """The incident of each alert that a verdict was followed up for."""
    loaded = await store.dossiers.load(ids, ("alert", "verdict", "links"))
    followed = [d for d in loaded if d.verdict and wanted(d.verdict)]
    return {d.alert_id: d.incident_id for d in followed}


def wanted(verdict: object) -> bool:
    from tocsin.after import FOLLOWED
    from tocsin.model import Disposition, Verdict

    assert isinstance(verdict, Verdict)
    return verdict.risk_level in FOLLOWED or verdict.verdict is Disposition.TRUE_POSITIVE


async def test_two_intrusions_are_two_incidents_and_noise_stays_out(
    store: Store, settings: Settings
) -> None:
    await know_the_scanner(store)
    told = day()
    ids = await drive(store, settings, [each.alert for each in told])
    story = dict(zip(ids, [each.story for each in told], strict=True))
    found = await grouped(store, ids)
    sizes = Counter(incident for incident in found.values() if incident)
    of_story = {
        name: Counter(found[i] for i in found if story[i] == name) for name in ("first", "second")
    }
    main = {name: counted.most_common(1)[0] for name, counted in of_story.items()}
    real = [i for i in found if found[i]]
    cause = {  # noise on one machine has one cause, and so has what one stranger tries
        i: each.alert.get("source_ip") or each.alert["host_name"]
        for i, each in zip(ids, told, strict=True)
    }
    truth = [story[i] or cause[i] for i in real]
    homogeneity = homogeneity_score(truth, [found[i] for i in real])
    merged = sum(
        len({story[i] for i in real if found[i] == incident and story[i]}) > 1 for incident in sizes
    )
    strangers = {
        name: sum(1 for i in real if found[i] == incident and story[i] != name)
        for name, (incident, _) in main.items()
    }
    completeness = {
        name: main[name][1] / sum(of_story[name].values()) for name in ("first", "second")
    }
    print(
        f"\nfollowed {len(found)}, in incidents {len(real)}, incidents {len(sizes)}, largest "
        f"{max(sizes.values())}; homogeneity {homogeneity:.3f}, incidents that hold both "
        f"intrusions {merged}, strangers {strangers}, completeness {completeness}"
    )
    assert len(found) > 100, "the day must be hard"
    assert merged == 0
    assert min(completeness.values()) >= 0.8
    assert homogeneity >= 0.9
    assert max(strangers.values()) <= 3
    assert max(sizes.values()) <= 25, "no blob"


async def test_what_is_kept_of_an_incident_is_what_its_alerts_say(
    store: Store, settings: Settings
) -> None:
    await know_the_scanner(store)
    ids = await drive(store, settings, [each.alert for each in day()])
    named = sorted({incident for incident in (await grouped(store, ids)).values() if incident})
    members = await store.database.read(lambda c: incident_reading.members(c, named))
    kept = await store.database.read(lambda c: incident_reading.gists(c, named))
    assert kept == {name: Rules().gist(found) for name, found in members.items()}


async def test_another_order_of_arrival_groups_nearly_the_same(
    store: Store, settings: Settings
) -> None:
    await know_the_scanner(store)
    told = [each for each in day() if each.story or "Trojan" in each.alert["title"]]
    mixed = told[:]
    random.Random(3).shuffle(mixed)
    labels = []
    for order in (told, mixed):
        # the same alerts on other days of the same store would meet each other: rename everything
        tag = str(len(labels))
        alerts = [renamed(each.alert, tag) for each in order]
        ids = await drive(store, settings, alerts)
        found = await grouped(store, ids)
        of = {id(told_): found.get(i) or i for told_, i in zip(order, ids, strict=True)}
        labels.append([of[id(each)] for each in told])
    agreement = adjusted_rand_score(*labels)
    print(f"\nadjusted Rand index between two orders of arrival: {agreement:.3f}")
    assert agreement >= 0.9


def renamed(alert: dict[str, object], tag: str) -> dict[str, object]:
    named = {name: f"{alert[name]}-{tag}" for name in ("host_name", "user_name") if name in alert}
    if "file_hash" in alert:
        named["file_hash"] = str(alert["file_hash"])[:-1] + tag
    if "destination_ip" in alert:
        named["destination_ip"] = str(alert["destination_ip"]).replace("203.0.113", f"203.0.{tag}")
    return {**alert, **named}
