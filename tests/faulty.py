"""Tocsin as a process whose clock and disk can be spoilt while it runs.

    python -m tests.faulty CONTROL serve context …

CONTROL is a file of JSON that is looked at again and again: `clock` is how many seconds
`time.time` is off, `full` is whether SQLite gets no further page, so that its driver says
"database or disk is full". Everything else is Tocsin as it is.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.05
NO_LIMIT = 2**30
_true_time = time.time


class Control:
    """What the file says, looked at no more often than `LOOK_SECONDS`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[str, Any] = {}
        self._look_at = 0.0

    def says(self, name: str) -> Any:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            try:
                self._said = json.loads(self._path.read_text())
            except (OSError, ValueError):
                self._said = {}
        return self._said.get(name)


def spoil(control: Control) -> None:
    """Put the faults between Tocsin and what it stands on."""
    import sqlalchemy as sa
    from sqlalchemy.engine import Engine

    time.time = lambda: _true_time() + (control.says("clock") or 0.0)

    def limit(connection: Any, _: Any, statement: str, *__: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            pages = 1 if control.says("full") else NO_LIMIT  # never less than there are
            driver = connection.connection.driver_connection
            driver.execute(f"PRAGMA max_page_count = {pages}").close()

    sa.event.listen(Engine, "before_cursor_execute", limit)


if __name__ == "__main__":
    spoil(Control(Path(sys.argv.pop(1))))
    from tocsin.cli.main import run

    run()
