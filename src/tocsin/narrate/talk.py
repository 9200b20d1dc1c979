"""One conversation with a model about one alert, with a ledger of every step."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from tocsin.errors import BudgetSpent, ReplyUnusable
from tocsin.model import Dossier, LedgerStep, Lookup, ModelReply
from tocsin.narrate.exhibit import CHARACTERS_PER_TOKEN, Exhibit, exhibit, fenced, introduce
from tocsin.narrate.instructions import ANSWER_NOW, UNREADABLE, instructions, schema
from tocsin.narrate.looking import Looking
from tocsin.narrate.reply import parse
from tocsin.ports import ChatMessage, ChatModel, ChatReply, ChatRequest, Inventory, Lookups
from tocsin.redaction import Pseudonyms, Scope
from tocsin.settings import Settings

REPLY_TOKENS = 1_500
LEAST_REPLY_TOKENS = 200
UNUSABLE = 2  # replies in a row that cannot be read before the model is given up
MOST_RESULTS = 12_000  # characters of one round of look-ups
SEED = 7


@dataclass(slots=True)
class Talk:
    """What was said; `ledger` and `tokens` count also when the talk came to nothing."""

    names: Pseudonyms
    shown: Exhibit
    ledger: list[LedgerStep] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    tokens: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """What a talk needs beside the alert."""

    model: ChatModel
    lookups: Lookups
    inventory: Inventory
    settings: Settings
    scope: Scope


def begin(dossier: Dossier, around: Around) -> Talk:
    """Everything that can be made before anybody is asked.

    Raises:
        ValueError: the alert has no verdict.
    """
    names = Pseudonyms(around.scope)
    introduce(dossier, names)
    shown = exhibit(dossier, names, tokens=around.settings.narrator_prompt_tokens)
    return Talk(names, shown)


async def hold(talk: Talk, dossier: Dossier, around: Around) -> ModelReply:
    """Ask until there is an answer; look up in between what the model asks for.

    Raises:
        ModelUnavailable: no model answers.
        BudgetSpent: the opinion's tokens, or the day's, are used up.
        ModelRefused: every provider refuses.
        ReplyUnusable: what it says does not fit, also when told so.
    """
    settings = around.settings
    looking = Looking(dossier, talk.names, around.lookups, around.inventory)
    data, fence = fenced(talk.shown.text, "DOSSIER")
    messages: list[ChatMessage] = [
        {"role": "system", "content": instructions(fence, settings.narrator_steps)},
        {"role": "user", "content": data},
    ]
    rounds, unusable = settings.narrator_steps, 0
    while True:
        try:
            reply = parse((await _ask(talk, messages, dossier, around)).text)
        except ReplyUnusable as error:
            _note(talk, str(error))
            unusable += 1
            if unusable >= UNUSABLE:
                raise
            messages.append({"role": "user", "content": UNREADABLE})
            continue
        if not reply.tool_requests or rounds <= 0:
            return reply
        rounds -= 1
        found = await _look(talk, looking, reply)
        content, fence = fenced(found, "RESULTS", fence)
        if rounds == 0:
            content += "\n" + ANSWER_NOW
        said = msgspec.json.encode(reply).decode()
        messages += [
            {"role": "assistant", "content": said},
            {"role": "user", "content": content},
        ]


async def _ask(
    talk: Talk, messages: Sequence[ChatMessage], dossier: Dossier, around: Around
) -> ChatReply:
    """One question, in the ledger whatever comes of it."""
    settings = around.settings
    prompt = msgspec.json.encode(messages)
    left = settings.narrator_tokens - talk.tokens - len(prompt) // CHARACTERS_PER_TOKEN
    digest = sha256(prompt).hexdigest()
    number = len(talk.ledger) + 1
    if left < LEAST_REPLY_TOKENS:
        raise BudgetSpent("run", f"one opinion may use {settings.narrator_tokens} tokens")
    request = ChatRequest(
        messages=tuple(messages),
        schema=schema(),
        max_tokens=min(REPLY_TOKENS, left),
        seed=SEED,
        run=f"opinion:{dossier.alert_id}",
        purpose="narrator",
        deadline=settings.narrator_timeout,
    )
    started = time.perf_counter()
    try:
        reply = await around.model.complete(request)
    except BaseException as error:
        talk.ledger.append(
            LedgerStep(
                number=number,
                prompt_sha256=digest,
                ms=_ms(started),
                error=type(error).__name__,
            )
        )
        raise
    talk.tokens += reply.prompt_tokens + reply.completion_tokens
    talk.model = reply.model[:200]
    talk.ledger.append(
        LedgerStep(
            number=number,
            prompt_sha256=digest,
            reply_sha256=sha256(reply.text.encode("utf-8", "backslashreplace")).hexdigest(),
            model=reply.model[:200],
            provider=reply.provider[:200],
            prompt_tokens=max(reply.prompt_tokens, 0),
            completion_tokens=max(reply.completion_tokens, 0),
            cost_usd=max(reply.cost_usd, 0.0),
            cached=reply.cached,
            ms=_ms(started),
        )
    )
    return reply


async def _look(talk: Talk, looking: Looking, reply: ModelReply) -> str:
    """Answer a round of requests; the results as numbered lines of JSON."""
    made: list[Lookup] = []
    lines: dict[str, str] = {}
    for request in reply.tool_requests:
        entry, result = await looking.answer(request)
        made.append(entry)
        number = f"T{len(talk.results) + 1}"
        talk.results[number] = lines[number] = result[: MOST_RESULTS // len(reply.tool_requests)]
    talk.ledger[-1] = msgspec.structs.replace(talk.ledger[-1], lookups=tuple(made))
    return _numbered(lines)


def _numbered(lines: Mapping[str, str]) -> str:
    return "\n".join(f"{number} {line}" for number, line in lines.items())


def _note(talk: Talk, error: str) -> None:
    """Say in the ledger that the last answer could not be used."""
    if talk.ledger:
        talk.ledger[-1] = msgspec.structs.replace(talk.ledger[-1], error=error[:200])


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
