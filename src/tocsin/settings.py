"""Every knob, with its documentation; the only reader of the environment.

A setting `name` is read, first match wins, from: an argument of the command line, the environment
variable `TOCSIN_NAME`, a file `NAME` (`tocsin_name`) in the folder that `TOCSIN_SECRETS` names, the
TOML file that `TOCSIN_CONFIG` names (default `tocsin.toml` in the working directory), the default.
"""

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tocsin.errors import SettingsError


class Settings(BaseSettings):
    """All settings of one Tocsin process; immutable once read."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_", frozen=True, extra="forbid")

    # --- where things are -------------------------------------------------------------------
    data: Path = Field(
        Path(".tocsin"), description="Folder for everything the embedded defaults write."
    )
    database: str = Field(
        "",
        description="Database URL: sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME. "
        "Empty: tocsin.db in the data folder.",
    )
    broker: str = Field(
        "memory://",
        description="Broker URL. memory:// is the embedded bus within one process.",
    )
    host: str = Field("127.0.0.1", description="Address that the HTTP server binds to.")
    port: int = Field(9000, ge=0, le=65535, description="Port of the HTTP server; 0 picks one.")

    # --- as a client --------------------------------------------------------------------------
    url: str = Field(
        "",
        description="Server that commands such as send talk to. Empty: the one "
        "that runs on the data folder, else http://HOST:PORT.",
    )
    key: SecretStr = Field(
        SecretStr(""), description="API key of those commands. Empty: the data folder's first key."
    )
    proxy: str = Field("", description="HTTP proxy for every outbound connection. Empty: none.")

    # --- accepting alerts -------------------------------------------------------------------
    max_body_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, description="Largest request body, in bytes, decompressed."
    )
    max_alert_bytes: int = Field(1024 * 1024, ge=256, description="Largest single alert, in bytes.")
    max_depth: int = Field(64, ge=4, le=512, description="Deepest nesting of a JSON alert.")
    max_in_flight: int = Field(
        50_000,
        ge=1,
        description="Alerts waiting for triage above which new ones are answered 429.",
    )
    commit_alerts: int = Field(
        500, ge=1, description="Most alerts that concurrent requests share one commit for."
    )

    # --- the pipeline -----------------------------------------------------------------------
    batch: int = Field(500, ge=1, le=1000, description="Most alerts that a worker takes at once.")
    workers: int = Field(
        2,
        ge=1,
        le=32,
        description="Batches that one process has in hand at once; one computes while another "
        "waits for the database.",
    )
    max_attempts: int = Field(
        4, ge=1, description="Tries of one alert in one step before it is parked."
    )
    retry_pause: float = Field(
        2.0, gt=0, description="Seconds before the second try of an alert; doubles each time."
    )
    sweep_interval: float = Field(
        5.0, gt=0, description="Seconds between looks for work whose lease ran out."
    )
    sweep_after: float = Field(
        15.0, gt=0, description="Seconds after which an unanswered bell is rung again."
    )
    drain_timeout: float = Field(
        20.0, gt=0, description="Seconds that a stopping process gives the work it has begun."
    )

    # --- context ----------------------------------------------------------------------------
    internal_networks: tuple[str, ...] = Field(
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
        description="Networks (CIDR) that belong to the organisation, as a JSON list.",
    )
    zones: dict[str, str] = Field(
        default_factory=dict,
        description='Names of networks, as a JSON object {"CIDR": "name"}; the longest match wins.',
    )

    # --- intelligence -----------------------------------------------------------------------
    indicator_refresh: float = Field(
        0.2, gt=0, description="Seconds between looks for changed indicators."
    )

    # --- what follows a verdict ---------------------------------------------------------------
    approval_hours: float = Field(
        24.0,
        gt=0,
        le=24 * 365,
        description="Hours after which the approval of a proposed action ends.",
    )

    # --- the audit trail -----------------------------------------------------------------------
    audit_key: SecretStr = Field(
        SecretStr(""),
        description="Key of the audit trail's hashes, so that who can write the database cannot "
        "make them anew. Several, parted by commas: the first is for new rows, all are for "
        "checking. Empty: plain SHA-256.",
    )

    # --- logs -------------------------------------------------------------------------------
    log_level: str = Field("info", description="Least level that is logged: debug … critical.")
    log_format: str = Field(
        "auto", description="json, console, or auto (console on a terminal, else json)."
    )

    # --- traces -----------------------------------------------------------------------------
    otlp_endpoint: str = Field(
        "",
        description="OTLP/HTTP endpoint that gets a span per batch and step, e.g. "
        "http://127.0.0.1:4318/v1/traces; needs the extra otel. Empty: none.",
    )

    TOML: ClassVar[str] = "tocsin.toml"

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in {"debug", "info", "warning", "error", "critical"}:
            raise ValueError("must be debug, info, warning, error or critical")
        return value.lower()

    @field_validator("log_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in {"auto", "json", "console"}:
            raise ValueError("must be auto, json or console")
        return value

    @property
    def database_url(self) -> str:
        """The database URL, with the embedded default filled in."""
        return self.database or f"sqlite:///{(self.data / 'tocsin.db').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, secret files, TOML, in that order."""
        del dotenv_settings, file_secret_settings
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if secrets := os.environ.get("TOCSIN_SECRETS"):
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=secrets))
        toml = Path(os.environ.get("TOCSIN_CONFIG", cls.TOML))
        if toml.is_file():
            sources.append(TomlConfigSettingsSource(settings_cls, toml))
        return tuple(sources)


def load(**arguments: Any) -> Settings:
    """Read all settings; arguments that are None count as not given.

    Raises:
        SettingsError: a value cannot work; the message names each setting and what is wrong.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(
            f"TOCSIN_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors()
        )
        raise SettingsError(f"settings: {wrong}") from error
    except ValueError as error:
        raise SettingsError(f"settings: {error}") from error
