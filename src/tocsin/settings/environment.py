"""The only reader of the environment: where settings are read, and what a child process gets."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    TomlConfigSettingsSource,
)

if TYPE_CHECKING:
    from tocsin.settings.knobs import Settings

TOML = "tocsin.toml"


def sources(
    kind: type[BaseSettings],
    arguments: PydanticBaseSettingsSource,
    variables: PydanticBaseSettingsSource,
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Arguments, environment, secret files, TOML, in that order."""
    found = [arguments, variables]
    if secrets := os.environ.get("TOCSIN_SECRETS"):
        found.append(SecretsSettingsSource(kind, secrets_dir=secrets))
    toml = Path(os.environ.get("TOCSIN_CONFIG", TOML))
    if toml.is_file():
        found.append(TomlConfigSettingsSource(kind, toml))
    return tuple(found)


def environment_of(settings: "Settings") -> dict[str, str]:
    """The environment of a child process that shall work on the same data and database."""
    given = {"TOCSIN_DATA": str(settings.data), "TOCSIN_DATABASE": settings.database_url}
    return {**os.environ, **given}
