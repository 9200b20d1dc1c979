"""Ids grow with time and never repeat; content keys ignore nothing but layout."""

from uuid import RFC_4122, UUID

from tocsin.ingest.identity import chosen_key, content_digest, new_alert_id


def test_ids_are_version_7_uuids_that_never_repeat() -> None:
    ids = [new_alert_id() for _ in range(50_000)]
    assert len(set(ids)) == len(ids)
    for text in ids[::997]:
        found = UUID(text)
        assert (found.version, found.variant, str(found)) == (7, RFC_4122, text)


def test_ids_grow_with_time() -> None:
    first = new_alert_id()
    while (later := new_alert_id())[:13] == first[:13]:
        pass
    assert later > first


def test_the_same_content_from_another_source_is_another_alert() -> None:
    assert content_digest(b"{}", None) == content_digest(b"{}", None)
    assert content_digest(b"{}", None) != content_digest(b"{}", "suricata")
    assert content_digest(b"{}", None) != content_digest(b"[]", None)
    assert chosen_key("a") != content_digest(b"a", None)
