"""The collectors: network, asset and user, each by everything that can name them."""

import pytest
from tests.known import Known, alert, asset_of, context, gaps, network_of, user_of

from tocsin.model import (
    Alert,
    AssetRecord,
    GapReason,
    Host,
    NetworkDirection,
    User,
    UserRecord,
)

# --- network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [0, 1, 255])
async def test_any_address_of_the_ten_network_simply_works(last: int) -> None:
    results = await context(*[alert(f"10.{i}.{last}.{last}") for i in range(256)])
    assert all(network_of(result).source is not None for result in results)
    assert all(network_of(result).source.internal for result in results)  # type: ignore[union-attr]  # checked above


@pytest.mark.parametrize(
    ("source", "destination", "direction"),
    [
        ("10.0.0.1", "203.0.113.5", NetworkDirection.OUTBOUND),
        ("203.0.113.5", "10.0.0.1", NetworkDirection.INBOUND),
        ("10.0.0.1", "192.168.1.1", NetworkDirection.INTERNAL),
        ("203.0.113.5", "198.51.100.1", NetworkDirection.EXTERNAL),
        ("10.0.0.1", "224.0.0.251", NetworkDirection.INTERNAL),
        ("fe80::1", "ff02::fb", NetworkDirection.INTERNAL),
        ("203.0.113.5", None, NetworkDirection.UNKNOWN),
        (None, None, NetworkDirection.UNKNOWN),
    ],
)
async def test_the_direction_is_seen_from_the_own_networks(
    source: str | None, destination: str | None, direction: NetworkDirection
) -> None:
    (result,) = await context(alert(source, destination))
    assert network_of(result).direction == direction


async def test_a_missing_end_is_the_host_that_reported() -> None:
    inbound, by_address, outbound = await context(
        alert("203.0.113.5", host=Host(name="jump01")),
        alert("203.0.113.5", host=Host(ip="10.0.0.9")),
        alert(destination="203.0.113.5", host=Host(id="A-7")),
    )
    assert network_of(inbound).direction == NetworkDirection.INBOUND
    assert network_of(by_address).direction == NetworkDirection.INBOUND
    assert network_of(outbound).direction == NetworkDirection.OUTBOUND
    assert network_of(inbound).destination is None


async def test_the_longest_zone_names_an_address() -> None:
    zones = {"10.0.0.0/8": "company", "10.20.5.0/24": "dmz", "203.0.113.0/24": "partner"}
    (result,) = await context(alert("10.20.5.9", "203.0.113.5"), zones=zones)
    source, destination = network_of(result).source, network_of(result).destination
    assert source is not None
    assert destination is not None
    assert (source.zone, destination.zone, destination.internal) == ("dmz", "partner", False)


async def test_own_public_networks_come_from_the_settings() -> None:
    (result,) = await context(
        alert("8.8.8.8", "203.0.113.5"), internal_networks=("203.0.113.0/24",)
    )
    assert network_of(result).direction == NetworkDirection.INBOUND


async def test_country_and_organisation_of_a_public_address_are_found() -> None:
    (result,) = await context(alert("10.0.0.1", "8.8.8.8"))
    destination = network_of(result).destination
    assert destination is not None
    assert (destination.country, destination.organisation) == ("US", "GOOGLE")
    assert result.context[0].source == "settings+geoip2fast"
    assert "geography" not in gaps(result)


async def test_a_documentation_address_has_no_country_and_no_gap() -> None:
    (result,) = await context(alert("192.0.2.1", "10.0.0.1"))
    source = network_of(result).source
    assert source is not None
    assert source.special_purpose == "Documentation (TEST-NET-1)"
    assert source.country is None
    assert "network" not in gaps(result)
    assert "geography" not in gaps(result)


async def test_an_address_that_is_none_is_a_gap_and_not_an_error() -> None:
    (result,) = await context(alert("999.1.1.1", "10.0.0.1"))
    assert gaps(result)["network"] == GapReason.UNPARSABLE
    assert network_of(result).source is None


# --- asset --------------------------------------------------------------------------------------

WS = AssetRecord(asset_id="A-1", hostname="ws-1.example.com", ip="10.20.1.1")


@pytest.mark.parametrize(
    ("asked", "key", "matched_by", "confidence"),
    [
        (alert(host=Host(id="A-1")), ("asset_id", "A-1"), "asset_id", 1.0),
        (
            alert(host=Host(name="WS-1.Example.COM.")),
            ("hostname", "ws-1.example.com"),
            "hostname",
            0.9,
        ),
        (alert(host=Host(name="WS-1")), ("hostname", "ws-1"), "hostname", 0.9),
        (alert(host=Host(id="ws-1")), ("hostname", "ws-1"), "hostname", 0.9),
        (alert(host=Host(ip="10.20.1.1")), ("ip", "10.20.1.1"), "ip", 0.7),
        (alert(host=Host(name="10.20.1.1")), ("ip", "10.20.1.1"), "ip", 0.7),
        (alert("10.20.1.1", "203.0.113.5"), ("ip", "10.20.1.1"), "ip", 0.7),
        (alert("203.0.113.5", "10.20.1.1"), ("ip", "10.20.1.1"), "ip", 0.7),
    ],
)
async def test_an_asset_is_found_by_each_of_its_names(
    asked: Alert, key: tuple[str, str], matched_by: str, confidence: float
) -> None:
    (result,) = await context(asked, known=Known(assets={key: WS}))
    fact, data = asset_of(result)
    assert data.asset == WS
    assert (data.matched_by, fact.confidence, fact.source) == (matched_by, confidence, "inventory")
    assert "asset" not in gaps(result)


async def test_an_id_is_believed_before_a_name_and_a_name_before_an_address() -> None:
    other = AssetRecord(asset_id="A-2")
    known = Known(assets={("asset_id", "A-1"): WS, ("hostname", "ws-2"): other})
    (result,) = await context(alert(host=Host(id="A-1", name="ws-2", ip="10.0.0.2")), known=known)
    assert asset_of(result)[1].asset == WS


async def test_a_namesake_in_another_domain_is_not_the_asset() -> None:
    known = Known(assets={("hostname", "ws-1"): WS})
    (result,) = await context(alert(host=Host(name="ws-1.example.org")), known=known)
    assert asset_of(result)[1].asset is None
    assert gaps(result)["asset"] == GapReason.NOT_FOUND


async def test_an_external_address_is_never_taken_for_an_asset() -> None:
    known = Known(assets={("ip", "203.0.113.5"): WS})
    (result,) = await context(alert("203.0.113.5", "198.51.100.7"), known=known)
    assert gaps(result)["asset"] == GapReason.ABSENT


async def test_an_unknown_asset_says_which_names_were_asked() -> None:
    (result,) = await context(alert(host=Host(name="ghost")))
    (gap,) = [gap for gap in result.gaps if gap.subject == "asset"]
    assert gap.reason == GapReason.NOT_FOUND
    assert "ghost" in gap.detail


# --- user ---------------------------------------------------------------------------------------

ADA = UserRecord(user_id="U-1", user_name="ada", email="ada@example.com")


@pytest.mark.parametrize(
    ("user", "key", "matched_by"),
    [
        (User(id="U-1"), ("user_id", "U-1"), "user_id"),
        (User(id="ada"), ("user_name", "ada"), "user_name"),
        (User(name="Ada"), ("user_name", "ada"), "user_name"),
        (User(name="EXAMPLE\\Ada"), ("user_name", "ada"), "user_name"),
        (User(name="ada@corp.example.com"), ("user_name", "ada"), "user_name"),
        (User(name="Ada@Example.com"), ("email", "ada@example.com"), "email"),
        (User(email="ADA@example.com"), ("email", "ada@example.com"), "email"),
    ],
)
async def test_a_user_is_found_by_each_of_their_names(
    user: User, key: tuple[str, str], matched_by: str
) -> None:
    (result,) = await context(alert(user=user), known=Known(users={key: ADA}))
    fact, data = user_of(result)
    assert (data.user, data.matched_by, fact.source) == (ADA, matched_by, "directory")
    assert fact.confidence >= 0.9


async def test_an_unknown_user_is_a_gap_with_confidence_zero() -> None:
    (result,) = await context(alert(user=User(name="nobody-knows")))
    assert gaps(result)["user"] == GapReason.NOT_FOUND
    assert user_of(result)[0].confidence == 0.0


@pytest.mark.parametrize("name", ["NT AUTHORITY\\SYSTEM", "WS-104$", "LOCAL SERVICE", "DWM-3"])
async def test_accounts_of_the_operating_system_are_not_asked_for(name: str) -> None:
    known = Known(users={("user_name", "system"): ADA})
    (result,) = await context(alert(user=User(name=name)), known=known)
    assert user_of(result)[1].user is None
    assert gaps(result)["user"] == GapReason.ABSENT
