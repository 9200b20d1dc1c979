"""From a model's text to a reply that fits, or the reason why it does not."""

import re

import msgspec

from tocsin.errors import ReplyUnusable
from tocsin.model import ModelReply

LONGEST = 64 * 1024  # characters; what is longer is no opinion
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_BLOCK = re.compile(r"\A\s*```(?:json)?[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udfff]")
_decoder = msgspec.json.Decoder(ModelReply)


def parse(text: str) -> ModelReply:
    """The reply in a text: one JSON object, alone or in a Markdown block, after a thought at most.

    Raises:
        ReplyUnusable: it is something else, too long, or says what a reply has no word for.
    """
    if len(text) > LONGEST:
        raise ReplyUnusable(f"the reply has {len(text)} characters; {LONGEST} are read")
    text = _THOUGHT.sub("", text)
    block = _BLOCK.match(text)
    try:
        return _decoder.decode((block.group(1) if block else text).strip())
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise ReplyUnusable(
            f"the reply does not fit: {_SURROGATES.sub('?', str(error))[:200]}"
        ) from error
