"""The router of language models: priority, health, limits, budgets, accounts, cache.

A language model is optional: without a provider in the settings nothing here runs, and the
vendors' libraries are not loaded.
"""

import asyncio
from pathlib import Path

from tocsin import metrics
from tocsin.errors import InputError, SettingsError
from tocsin.http import Breaker, check_host
from tocsin.llm.discreet import Discreet
from tocsin.llm.ledger import Ledger
from tocsin.llm.member import Member
from tocsin.llm.pace import Pace
from tocsin.llm.provider import Provider
from tocsin.llm.router import Router
from tocsin.model import ProviderKind
from tocsin.ports import ModelAccounts, ReplyCache
from tocsin.settings import ModelProvider, Settings

__all__ = ["Discreet", "Ledger", "Router", "build"]


def build(settings: Settings, accounts: ModelAccounts, cache: ReplyCache) -> Router:
    """The router of the settings' providers, in order of priority.

    Raises:
        SettingsError: a provider's URL or key file cannot work, or a key belongs to nobody.
    """
    configs = sorted(settings.llm_providers, key=lambda config: config.priority)
    if unknown := set(settings.llm_keys) - {config.name for config in configs}:
        raise SettingsError(
            f"TOCSIN_LLM_KEYS: there is no provider named {', '.join(sorted(unknown))}"
        )
    members = [_member(config, settings) for config in configs]
    metrics.prepare_models(config.name for config in configs)
    return Router(members, Ledger(accounts, settings), cache, settings)


def _member(config: ModelProvider, settings: Settings) -> Member:
    key = _key(config, settings)
    try:
        check_host(config.url, settings)
        provider = _open(config, key, settings)
    except InputError as error:
        raise SettingsError(f"TOCSIN_LLM_PROVIDERS: {config.name}: {error}") from error
    return Member(
        config=config,
        provider=provider,
        breaker=Breaker(),
        pace=Pace(config.requests_per_minute, config.tokens_per_minute),
        places=asyncio.Semaphore(config.max_concurrent),
    )


def _open(config: ModelProvider, key: str, settings: Settings) -> Provider:
    """The adapter; its vendor's library, which is large, is loaded only here."""
    if config.kind is ProviderKind.ANTHROPIC:
        from tocsin.llm.anthropic_chat import AnthropicChat  # noqa: PLC0415 - see above

        return AnthropicChat(config, key, settings)
    from tocsin.llm.openai_chat import OpenAIChat  # noqa: PLC0415 - see above

    return OpenAIChat(config, key, settings)


def _key(config: ModelProvider, settings: Settings) -> str:
    if config.name in settings.llm_keys:
        key = settings.llm_keys[config.name].get_secret_value()
    elif config.key_file is not None:
        key = _read(config.key_file, config.name)
    else:
        key = ""
    key = key.strip()
    if not key.isascii() or not all(c.isprintable() for c in key):
        raise SettingsError(f"the key of {config.name} has characters that no header may have")
    return key


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"the key file of {name}, {path}, cannot be read: {reason}") from error
