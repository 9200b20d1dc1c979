"""A log that cannot be written stops nothing."""

import io
import sys

import pytest

from tocsin import logs


def test_a_closed_log_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure("info", "json")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    logs.get("test").error("test.line", text="{} %s \n\0")


def test_the_log_goes_to_where_standard_error_is_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.configure("info", "json")
    now = io.StringIO()
    monkeypatch.setattr(sys, "stderr", now)
    logs.get("test").info("test.line", number=7)
    assert '"number": 7' in now.getvalue()
