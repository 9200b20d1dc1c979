"""A provider of language models, as the settings name it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tocsin.model import ProviderKind


class ModelProvider(BaseModel):
    """One place that answers for a language model; holds no secret.

    `name` is ours: for accounts, metrics and `llm_keys`. `url` is where its interface begins, e.g.
    https://api.openai.com/v1, http://127.0.0.1:11434/v1 (Ollama), https://api.anthropic.com,
    https://NAME.openai.azure.com. `priority`: the lowest is asked first. `timeout` is in seconds.
    Prices are US dollars per million tokens. Limits of 0 are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    kind: ProviderKind = ProviderKind.OPENAI
    url: str
    model: str = Field(min_length=1, max_length=200)
    key_file: Path | None = None
    priority: int = 10
    timeout: float = Field(30.0, gt=0, le=600)
    price_in: float = Field(0.0, ge=0)
    price_out: float = Field(0.0, ge=0)
    requests_per_minute: int = Field(0, ge=0)
    tokens_per_minute: int = Field(0, ge=0)
    max_concurrent: int = Field(8, ge=1, le=1000)
    deployment: str = ""
    api_version: str = ""

    @model_validator(mode="after")
    def _azure_is_whole(self) -> "ModelProvider":
        if self.kind is ProviderKind.AZURE and not self.api_version:
            raise ValueError(f"{self.name}: kind azure needs api_version, e.g. 2024-10-21")
        return self
