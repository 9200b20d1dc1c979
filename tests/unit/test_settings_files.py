"""Files that settings come from: what cannot be read is said, by its name and in one line."""

import os
from pathlib import Path

import pytest

from tocsin.errors import SettingsError
from tocsin.settings import load


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)


def refused(name: str, path: Path | str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(name, str(path))
    with pytest.raises(SettingsError) as raised:
        load()
    return str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"batch = ", "Invalid value"),
        (b"\xff\xfe", "invalid start byte"),
        (b"[x", "table"),
        (b"batch = 1\nbatch = 2", "overwrite"),
    ],
)
def test_a_file_that_is_no_toml_is_named(
    content: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "{odd} %s.toml"
    file.write_bytes(content)
    said = refused("TOCSIN_CONFIG", file, monkeypatch)
    assert str(file) in said
    assert why in said


def test_a_setting_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tocsin.toml"
    file.write_text("bacth = 5")
    assert "TOCSIN_BACTH" in refused("TOCSIN_CONFIG", file, monkeypatch)


@pytest.mark.parametrize("path", ["", "x" * 300, "loop", "/proc/self/mem"])
def test_a_file_that_cannot_be_opened_is_an_error_and_no_traceback(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    where = tmp_path / path  # the folder itself, too long a name, a circle, one that gives no byte
    assert str(where) in refused("TOCSIN_CONFIG", where, monkeypatch)


def test_a_default_file_that_is_not_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "none.toml"))
    assert load().batch == 500
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tocsin.toml").write_text("batch = 7")
    monkeypatch.setenv("TOCSIN_CONFIG", "")
    assert load().batch == 7


def test_a_folder_of_secrets_that_is_missing_is_not_taken_for_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no folder" in refused("TOCSIN_SECRETS", tmp_path / "none", monkeypatch)
    (tmp_path / "file").touch()
    assert "no folder" in refused("TOCSIN_SECRETS", tmp_path / "file", monkeypatch)
    assert "too long" in refused("TOCSIN_SECRETS", "x" * 300, monkeypatch)


def test_a_secret_that_cannot_be_read_is_named_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tocsin_audit_key").write_bytes(b"hidden \xff")
    said = refused("TOCSIN_SECRETS", tmp_path, monkeypatch)
    assert "audit_key" in said
    assert "utf-8" in said
    assert "hidden" not in said
    (tmp_path / "tocsin_audit_key").unlink()
    (tmp_path / "tocsin_llm_keys").write_text('{"one": "hidden"')
    said = refused("TOCSIN_SECRETS", tmp_path, monkeypatch)
    assert "llm_keys" in said
    assert "hidden" not in said
