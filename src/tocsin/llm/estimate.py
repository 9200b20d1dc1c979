"""Tokens that nobody counted for us, and what tokens cost.

A token of English is about four bytes of UTF-8, of other languages and of machine text fewer. We
divide by three and add a little for each turn and for what a server's template puts around them, to
be above what is counted, so that a budget is not overdrawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tocsin.llm.provider import Answer
from tocsin.ports import ChatMessage
from tocsin.settings import ModelProvider

BYTES_PER_TOKEN = 3
TOKENS_PER_TURN = 8
TEMPLATE_TOKENS = 48
LEAST_SHARE = 20  # no tokeniser makes one token of more than this many bytes, on average
MARGIN = 1024


def tokens_of(text: str) -> int:
    """An upper estimate of a text's tokens."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def prompt_tokens(messages: Sequence[ChatMessage], schema: Mapping[str, Any] | None) -> int:
    """An upper estimate of a prompt's tokens."""
    extra = 0 if schema is None else -(-len(msgspec.json.encode(schema)) // BYTES_PER_TOKEN)
    turns = sum(TOKENS_PER_TURN + tokens_of(m["content"]) for m in messages)
    return TEMPLATE_TOKENS + extra + turns


def cost(provider: ModelProvider, prompt: int, completion: int) -> float:
    """US dollars, by the prices in the settings."""
    return (prompt * provider.price_in + completion * provider.price_out) / 1_000_000


def used(answer: Answer, prompt: int, max_tokens: int) -> tuple[int, int, bool]:
    """Tokens of the prompt and the completion, and whether they are our estimate.

    What a provider says is believed within bounds: a count that is far too small would empty the
    budget unseen, one that is absurdly large would close it for everybody.

    Args:
        answer: the reply with the provider's usage.
        prompt: our estimate of the prompt.
        max_tokens: what was asked for; hidden reasoning counts within it.
    """
    said_prompt, said_completion = answer.prompt_tokens, answer.completion_tokens
    written = len(answer.text.encode("utf-8", "replace"))
    asked = prompt * BYTES_PER_TOKEN
    least = (prompt - TEMPLATE_TOKENS) * BYTES_PER_TOKEN // (2 * LEAST_SHARE)
    if (
        said_prompt is not None
        and said_completion is not None
        and max(1, least) <= said_prompt <= asked + MARGIN
        and written // LEAST_SHARE <= said_completion <= max(max_tokens, written) + MARGIN
    ):
        return said_prompt, said_completion, False
    return prompt, tokens_of(answer.text), True
