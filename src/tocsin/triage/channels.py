"""Shapes of connections that carry commands or stolen data, as sensors measure them."""

from collections.abc import Sequence

from tocsin.model import Evidence, NetworkDirection
from tocsin.triage.case import Case
from tocsin.triage.evidence import quoted
from tocsin.triage.outcome import shown

# Ports that listeners of attack tools and old backdoors have by default, and few others use.
ODD_PORTS = frozenset(
    {1337, 4443, 4444, 4445, 5555, 6666, 6667, 8888, 9001, 9999, 12345, 31337, 50050}
)
MUCH = 100_000_000  # bytes that left
LOPSIDED = 5  # times as many as came back
REGULAR, REGULAR_PERCENT = 0.8, 80
LONG = 4 * 3600  # seconds


def channel(case: Case) -> Sequence[Evidence]:
    """An odd port, a lopsided upload, or a regular or very long connection going out."""
    if case.direction is not NetworkDirection.OUTBOUND:
        return ()
    found = []
    weights = case.weights.channel
    source, destination = case.alert.source, case.alert.destination
    if destination.port in ODD_PORTS:
        found.append(
            case.on_alert(
                "channel.odd_port",
                "It goes out to port "
                + str(destination.port)
                + ", where attack tools listen by default.",
                "/destination/port",
                destination.port,
                weights["odd_port"].weight,
                technique="T1571",
            )
        )
    sent = source.bytes
    if sent is not None and sent >= MUCH and sent >= LOPSIDED * (destination.bytes or 0):
        found.append(
            case.on_alert(
                "channel.upload",
                f"{sent / 1e6:.0f} MB went out, and little came back.",
                "/source/bytes",
                sent,
                weights["upload"].weight,
                technique="T1048",
            )
        )
    return found + _stated(case)


def _stated(case: Case) -> list[Evidence]:
    """What the sensor says of the rhythm and length of the connection."""
    found = []
    weights = case.weights.channel
    for role, key, technique in (
        ("channel.regularity", "regular", "T1071"),
        ("channel.durations", "long", "T1571"),
    ):
        for leaf in case.payload.playing(role):
            value = leaf.value
            if type(value) not in (int, float):
                continue
            if key == "regular":
                fits = REGULAR <= value <= 1 or REGULAR_PERCENT <= value <= 100
                what = "The sensor finds the connections regular"
            else:
                fits, what = value >= LONG, "The connection lasted for hours"
            if fits:
                found.append(
                    case.on_payload(
                        "channel." + key,
                        what + " (" + quoted(shown(leaf), 100) + ").",
                        leaf,
                        weights[key].weight,
                        tainted=leaf.by_actor,
                        technique=technique,
                    )
                )
                break
    return found
