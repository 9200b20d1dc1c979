"""Other tools' requests under pseudonyms: what leaves the organisation names nobody in it.

Hosts, accounts, people's and internal addresses go out as names such as `HOST_1` and come back as
they were; secrets go out as `SECRET_1` and do not come back. What is kept as a reply has the
pseudonyms too.
"""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec

from tocsin.errors import InputError
from tocsin.ports import ChatMessage, ChatModel, ChatReply, ChatRequest
from tocsin.redaction import Pseudonyms, Scope

MOST_CHARACTERS = 256 * 1024  # looking through more would hold up everybody else
PORTION = 4000  # characters that are learnt from at once
OVERLAP = 200
GROWTH = 18  # the most that a character can become when its writing is made plain


class Discreet:
    """A model that is told pseudonyms; see `ports.ChatModel`.

    Args:
        model: who is asked.
        scope: what belongs to the organisation.
    """

    def __init__(self, model: ChatModel, scope: Scope) -> None:
        self._model = model
        self._scope = scope

    async def complete(self, request: ChatRequest) -> ChatReply:
        """See `ports.ChatModel.complete`.

        Raises:
            InputError: the request is too long to be looked through.
        """
        if sum(len(message["content"]) for message in request.messages) > MOST_CHARACTERS:
            raise InputError(
                f"messages: they may have {MOST_CHARACTERS} characters, because they are looked "
                "through for names and secrets (TOCSIN_LLM_PSEUDONYMS)"
            )
        names = Pseudonyms(self._scope)
        messages = await asyncio.to_thread(_hidden, names, request.messages)
        reply = await self._model.complete(replace(request, messages=messages))
        return replace(reply, text=_restored(names, reply.text))


def _hidden(names: Pseudonyms, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    for message in messages:
        content = message["content"]
        starts = range(0, len(content), PORTION - OVERLAP)
        names.learn(content[start : start + PORTION] for start in starts)
    return tuple(
        ChatMessage(
            role=message["role"],
            content=names.hide(message["content"], GROWTH * len(message["content"]) + 1),
        )
        for message in messages
    )


def _restored(names: Pseudonyms, text: str) -> str:
    """The originals again; within JSON, as JSON writes them."""
    if text.lstrip().startswith(("{", "[")):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return names.restore(text)
        return msgspec.json.encode(_restored_in(names, value)).decode()
    return names.restore(text)


def _restored_in(names: Pseudonyms, value: Any) -> Any:
    if isinstance(value, str):
        return names.restore(value)
    if isinstance(value, list):
        return [_restored_in(names, part) for part in value]
    if isinstance(value, dict):
        return {names.restore(name): _restored_in(names, part) for name, part in value.items()}
    return value
