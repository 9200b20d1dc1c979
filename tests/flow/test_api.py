"""Sending alerts over HTTP: every form, every refusal, and what becomes of repeats."""

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from tests.flow.questions import (
    ALERTS,
    GZIP,
    NDJSON,
    TEXT,
    accepted,
    has_no_trouble,
    is_problem,
    query,
    stored,
)
from tests.servers import Server, serving

from tocsin.app import open_store
from tocsin.model import KeyScope
from tocsin.settings import load
from tocsin.store.accounts import ApiKey

MEBIBYTE = 1024 * 1024
Holder = tuple[httpx2.Client, str]


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as opened:
        yield opened


def holder_of(server: Server, scope: KeyScope, lifetime: timedelta | None = None) -> Holder:
    """A client with a new key of this scope; gives the key's id too."""

    async def create() -> tuple[ApiKey, str]:
        async with open_store(load(data=server.data)) as store:
            return await store.accounts.create_key("a test's", [scope], lifetime)

    key, secret = asyncio.run(create())
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx2.Client(base_url=server.url, headers=headers), key.key_id


def revoke(server: Server, key_id: str) -> None:
    async def end() -> None:
        async with open_store(load(data=server.data)) as store:
            await store.accounts.revoke_key(key_id)

    asyncio.run(end())


def test_one_alert_is_answered_with_its_id_and_stored(
    client: httpx2.Client, server: Server
) -> None:
    answer = client.post(ALERTS, json={"title": "one"})
    (alert_id,) = accepted(answer)
    assert answer.json()["alert_id"] == alert_id
    assert stored(server, alert_id)["raw_data"] == '{"title":"one"}'


@pytest.mark.parametrize(
    ("name", "body", "headers"),
    [
        ("array", b'[{"title": "%s 1"}, {"title": "%s 2"}]', {}),
        ("ndjson", b'{"title": "%s 1"}\n\n{"title": "%s 2"}\r\n', NDJSON),
        ("ndjson unnamed", b'{"title": "%s 1"}\n{"title": "%s 2"}', {"Content-Type": ""}),
        ("text", b"<134>fw %s: one\nplain line of %s\n", TEXT),
        ("bom", b'\xef\xbb\xbf[{"title": "%s 1"}, {"title": "%s 2"}]', {}),
    ],
)
def test_bodies_of_several_alerts_give_an_id_each(
    client: httpx2.Client, name: str, body: bytes, headers: dict[str, str]
) -> None:
    body = body % (name.encode(), name.encode())
    ids = accepted(client.post(ALERTS, content=body, headers=headers))
    assert len(set(ids)) == 2
    packed = gzip.compress(body)
    again = client.post(ALERTS, content=packed, headers={**headers, "Content-Encoding": "gzip"})
    assert accepted(again) == ids


def test_every_member_of_a_gzip_body_is_read(client: httpx2.Client) -> None:
    members = [gzip.compress(b'{"title": "member %d"}\n' % number) for number in range(3)]
    body = b"".join(members) + b"\0" * 17
    assert len(accepted(client.post(ALERTS, content=body, headers=GZIP))) == 3


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"not gzip at all", 400, "invalid_encoding"),
        (gzip.compress(b'{"title": "cut"}')[:-9], 400, "invalid_encoding"),
        (gzip.compress(b'{"title": "rest"}') + b"rest", 400, "invalid_encoding"),
        (b"", 400, "invalid_encoding"),
        (gzip.compress(b""), 400, "empty"),
        (gzip.compress(b'{"a": "' + b"0" * 40 * MEBIBYTE + b'"}'), 413, "too_large"),
        (gzip.compress(b" " * 17 * MEBIBYTE) * 2, 413, "too_large"),
    ],
)
def test_a_broken_or_huge_gzip_body_is_refused(
    client: httpx2.Client, body: bytes, status: int, reason: str
) -> None:
    is_problem(client.post(ALERTS, content=body, headers=GZIP), status, reason)


def test_other_encodings_are_refused_by_name(client: httpx2.Client) -> None:
    for encoding in ("br", "deflate", "gzip, gzip"):
        answer = client.post(
            ALERTS, content=zlib.compress(b"{}"), headers={"Content-Encoding": encoding}
        )
        is_problem(answer, 415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "empty"),
        (b" \n", 400, "empty"),
        (b"[]", 400, "empty"),
        (b"{", 400, "invalid_json"),
        (b'{"a": "\xff"}', 400, "invalid_json"),
        (b'{"a": "\\ud800"}', 400, "invalid_json"),
        (b"[" * 100_000, 400, "too_deep"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, 422, "too_deep"),
        (b"42", 422, "not_an_object"),
        (b'["a", 1, null]', 422, "not_an_object"),
        (b"x" * (33 * MEBIBYTE), 413, "too_large"),
    ],
)
def test_a_body_that_holds_no_alert_is_refused_with_its_reason(
    client: httpx2.Client, body: bytes, status: int, reason: str
) -> None:
    is_problem(client.post(ALERTS, content=body), status, reason)


def test_errors_stand_beside_the_accepted(client: httpx2.Client) -> None:
    body = b'[{"title": "first"}, 7, {"a": ' + b"[" * 80 + b"]" * 80 + b'}, {"title": "last"}]'
    answer = client.post(ALERTS, content=body)
    assert answer.status_code == 202
    receipt = answer.json()
    assert (receipt["accepted"], receipt["refused"]) == (2, 2)
    assert [sent["status"] for sent in receipt["alerts"]] == [
        "accepted", "refused", "refused", "accepted",
    ]  # fmt: skip
    assert [sent["index"] for sent in receipt["alerts"]] == [0, 1, 2, 3]
    assert receipt["alerts"][1]["error"]["reason"] == "not_an_object"
    assert receipt["alerts"][2]["error"]["reason"] == "too_deep"


def test_an_alert_of_ten_megabytes_is_refused_alone(client: httpx2.Client) -> None:
    huge = json.dumps({"title": "huge", "description": "x" * 10 * MEBIBYTE})
    body = f'[{{"title": "before"}}, {huge}, {{"title": "after"}}]'
    receipt = client.post(ALERTS, content=body).json()
    assert (receipt["accepted"], receipt["refused"]) == (2, 1)
    assert receipt["alerts"][1]["error"]["reason"] == "too_large"
    is_problem(client.post(ALERTS, content=huge), 413, "too_large")


def test_the_source_that_the_sender_names_is_kept(client: httpx2.Client, server: Server) -> None:
    alert = {"title": "named source"}
    (named,) = accepted(client.post(f"{ALERTS}?source=my-siem", json=alert))
    (unnamed,) = accepted(client.post(ALERTS, json=alert))
    assert named != unnamed
    server.settle()
    assert stored(server, named)["source"] == "my-siem"
    for bad in ("a b", "../x", "x" * 65, "%ff", "{}"):
        is_problem(client.post(f"{ALERTS}?source={bad}", json=alert), 422, "input")


def test_the_same_alert_twice_is_one_row(client: httpx2.Client, server: Server) -> None:
    alert = {"title": "sent twice", "source_ip": "192.0.2.77"}
    first = client.post(ALERTS, json=alert)
    second = client.post(ALERTS, content=json.dumps(dict(reversed(alert.items())), indent=2))
    assert accepted(first) == accepted(second)
    assert second.json()["duplicates"] == 1
    both = client.post(ALERTS, json=[alert, alert])
    assert set(accepted(both)) == set(accepted(first))
    rows = query(server.database, "SELECT count(*) FROM alerts WHERE raw_data LIKE '%sent twice%'")
    assert rows[0][0] == 1


def test_concurrent_posts_of_one_alert_are_one_row(server: Server) -> None:
    def post(number: int) -> list[str]:
        with server.client() as mine:
            return accepted(mine.post(ALERTS, json=[{"title": "race"}, {"title": f"{number}"}]))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(24)))
    assert len({ids[0] for ids in answers}) == 1
    assert len({ids[1] for ids in answers}) == 24
    server.settle()
    rows = query(server.database, "SELECT count(*) FROM alerts WHERE title = 'race'")
    assert rows[0][0] == 1


def test_an_id_of_the_senders_own_is_honoured(client: httpx2.Client, server: Server) -> None:
    mine = {"alert_id": "SIEM-2026:0001", "title": "mine"}
    assert accepted(client.post(ALERTS, json=mine)) == ["SIEM-2026:0001"]
    assert accepted(client.post(ALERTS, json=mine)) == ["SIEM-2026:0001"]
    other = client.post(ALERTS, json={**mine, "title": "other content"})
    (new_id,) = accepted(other)
    assert new_id != "SIEM-2026:0001"
    assert "new id" in other.json()["alerts"][0]["note"]
    assert '"mine"' in stored(server, "SIEM-2026:0001")["raw_data"]
    assert "other content" in stored(server, new_id)["raw_data"]
    repeated = accepted(client.post(ALERTS, json={**mine, "title": "other content"}))
    assert repeated == [new_id], "the renamed one is known as well"


@pytest.mark.parametrize("bad", ["a b", "x" * 129, "-", "a\nb", 17, {"a": 1}, "ä", "a/../b"])
def test_an_id_that_cannot_be_one_is_replaced_and_the_sender_told(
    client: httpx2.Client, bad: object
) -> None:
    answer = client.post(ALERTS, json={"alert_id": bad, "title": "bad id"})
    (alert_id,) = accepted(answer)
    assert alert_id != bad
    assert "alert_id" in answer.json()["alerts"][0]["note"]


def test_without_a_key_nothing_is_told(server: Server) -> None:
    with httpx2.Client(base_url=server.url) as stranger:
        for headers in (
            {},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": f"Basic {server.key}"},
            {"Authorization": "Bearer {}%s"},
        ):
            for answer in (
                stranger.post(ALERTS, json={"title": "a"}, headers=headers),
                stranger.get(ALERTS, headers=headers),
                stranger.get(f"{ALERTS}/x", headers=headers),
                stranger.post(f"{ALERTS}/x/retry", headers=headers),
            ):
                is_problem(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_opens_what_its_scope_says(server: Server) -> None:
    wanted = {
        KeyScope.INGEST: (202, 403, 403),
        KeyScope.READ: (403, 200, 403),
        KeyScope.WRITE: (403, 403, 404),
        KeyScope.ADMIN: (202, 200, 404),
    }
    for scope, statuses in wanted.items():
        with holder_of(server, scope)[0] as holder:
            answers = (
                holder.post(ALERTS, json={"title": f"by {scope}"}),
                holder.get(ALERTS),
                holder.post(f"{ALERTS}/nothing/retry"),
            )
        assert tuple(answer.status_code for answer in answers) == statuses, scope
        for answer in answers:
            if answer.status_code == 403:
                is_problem(answer, 403, "forbidden")


def test_a_revoked_key_ends_within_a_second_or_so(server: Server) -> None:
    holder, key_id = holder_of(server, KeyScope.READ)
    with holder:
        assert holder.get(ALERTS).status_code == 200
        revoke(server, key_id)
        time.sleep(1.05)
        is_problem(holder.get(ALERTS), 401, "unauthorized")


def test_an_expired_key_is_no_key(server: Server) -> None:
    holder, _ = holder_of(server, KeyScope.READ, timedelta(seconds=0.5))
    with holder:
        assert holder.get(ALERTS).status_code == 200
        time.sleep(0.5)
        is_problem(holder.get(ALERTS), 401, "unauthorized")


def test_too_much_in_flight_is_answered_429_and_later_accepted(tmp_path: Path) -> None:
    with serving(tmp_path, max_in_flight="10") as small, small.client() as client:
        alerts = [{"title": f"a {number}"} for number in range(40)]
        accepted(client.post(ALERTS, json=alerts))
        answer = client.post(ALERTS, json={"title": "one too many"})
        is_problem(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        small.settle()
        time.sleep(0.6)
        accepted(client.post(ALERTS, json={"title": "one too many"}))


def test_nothing_here_was_a_defect(server: Server) -> None:
    has_no_trouble(server)
