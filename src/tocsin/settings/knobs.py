"""Every knob, with its documentation; docs/settings.md is made from this."""

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tocsin.settings.environment import sources
from tocsin.settings.provider import ModelProvider


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
    database_timeout: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds after which PostgreSQL cancels a statement; 0: never. Migrations and "
        "whoever waits for them have all the time they need.",
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
    outbound_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that outbound HTTP may go to, as a JSON list; *.example.com is every "
        "host below. Empty: any that a setting or an argument names.",
    )

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

    internal_domains: tuple[str, ...] = Field(
        (),
        description="Domains that belong to the organisation, as a JSON list; a language model "
        "reads pseudonyms in their place.",
    )

    # --- intelligence -----------------------------------------------------------------------
    indicator_refresh: float = Field(
        0.2, gt=0, description="Seconds between looks for changed indicators."
    )

    # --- learning ---------------------------------------------------------------------------
    learn_interval: float = Field(
        24.0,
        ge=0,
        description="Hours between runs of tocsin learn, which the server starts as a process of "
        "its own; 0 turns them off.",
    )

    # --- closing alerts ---------------------------------------------------------------------
    autoclose_refresh: float = Field(
        0.2, gt=0, description="Seconds between looks whether the closing policy has changed."
    )
    autoclose_check: float = Field(
        30.0, gt=0, description="Seconds between looks for drift while alerts are closed."
    )

    # --- language models ------------------------------------------------------------------------
    llm_providers: tuple[ModelProvider, ...] = Field(
        (),
        description="Providers of language models, as a JSON list (in TOML: [[llm_providers]]); "
        "see [models](models.md). Empty: no model is ever asked.",
    )
    llm_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='Their API keys, as a JSON object {"provider": "key"}; best as a secret file.',
    )
    llm_deadline: float = Field(
        90.0, gt=0, le=3600, description="Seconds for one request, all tries and providers."
    )
    llm_day_tokens: int | None = Field(
        None, ge=0, description="Tokens that may be used each UTC day. Empty: no limit."
    )
    llm_day_usd: float | None = Field(
        None, ge=0, description="US dollars that may be spent each UTC day. Empty: no limit."
    )
    llm_run_tokens: int | None = Field(
        None, ge=0, description="Tokens that one run may use. Empty: no limit."
    )
    llm_run_usd: float | None = Field(
        None, ge=0, description="US dollars that one run may spend. Empty: no limit."
    )
    llm_pseudonyms: bool = Field(
        True,
        description="Whether what other tools ask at /v1 goes out under pseudonyms, as our own "
        "questions do, and without the secrets in it.",
    )
    llm_cache_hours: float = Field(
        24.0, ge=0, description="Hours that a model's reply is kept for the same request; 0: none."
    )
    llm_cache_replies: int = Field(
        10_000, ge=1, description="Most replies that are kept; the oldest go first."
    )

    # --- a language model's second opinion --------------------------------------------------
    narrator_enabled: bool | None = Field(
        None,
        description="Whether a language model is asked for a second opinion on alerts where it "
        "could change the outcome. Not given: yes, if a provider is configured.",
    )
    narrator_min_value: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Least that an opinion must be able to change, 0-1: the risk at stake, "
        "explanation and gaps it could fill.",
    )
    narrator_min_risk: float = Field(
        20.0,
        ge=0,
        le=100,
        description="Risk that an alert must be able to reach for an opinion to be wanted.",
    )
    narrator_daily: int = Field(
        500, ge=0, description="Most opinions in a UTC day; what is wanted beyond them says so."
    )
    narrator_parallel: int = Field(
        2, ge=1, le=32, description="Opinions that one process works on at once."
    )
    narrator_steps: int = Field(
        3, ge=0, le=10, description="Most rounds of look-ups that a model may ask for."
    )
    narrator_tokens: int = Field(
        12_000, ge=500, description="Most tokens that one opinion may use, all rounds together."
    )
    narrator_prompt_tokens: int = Field(
        3_000, ge=300, description="Most tokens of a dossier that are sent, estimated."
    )
    narrator_timeout: float = Field(
        120.0, gt=0, description="Seconds after which an opinion is given up."
    )
    narrator_attempts: int = Field(
        4, ge=1, description="Tries of one opinion before it is given up."
    )
    narrator_pause: float = Field(
        30.0,
        gt=0,
        description="Seconds before the second try of an opinion; four times as long "
        "with each further one.",
    )
    narrator_interval: float = Field(
        1.0, gt=0, description="Seconds between looks for opinions that are wanted."
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

    # --- evidence bundles ----------------------------------------------------------------------
    signing_key: Path | None = Field(
        None,
        description="File with the Ed25519 private key (PEM, PKCS 8) that signs evidence bundles. "
        "Empty: signing.key in the data folder, made on first use.",
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

    @field_validator(
        "llm_day_tokens", "llm_day_usd", "llm_run_tokens", "llm_run_usd", mode="before"
    )
    @classmethod
    def _empty_is_no_limit(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("llm_providers")
    @classmethod
    def _named_once(cls, value: tuple[ModelProvider, ...]) -> tuple[ModelProvider, ...]:
        names = [provider.name for provider in value]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two providers are named {', '.join(sorted(doubled))}")
        return value

    @model_validator(mode="after")
    def _narrator_has_a_model(self) -> "Settings":
        if self.narrator_enabled and not self.llm_providers:
            raise ValueError("TOCSIN_NARRATOR_ENABLED needs a provider in TOCSIN_LLM_PROVIDERS")
        return self

    @property
    def narrates(self) -> bool:
        """Whether second opinions are wanted."""
        return bool(self.llm_providers) and self.narrator_enabled is not False

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
        """See `environment.sources`."""
        del dotenv_settings, file_secret_settings
        return sources(settings_cls, init_settings, env_settings)
