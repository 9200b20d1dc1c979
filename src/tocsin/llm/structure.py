"""Replies in the form of a JSON schema: asked for, found in what came back, and checked here.

Whatever a provider promises, the reply is checked: servers ignore what they do not know.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from tocsin.errors import InputError
from tocsin.ports import ChatMessage

MOST_SCHEMA_BYTES = 64 * 1024
DEEPEST = 64
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_decoder = json.JSONDecoder()


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that cannot be used.

    Raises:
        InputError: it is too large or deep, refers to a document elsewhere, or is no JSON schema.
    """
    try:
        encoded = msgspec.json.encode(schema, order="sorted")
        depth = _depth(schema)
    except (TypeError, ValueError, RecursionError, msgspec.EncodeError) as error:
        raise InputError("the schema is not JSON") from error
    if len(encoded) > MOST_SCHEMA_BYTES or depth > DEEPEST:
        raise InputError(
            f"the schema may have {MOST_SCHEMA_BYTES} bytes and be {DEEPEST} levels deep"
        )
    _validator(encoded)


def instruction(schema: Mapping[str, Any]) -> ChatMessage:
    """Asks in words for what a provider has no parameter for."""
    text = msgspec.json.encode(schema).decode()
    return ChatMessage(
        role="system",
        content="Answer with one JSON value and nothing else: no explanation, no code fence. "
        f"It must be valid against this JSON schema:\n{text}",
    )


def fitted(text: str, schema: Mapping[str, Any]) -> str | None:
    """The JSON in a reply, if there is one that fits the schema; models like to wrap it in words.

    `pattern` is not checked: an expression from outside could take for ever on a long text.
    """
    validator = _validator(msgspec.json.encode(schema, order="sorted"))
    for candidate in _candidates(text):
        try:
            value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
        if _fits(validator, value):
            return candidate
    return None


def _candidates(text: str) -> list[str]:
    plain = _THOUGHT.sub("", text).strip()
    found = [plain, *(block.strip() for block in _FENCED.findall(plain))]
    start = plain.find("{")
    if start >= 0:
        try:
            _, end = _decoder.raw_decode(plain, start)
            found.append(plain[start:end])
        except (ValueError, RecursionError):
            pass
    return found


def _fits(validator: Any, value: Any) -> bool:
    try:
        return bool(validator.is_valid(value))
    except (RecursionError, ValueError, TypeError):
        return False


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    """A checker of values; what it needs is loaded when the first schema comes."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - see above
    from jsonschema.validators import extend  # noqa: PLC0415 - see above

    decoded = msgspec.json.decode(schema)
    if _refers_elsewhere(decoded):
        raise InputError("the schema may refer only to itself: $ref must begin with #")
    if b'"patternProperties"' in schema:
        raise InputError("the schema may not have patternProperties")
    checker = extend(Draft202012Validator, {"pattern": None})
    try:
        Draft202012Validator.check_schema(decoded)
    except SchemaError as error:
        raise InputError(f"the schema is not a JSON schema: {error.message[:200]}") from error
    return checker(decoded)


def _refers_elsewhere(schema: Any) -> bool:
    if isinstance(schema, dict):
        named = [schema.get(word) for word in ("$ref", "$dynamicRef")]
        elsewhere = any(isinstance(n, str) and not n.startswith("#") for n in named)
        return elsewhere or any(_refers_elsewhere(part) for part in schema.values())
    return isinstance(schema, list) and any(_refers_elsewhere(part) for part in schema)


def _depth(value: Any, level: int = 1) -> int:
    if level > DEEPEST:
        return level
    parts = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple):
        return max((_depth(part, level + 1) for part in parts), default=level)
    return level
