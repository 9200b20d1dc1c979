"""Structured logs: a constant dotted event name and keywords, never a format string.

The rule is checked by a test over the whole source tree. It exists because a log call that formats
text from an alert can raise inside the very handler that should have saved the alert.
"""

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
HANDLER = "tocsin"


class _StandardError:
    """Writes lines to standard error as it is now; one that is closed or full stops no alert."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = msg


def configure(level: str = "info", style: str = "auto", libraries: str = "warning") -> None:
    """Send logs to standard error as JSON lines, or coloured text on a terminal.

    Args:
        level: the least level that is logged.
        style: `json`, `console` or `auto`.
        libraries: the least level of what others' code logs, if that is higher.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    rendered: list[Any] = (
        [_printable, structlog.dev.ConsoleRenderer()]
        if console
        else [structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _as_event,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *rendered,
            ],
        )
    )
    handler.set_name(HANDLER)
    root = logging.root
    root.handlers = [*(h for h in root.handlers if h.get_name() != HANDLER), handler]
    root.setLevel(max(LEVELS[libraries], LEVELS[level]))


def _as_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a library logs, as an event of ours whose text is a value."""
    event["message"] = event.pop("event", "")
    event["event"] = "library.message"
    event["component"] = event["_record"].name
    return event


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An event whose texts cannot steer a terminal; JSON escapes what could by itself."""
    return {
        name: _escaped(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def get(component: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose every line carries `component`."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(component=component))
