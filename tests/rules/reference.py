"""What the reference pages must say, taken from the code; `make docs` writes them."""

import re
import tempfile
from pathlib import Path

import sqlalchemy as sa
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from tests.servers import ROOT

from tocsin import metrics
from tocsin.settings import Settings


def settings_page() -> str:
    """The reference of settings."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or a line in the TOML file that `TOCSIN_CONFIG`",
        "names (default: `tocsin.toml` in the working directory; there without the prefix and in",
        "lower case), or a file in the folder that `TOCSIN_SECRETS` names. The first that is given",
        "wins: argument of the command line, environment, secret file, TOML file, default.",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "" if isinstance(default, SecretStr) else default
        shown = list(shown) if isinstance(shown, tuple) else shown
        text = f"`{shown}`" if str(shown) else "(empty)"
        lines.append(f"| `TOCSIN_{name.upper()}` | {text} | {field.description} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """The reference of metrics."""
    lines = [
        "# Metrics",
        "",
        "Every process answers `GET /metrics` on its port, in Prometheus' text format; nobody",
        "needs a key for it. Labels are words of small sets, never a text from an alert. A",
        "histogram has `_bucket`, `_sum` and `_count`. Beside these there are Prometheus' own",
        "figures of a process, `process_cpu_seconds_total`, `process_resident_memory_bytes` and",
        "the like, where the system has them. What to watch: [observability](observability.md).",
        "",
        "| metric | kind | labels | what it is |",
        "|---|---|---|---|",
    ]
    for one in vars(metrics).values():
        if not isinstance(one, MetricWrapperBase):
            continue
        (family,) = one.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in one._labelnames)
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


def migrated_checks() -> dict[tuple[str, str], list[str]]:
    """The words of every IN check, by table and column, of a really migrated database."""
    import asyncio

    from tocsin.store import migrate
    from tocsin.store.database import Database

    async def checks(url: str) -> dict[tuple[str, str], list[str]]:
        database = Database(url)
        await migrate.upgrade(database)
        sql = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        tables = await database.read(lambda c: c.execute(sql).all())
        await database.close()
        return {
            (table, column): re.findall(r"'([^']*)'", words)
            for table, text in tables
            for column, words in re.findall(r"CHECK \((\w+) IN \(([^)]*)\)\)", text)
        }

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(checks(f"sqlite:///{folder}/checks.db"))


def main() -> None:
    """Write the pages."""
    (ROOT / "docs").mkdir(exist_ok=True)
    Path(ROOT / "docs" / "settings.md").write_text(settings_page())
    Path(ROOT / "docs" / "metrics.md").write_text(metrics_page())


if __name__ == "__main__":
    main()
