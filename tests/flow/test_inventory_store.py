"""Inventory, directory and history in a real database, and the commands that fill them."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tocsin.app import Store
from tocsin.cli.imports import assets_app, intel_app, users_app
from tocsin.errors import InputError
from tocsin.model import AssetRecord, Criticality, Prevalence, UserRecord
from tocsin.ports import EntityKey
from tocsin.settings import Settings
from tocsin.store import history

NOW = datetime(2026, 3, 17, 23, 30, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "samples"

app = typer.Typer()
app.add_typer(assets_app, name="assets")
app.add_typer(users_app, name="users")
app.add_typer(intel_app, name="intel")


def asset(asset_id: str, hostname: str | None = None, ip: str | None = None) -> AssetRecord:
    return AssetRecord(asset_id=asset_id, hostname=hostname, ip=ip)


# --- inventory ------------------------------------------------------------------------------------


async def test_an_asset_is_stored_and_found_whole(store: Store) -> None:
    record = AssetRecord(
        asset_id="A-1",
        hostname="WS-1.Example.com.",
        ip="10.20.1.1",
        type="workstation",
        os="Windows 11",
        owner="ada",
        department="Sales",
        location="Oslo",
        environment="production",
        criticality=Criticality.HIGH,
        exposed=True,
        tags=("vip", "{braces}"),
    )
    assert await store.inventory.upsert_assets([record]) == (1, 0)
    keys = [
        EntityKey("asset_id", "A-1"),
        EntityKey("hostname", "ws-1.example.com"),
        EntityKey("hostname", "ws-1"),
        EntityKey("ip", "10.20.1.1"),
    ]
    found = await store.inventory.assets([*keys, EntityKey("hostname", "ghost")])
    assert found == dict.fromkeys(keys, record)


async def test_a_user_is_stored_and_found_whole(store: Store) -> None:
    record = UserRecord(
        user_id="U-1",
        user_name="Ada",
        email="Ada@Example.com",
        full_name="Ada L.",
        department="Sales",
        title="Lead",
        manager="bob",
        privileged=True,
        enabled=False,
        tags=("vip",),
    )
    assert await store.inventory.upsert_users([record]) == (1, 0)
    keys = [
        EntityKey("user_id", "U-1"),
        EntityKey("user_name", "ada"),
        EntityKey("email", "ada@example.com"),
    ]
    assert await store.inventory.users(keys) == dict.fromkeys(keys, record)


async def test_importing_again_updates_and_never_doubles(store: Store) -> None:
    await store.inventory.upsert_assets([asset("A-1", "old"), asset("A-2", "b")])
    outcome = await store.inventory.upsert_assets(
        [asset("A-1", "newer"), asset("A-1", "newest"), asset("A-3", "c")]
    )
    assert outcome == (1, 1)
    assert (await store.inventory.counts()).assets == 3
    found = await store.inventory.assets([EntityKey("asset_id", "A-1")])
    assert found[EntityKey("asset_id", "A-1")].hostname == "newest"
    assert not await store.inventory.assets([EntityKey("hostname", "old")])


async def test_a_name_that_two_assets_share_is_not_answered(store: Store) -> None:
    await store.inventory.upsert_assets(
        [asset("A-1", "web.example.com", "10.0.0.1"), asset("A-2", "web.example.org", "10.0.0.1")]
    )
    keys = [EntityKey("hostname", "web"), EntityKey("ip", "10.0.0.1")]
    assert await store.inventory.assets(keys) == {}
    full = EntityKey("hostname", "web.example.org")
    assert (await store.inventory.assets([*keys, full]))[full].asset_id == "A-2"


async def test_a_full_name_wins_over_somebody_elses_short_name(store: Store) -> None:
    await store.inventory.upsert_assets([asset("A-1", "web"), asset("A-2", "web.example.org")])
    key = EntityKey("hostname", "web")
    assert (await store.inventory.assets([key]))[key].asset_id == "A-1"


async def test_more_keys_than_one_statement_holds_are_all_answered(store: Store) -> None:
    many = [
        asset(f"A-{i}", f"host-{i}.example.com", f"10.1.{i // 250}.{i % 250}") for i in range(1300)
    ]
    assert await store.inventory.upsert_assets(many) == (1300, 0)
    keys = [EntityKey("hostname", f"host-{i}") for i in range(1300)]
    keys += [EntityKey("ip", f"10.1.{i // 250}.{i % 250}") for i in range(1300)]
    found = await store.inventory.assets(keys)
    assert {key: record.asset_id for key, record in found.items()} == {
        key: f"A-{i % 1300}" for i, key in enumerate(keys)
    }


async def test_keys_of_other_kinds_and_no_keys_ask_nothing(store: Store) -> None:
    assert await store.inventory.assets([]) == {}
    assert await store.inventory.assets([EntityKey("user_name", "ada")]) == {}
    assert await store.inventory.users([EntityKey("hostname", "ada")]) == {}


# --- history --------------------------------------------------------------------------------------


async def test_counts_cover_today_seven_and_thirty_utc_days(store: Store) -> None:
    days = {
        "2026-03-18": 1000,  # tomorrow does not count
        "2026-03-17": 1,
        "2026-03-11": 2,
        "2026-03-10": 4,
        "2026-02-16": 8,
        "2026-02-15": 16,
    }
    rows = [("rule", "suricata:1", day, count) for day, count in sorted(days.items())]
    await store.database.write(lambda c: history.record(c, rows))
    key = EntityKey("rule", "suricata:1")
    found = await store.history.prevalence([key], NOW)
    assert found[key] == Prevalence(subject="rule", value="suricata:1", day=1, week=3, month=15)


async def test_every_key_is_answered_and_unseen_ones_with_zeros(store: Store) -> None:
    rows = [("host", f"h{i}", "2026-03-17", i) for i in range(1, 701)]
    await store.database.write(lambda c: history.record(c, sorted(rows)))
    keys = [EntityKey("host", f"h{i}") for i in range(701)] + [EntityKey("user", "h5")]
    found = await store.history.prevalence([*keys, *keys], NOW)
    assert list(found) == keys
    assert [found[key].day for key in keys] == [*range(701), 0]
    assert found[EntityKey("user", "h5")] == Prevalence(subject="user", value="h5")


async def test_recording_adds_to_what_was_counted_before(store: Store) -> None:
    for _ in range(3):
        await store.database.write(
            lambda c: history.record(c, [("user", "{}%s'\"", "2026-03-17", 2)])
        )
    key = EntityKey("user", "{}%s'\"")
    assert (await store.history.prevalence([key], NOW))[key].day == 6


async def test_what_is_remembered_of_the_past_is_added_to_today_until_the_day_ends(
    store: Store,
) -> None:
    key, other = EntityKey("host", "ws-1"), EntityKey("host", "ws-2")
    days = [(NOW - timedelta(days=back)).date().isoformat() for back in (0, 3, 20)]

    async def count(*rows: tuple[str, str, str, int]) -> None:
        await store.database.write(lambda c: history.record(c, sorted(rows)))

    async def counts(at: datetime = NOW) -> list[tuple[int, int, int]]:
        found = await store.history.prevalence([key, other], at)
        return [(found[each].day, found[each].week, found[each].month) for each in (key, other)]

    await count(*(("host", "ws-1", day, 2) for day in days))
    assert await counts() == [(2, 4, 6), (0, 0, 0)]
    await count(("host", "ws-1", days[0], 5), ("host", "ws-2", days[0], 1))
    assert await counts() == [(7, 9, 11), (1, 1, 1)]
    assert await counts(NOW + timedelta(days=1)) == [(0, 9, 11), (0, 1, 1)]


async def test_a_count_is_lost_with_the_transaction_that_made_it(store: Store) -> None:
    def fail(connection: object) -> None:
        history.record(connection, [("user", "ada", "2026-03-17", 1)])  # type: ignore[arg-type]  # it is a Connection
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        await store.database.write(fail)
    key = EntityKey("user", "ada")
    assert (await store.history.prevalence([key], NOW))[key].month == 0


# --- the commands ---------------------------------------------------------------------------------


@pytest.fixture
def tocsin(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TOCSIN_DATA", str(settings.data))
    return CliRunner()


def test_the_sample_files_import_without_a_refused_row(tocsin: CliRunner) -> None:
    for command in ("assets", "users"):
        result = tocsin.invoke(app, [command, "import", str(SAMPLES / f"{command}.csv")])
        assert result.exit_code == 0, result.output
        assert " 0 refused" in result.stdout
    again = tocsin.invoke(app, ["assets", "import", str(SAMPLES / "assets.csv")])
    assert " 0 inserted, 31 updated" in again.stdout
    result = tocsin.invoke(
        app, ["intel", "import", str(SAMPLES / "indicators.csv"), "--source", "demo"]
    )
    assert result.exit_code == 0, result.output
    assert "24 inserted" in result.stdout
    assert "demo" in tocsin.invoke(app, ["intel", "sources"]).stdout
    assert tocsin.invoke(app, ["intel", "remove", "demo"]).exit_code == 0
    assert tocsin.invoke(app, ["intel", "remove", "demo"]).exit_code == 1


def test_refused_rows_are_listed_counted_and_the_others_kept(tocsin: CliRunner) -> None:
    lines = ["hostname,ip"] + [f"h{i},{'10.0.0.1' if i % 2 else 'nonsense'}" for i in range(60)]
    result = tocsin.invoke(app, ["assets", "import", "-"], input="\n".join(lines))
    assert result.exit_code == 1
    assert "assets: 30 inserted, 0 updated, 30 refused" in result.stdout
    assert "row 2: column ip: 'nonsense' is not an IP address" in result.stderr
    assert result.stderr.count("is not an IP address") == 20
    assert "... and 10 more" in result.stderr


def test_standard_input_may_be_gzip_and_columns_may_be_mapped(tocsin: CliRunner) -> None:
    data = gzip.compress(b"Kennung;Stufe;Farbe\nws-7;5;red\n")
    arguments = ["assets", "import", "-", "--map", "Kennung=hostname", "--map", "stufe=criticality"]
    result = tocsin.invoke(app, arguments, input=data)
    assert result.exit_code == 0, result.output
    assert "columns not used: Farbe" in result.stderr
    listed = tocsin.invoke(app, ["assets", "list", "--ndjson"])
    assert json.loads(listed.stdout) == {
        "asset_id": "ws-7", "hostname": "ws-7", "criticality": "critical",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["assets", "import", "/no/such/file"],
        ["users", "import", "-", "--map", "nonsense"],
        ["users", "import", "-", "--map", "a=colour"],
    ],
)
def test_a_file_or_mapping_that_cannot_work_is_an_input_error(
    tocsin: CliRunner, arguments: list[str]
) -> None:
    result = tocsin.invoke(app, arguments, input="user_name\nada\n")
    assert isinstance(result.exception, InputError)


def test_a_list_cannot_steer_the_terminal(tocsin: CliRunner) -> None:
    rows = json.dumps([{"hostname": "\x1b[31mred\u202e", "owner": "[bold]x[/bold]"}])
    assert tocsin.invoke(app, ["assets", "import", "-"], input=rows).exit_code == 0
    listed = tocsin.invoke(app, ["assets", "list"]).stdout
    assert "\x1b" not in listed
    assert "\u202e" not in listed
    assert "[bold]x[/bold]" in listed


@pytest.mark.parametrize("command", ["assets", "users", "intel"])
def test_the_help_of_each_import_shows_examples(tocsin: CliRunner, command: str) -> None:
    shown = tocsin.invoke(app, [command, "import", "--help"]).stdout
    assert f"tocsin {command} import" in shown
    assert "Exit code" in shown
