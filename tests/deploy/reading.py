"""What the deployment files say, read as their tools would read them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from tests.servers import ROOT
from typer.core import TyperGroup

from tocsin.cli.main import app
from tocsin.cli.serve import ROLES
from tocsin.settings import Settings

DEPLOY = ROOT / "deploy"
READ_BEFORE_SETTINGS = {"TOCSIN_SECRETS", "TOCSIN_CONFIG"}


def settings_names() -> set[str]:
    """Every variable that Tocsin reads."""
    return {f"TOCSIN_{name.upper()}" for name in Settings.model_fields} | READ_BEFORE_SETTINGS


def tool(name: str) -> str:
    """The path of a checker; the test skips, saying so, where it is not installed."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; its output is text."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        **options,
    )  # fmt: skip


def assert_command(arguments: Sequence[str]) -> None:
    """`tocsin ARGUMENTS` is a command that exists, with roles that exist."""
    command = typer.main.get_command(app)
    rest = list(arguments)
    while isinstance(command, TyperGroup):
        assert rest, f"tocsin {' '.join(arguments)} only shows its help"
        assert rest[0] in command.commands, f"there is no command {rest[0]} in {arguments}"
        command = command.commands[rest.pop(0)]
    command.make_context("tocsin", list(rest))  # refuses what the command does not take
    if arguments[0] == "serve":
        assert set(rest) <= set(ROLES), arguments


def interpolate(text: str, given: Mapping[str, str] | None = None) -> str:
    """`${NAME:-default}` as Compose fills it in."""
    return re.sub(
        r"\$\{(\w+):-([^}]*)\}", lambda found: (given or {}).get(found[1]) or found[2], text
    )


def compose() -> dict[str, Any]:
    """compose.yaml, with the defaults of its variables."""
    text = (DEPLOY / "compose.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(interpolate(text))
    return found


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(name.upper(), rest) for name, rest in parts]


def unit(path: Path) -> list[tuple[str, str]]:
    """The settings of a systemd unit, in order; the sections are left out."""
    lines = path.read_text().splitlines()
    pairs = (line.partition("=") for line in lines if re.match(r"[A-Z]\w+=", line))
    return [(name, value) for name, _, value in pairs]
