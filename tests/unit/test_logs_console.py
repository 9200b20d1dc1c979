"""What a log shows on a terminal cannot steer it."""

import io
import logging
import sys

import pytest

from tocsin import logs

HOSTILE = "\x1b[2J\x1b]0;title\x07\u202e\x9b31m\r{}%s"


@pytest.mark.parametrize("text", [HOSTILE, f"{HOSTILE} with a space\nand a forged line"])
def test_no_text_of_a_line_steers_a_terminal(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("info", "console")
    try:
        logs.get("test").error("test.line", path=text, several=[text])
        logging.getLogger("a.library").warning(text)
        try:
            raise ValueError(text)  # noqa: TRY301 - it is the trace that is looked at
        except ValueError as error:
            logs.get("test").error("test.line", exc_info=error)
    finally:
        monkeypatch.undo()
        logs.configure("info", "json")
    shown = written.getvalue()
    for control in ("\x1b[2J", "\x1b]0", "\x07", "\u202e", "\x9b", "\r"):
        assert control not in shown
    assert shown.count("2J") == 4
    assert "ValueError" in shown
