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

from tocsin.errors import SettingsError

if TYPE_CHECKING:
    from tocsin.settings.knobs import Settings

TOML = "tocsin.toml"


def sources(
    kind: type[BaseSettings],
    arguments: PydanticBaseSettingsSource,
    variables: PydanticBaseSettingsSource,
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Arguments, environment, secret files, TOML, in that order.

    Raises:
        SettingsError: a file or folder that the environment names cannot be read.
    """
    found = [arguments, variables]
    if secrets := os.environ.get("TOCSIN_SECRETS"):
        found.append(_secrets(kind, secrets))
    if _exists(toml := settings_file()):
        found.append(_toml(kind, toml))
    return tuple(found)


def settings_file() -> Path:
    """The TOML file that settings are read from, if it is there."""
    return Path(os.environ.get("TOCSIN_CONFIG") or TOML)


def _secrets(kind: type[BaseSettings], folder: str) -> SecretsSettingsSource:
    """The folder of secret files; one that is missing would leave the secrets out unnoticed."""
    try:
        if not Path(folder).is_dir():
            raise SettingsError(f"TOCSIN_SECRETS: there is no folder {folder}")
        os.scandir(folder).close()
    except OSError as error:
        raise SettingsError(f"TOCSIN_SECRETS: {folder}: {error.strerror}") from error
    return SecretsSettingsSource(kind, secrets_dir=folder)


def _toml(kind: type[BaseSettings], file: Path) -> TomlConfigSettingsSource:
    if not file.is_file():
        raise SettingsError(f"TOCSIN_CONFIG: {file} is not a file")
    try:
        return TomlConfigSettingsSource(kind, file)
    except OSError as error:
        raise SettingsError(f"TOCSIN_CONFIG: {file}: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no text
        raise SettingsError(f"TOCSIN_CONFIG: {file}: {error}") from error


def _exists(file: Path) -> bool:
    """Whether there is such a file; it need not exist, since units and images name a default."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SettingsError(f"TOCSIN_CONFIG: {file}: {error.strerror}") from error
    return True


def environment_of(settings: "Settings") -> dict[str, str]:
    """The environment of a child process that shall work on the same data and database."""
    given = {"TOCSIN_DATA": str(settings.data), "TOCSIN_DATABASE": settings.database_url}
    return {**os.environ, **given}
